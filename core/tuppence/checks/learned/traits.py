"""The traits of a question and of its answers that a learned check weighs: named numbers, read off without asking
anybody. The same code reads them when a check is trained and on every call, so that a name means one thing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from tuppence.checks.agreement import likeness
from tuppence.request import Reply, Request
from tuppence.signals import count_words, cut_off, numbers, refusal, sequence_probability
from tuppence.signals.question_shape import shape

Traits = Mapping[str, float]

# Words to a token of English, as OpenAI's help centre puts it ("What are tokens": 100 tokens are about 75 words).
_TOKENS_PER_WORD = 4 / 3
_NUMBER = re.compile(r"[-−+]?[$€£]?\d[\d,.]*%?")


def question_traits(request: Request) -> dict[str, float]:
    """Read the question: the shape of its text, the turns before it, and the task that its tag names."""
    traits = {f"question.{name}": value for name, value in shape(request.question).items()}
    traits["question.turns"] = math.log1p(sum(message.role != "system" for message in request.messages))
    task = request.tags.get("task")
    if task:
        traits[f"task.{task}"] = 1.0
    return traits


def answer_traits(reply: Reply, of: str = "answer") -> dict[str, float]:
    """Read one answer: how long it is, whether it is one at all, whether it is a number, how probable it was."""
    text = reply.text.strip()
    traits = {
        f"{of}.log_tokens": math.log1p(_tokens(reply)),
        f"{of}.log_chars": math.log1p(len(text)),
        f"{of}.none": float(not (text or reply.tool_calls) or refusal(text) is not None),
        f"{of}.cut_off": float(reply.finish == "length" or (reply.finish is None and cut_off(text) is not None)),
    }
    if _NUMBER.fullmatch(text):
        found = numbers(text)
        traits[f"{of}.number"] = 1.0
        traits[f"{of}.whole"] = float(len(found) == 1 and "." not in found[0])
    if reply.logprobs:
        traits[f"{of}.probable"] = sequence_probability(reply.logprobs)
        traits[f"{of}.has_probability"] = 1.0
    return traits


def agreement_traits(reply: Reply, other: Reply) -> dict[str, float]:
    """Compare an answer with another model's: do they say the same, and how did the other one look?"""
    agrees = likeness(reply, other)
    own, others = math.log1p(_tokens(reply)), math.log1p(_tokens(other))
    return {
        **answer_traits(other, "other"),
        "agrees": agrees,
        "agrees.entirely": float(agrees >= 1.0),
        "agrees.log_tokens": agrees * own,
        "agrees.other_log_tokens": agrees * others,
        "other.longer": others - own,
    }


def traits_of(request: Request, reply: Reply, other: Reply | None) -> dict[str, float]:
    """Read all that is known once `reply`, and perhaps another model's answer, has come."""
    return with_answers(question_traits(request), reply, other)


def with_answers(question: Traits, reply: Reply, other: Reply | None) -> dict[str, float]:
    """Add the traits of the answers to those of the question."""
    found = {**question, **answer_traits(reply)}
    return found if other is None else {**found, **agreement_traits(reply, other)}


def _tokens(reply: Reply) -> float:
    usage = reply.usage
    return usage.output if usage is not None and usage.output else count_words(reply.text) * _TOKENS_PER_WORD
