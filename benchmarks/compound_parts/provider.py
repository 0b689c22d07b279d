"""The providers of the benchmark: they answer what was recorded, count what they are really sent, and keep prefixes as
their pages say. What an answer is worth is decided here, by what the model was given to read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import bpe_openai
from pruning_parts.history_uses import stands, whole
from pruning_parts.passages import answered

from compound_parts.traffic import Asked
from tuppence.cache import freeze_reply, thaw_reply
from tuppence.cache.prefix.rules import PrefixRule, rule_for
from tuppence.effects import Ask
from tuppence.evidence.outcomes import Outcome
from tuppence.request import OUTPUT_LIMIT, Edits, Message, Reply, edited
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier
from tuppence.usage import Usage

_ENCODE = bpe_openai.get_encoding("o200k_base").encode_ordinary
_LETTERS = str.maketrans("0123456789", "qrstuvwxyz")
"""A digest without numbers: answers that differ in one are different for the cache, and alike for a check."""
_FRAME = 4
"""Tokens around a message, as OpenAI's cookbook counts them ("How to count tokens with tiktoken")."""
_LATENCY_MS = 900.0
"""The same for every call: nothing here is about time, and the order of calls must not hang on the machine."""


@dataclass(frozen=True, slots=True)
class Graded:
    """What is known of an answer: whose question it was, and how good it is for that one."""

    asked: str
    group: str
    score: float


class Providers(ScriptedModels):
    """Every tier's provider; `discounted` runs what may wait in the batch lane."""

    def __init__(self, *, discounted: bool) -> None:
        super().__init__()
        self._discounted = discounted
        self._held: dict[tuple[str, str], float] = {}
        """Prefixes by model and digest, each with the moment until which it is kept."""

    def ask(self, ask: Ask) -> Reply:
        """Answer as the tier's model was recorded to, billed for the tokens that are sent now."""
        asked: Asked = ask.request.native
        sent = edited(ask.request.messages, ask.edits)
        text, tokens, quality = _recorded(asked, ask.tier.model)
        limit = ask.edits.params.get(OUTPUT_LIMIT, tokens)
        batch = self._discounted and asked.patient and _has_batch(ask.tier)
        usage = replace(
            # A batch runs when it likes: nothing is counted on to be kept until then.
            Usage(input=sum(map(tokens_of, sent))) if batch else self._cached(ask, sent),
            output=min(tokens, limit), processing="batch" if batch else "standard",
        )  # fmt: skip
        said = () if asked.said is None else asked.said.tool_calls
        graded = Graded(asked.id, asked.group, quality * readable(asked, sent))
        return Reply(
            text, tool_calls=said, finish="length" if tokens > limit else "tool_calls" if said else "stop",
            usage=usage, model=ask.tier.model, latency_ms=_LATENCY_MS, native=graded,
        )  # fmt: skip

    def freeze(self, reply: Reply) -> Any:
        return {**freeze_reply(reply), "graded": asdict(reply.native)}

    def thaw(self, data: Any) -> Reply:
        return replace(thaw_reply(data), native=Graded(**data["graded"]))

    def _cached(self, ask: Ask, sent: Sequence[Message]) -> Usage:
        """Say what of the prompt the provider read from its cache and what it wrote, and keep what it keeps."""
        rule, now = rule_for(ask.tier.model, at=ask.request.received_at), ask.request.received_at
        ends = _ends(sent)
        if rule is None:
            return Usage(input=ends[-1][1])
        read = max((upto for digest, upto in ends if self._held.get((ask.tier.model, digest), 0.0) > now), default=0)
        kept = _kept(rule, ask.edits, ends)
        for digest, _ in kept:
            self._held[ask.tier.model, digest] = now + rule.lifetimes[0].seconds
        read -= read % rule.step_tokens
        written = 0 if rule.kind == "automatic" else max([0, *(upto - read for _, upto in kept)])
        return Usage(input=ends[-1][1] - read - written, cache_read=read, cache_write_5m=written)


def _has_batch(tier: Tier) -> bool:
    """Say whether the price list sells a tier's batch lane; where not, what may wait is sent like everything else."""
    return tier.rate is not None and tier.rate.cost(Usage(input=1, output=1, processing="batch")) is not None


def _kept(rule: PrefixRule, edits: Edits, ends: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    long = [end for end in ends if end[1] >= rule.minimum_tokens]
    if rule.kind == "automatic":
        return long
    marked = {ends[mark.place] for mark in edits.marks if mark.place != "tools"}
    return [end for end in long if end in marked]


def _ends(sent: Sequence[Message]) -> list[tuple[str, int]]:
    """Name the prompt up to the end of each message, with its tokens."""
    ends, digest, upto = [], b"", 0
    for message in sent:
        digest = hashlib.blake2b(digest + f"{message.role}\0{whole(message)}".encode(), digest_size=16).digest()
        upto += tokens_of(message)
        ends.append((digest.hex(), upto))
    return ends


def tokens_of(message: Message) -> int:
    return _FRAME + counted(message.text) + sum(counted(f"{one.name}{one.arguments}") for one in message.tool_calls)


@lru_cache(maxsize=100_000)
def counted(text: str) -> int:
    """Count a text's tokens, o200k's for every model."""
    return len(_ENCODE(text))


def _recorded(asked: Asked, model: str) -> tuple[str, int, float]:
    """Return what a model said, its tokens and its quality; an agent's turn was recorded of one model alone."""
    if asked.graded is None:
        assert asked.said is not None
        return asked.said.text, max(1, tokens_of(asked.said) - _FRAME), 1.0
    outcome = asked.graded.by_model[model]
    assert outcome.score is not None
    return _words(asked, outcome), outcome.output_tokens or 1, outcome.score


def _words(asked: Asked, outcome: Outcome) -> str:
    """Return what an answer says. The semantic cache compares answers, and a borrowed one says nothing about the
    question: what is told is a digest of it and of the group, the same for all wordings of one question.
    """
    if outcome.no_answer or not outcome.answer:
        # An empty answer would be asked for again: the recorded one could not be read, which is another thing.
        return "(none)"
    if asked.kind not in ("support", "open"):
        return outcome.answer
    said = f"{asked.group}\0{outcome.answer}"
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest().translate(_LETTERS)


def readable(asked: Asked, sent: Sequence[Message]) -> float:
    """Return 1 where what the answer hangs on stands in what is sent, else 0."""
    if asked.passages is not None:
        return float(answered(asked.passages, [message.text for message in sent[:-1]]))
    prompt = "\n".join(map(whole, sent)) if asked.uses else ""
    return float(all(stands(use.value, prompt) for use in asked.uses))


def graded(asked: Asked, reply: Reply) -> float:
    """Score what a call was answered: an answer to another group's question is wrong, whatever it is worth there."""
    native: Graded = reply.native
    return native.score if native.group == asked.group else 0.0
