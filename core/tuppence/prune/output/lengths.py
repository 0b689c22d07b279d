"""How long a task's answers are, learned from the calls of the ledger: a limit that few answers reach, and how many
words to ask for. It reads no ledger itself, and where calls are few, were cut off, or have changed, it sets nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from tuppence.errors import ConfigError
from tuppence.prices import Rate
from tuppence.prune.output.caps import ENDLESS, calls_needed, conformal_rank, shifted, sure_rank
from tuppence.prune.output.plan import OutputPlan
from tuppence.prune.output.worth import cap_worth

PastAnswer = tuple[str, str, int, int, str | None]
"""One call: task, model, output tokens with reasoning in them, reasoning tokens, and how it ended: `stop` or
`tool_calls`, `length` or any other word for an answer that was broken off, None where nobody said.
"""

BREVITY = "Answer in about {words} words."

_ENDED = ("stop", "tool_calls")
_STEP = 16
"""Limits are multiples of it: the least that every chat model takes, and a step that later calls seldom change."""
_WORDS_PER_TOKEN = 0.75
"""OpenAI's rule of thumb for English ("What are tokens and how to count them?"): 100 tokens are about 75 words."""
_WORDS = (20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500, 600, 800, 1000)
"""Round numbers, so that the line stays the same while its figure moves a little. A shorter answer needs no line."""
_SAME_LONGEST = 3
_ROUND = (50, 64)
"""So many longest answers of one and the same length, a multiple of one of these, look cut by somebody's limit."""


@dataclass(frozen=True, slots=True)
class _Answer:
    output: int
    reasoning: int
    cut: bool | None
    """None where nobody said how it ended."""


@dataclass(slots=True)
class OutputLengths:
    """The newest answers of every task and model."""

    cut_share: float = 0.01
    """How many of the further answers a limit may cut: one in a hundred."""
    confidence: float = 0.95
    """How sure to be of that, where there are calls enough (see `caps.sure_rank`)."""
    window: int = 1000
    """How many of the newest answers of a task and model count."""
    brevity: str | None = BREVITY
    """The line to add to questions, with `{words}` in it; None adds none."""
    _answers: dict[tuple[str, str], deque[_Answer]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.cut_share < 0.5 or not 0.5 <= self.confidence < 1:
            raise ConfigError(
                f"cut_share is {self.cut_share!r} and confidence {self.confidence!r}: give a share between 0 and 0.5, "
                "such as 0.01, and a confidence from 0.5 to below 1, such as 0.95"
            )
        needed = calls_needed(self.cut_share)
        if self.window < needed:
            raise ConfigError(f"window is {self.window!r}: a share of {self.cut_share} needs {needed} calls or more")
        if self.brevity is not None and "{words}" not in self.brevity:
            raise ConfigError(f"brevity is {self.brevity!r}: write {{words}} where the number goes, or give None")

    def learn(self, calls: Iterable[PastAnswer]) -> None:
        """Take in past calls, oldest first; those without an answer say nothing of its length."""
        for task, model, output, reasoning, finish in calls:
            if output > 0:
                cut = None if finish is None else finish not in _ENDED
                newest = self._answers.setdefault((task, model), deque(maxlen=self.window))
                newest.append(_Answer(output, min(max(reasoning, 0), output), cut))

    def plan(self, task: str, model: str, *, rate: Rate | None = None, input_tokens: int = 0) -> OutputPlan:
        """Plan the next answer of a task: a limit, a line, and why.

        With a `rate` a limit that would cost more than it saves is not set: an answer that is cut off is asked for
        again, at the price of `input_tokens` and a mean answer.
        """
        answers = self._answers.get((task, model), ())
        needed = calls_needed(self.cut_share)
        if len(answers) < needed:
            return OutputPlan(why=f"{needed - len(answers)} more calls needed: {len(answers)} of {needed} seen")
        totals = _lengths(answers, lambda one: one.output)
        shift = shifted(totals)
        if shift == "longer":
            return OutputPlan(why=f"the newest of {len(answers)} answers are longer than those before: no limit yet")
        plan = self._capped(answers, totals)
        if shift is None:
            plan = replace(plan, brevity=self._line(answers))
        return plan if rate is None else _worthwhile(plan, answers, rate, input_tokens)

    def _capped(self, answers: Sequence[_Answer], totals: Sequence[float]) -> OutputPlan:
        n, ordered = len(totals), sorted(totals)
        cut = sum(length == ENDLESS for length in totals)
        rank = sure_rank(n, self.cut_share, self.confidence)
        if ordered[rank - 1] == ENDLESS:
            # A limit in force cuts some answers itself: it must not lift itself while it cuts as few as it may.
            rank = conformal_rank(n, self.cut_share)
        longest = ordered[rank - 1]
        if longest == ENDLESS:
            return OutputPlan(
                why=f"{cut} of {n} answers were cut off, by a limit or otherwise: raise their limit, then learn anew"
            )
        cap = _stepped(longest)
        visible = sorted(_lengths(answers, lambda one: one.output - one.reasoning))[rank - 1]
        return OutputPlan(
            max_tokens=cap,
            reasoning_tokens=max(0, cap - _stepped(visible)),
            why=f"number {rank} by length of {n} answers has {longest:.0f} tokens"
            + (f"; {cut} that were cut off count as longer" if cut else ""),
        )

    def _line(self, answers: Sequence[_Answer]) -> str | None:
        visible = sorted(_lengths(answers, lambda one: one.output - one.reasoning))
        words = visible[len(visible) // 2] * _WORDS_PER_TOKEN
        if self.brevity is None or not _WORDS[0] <= words <= _WORDS[-1]:
            return None
        return self.brevity.format(words=min(_WORDS, key=lambda number: abs(number - words)))


def _lengths(answers: Iterable[_Answer], length: Callable[[_Answer], int]) -> list[float]:
    """Measure answers; one that was cut off has no end.

    Longer than all is on the safe side of whatever it would have come to: no rank falls by it.
    """
    answers = list(answers)
    longest = max(one.output for one in answers)
    ties = sum(one.output == longest for one in answers)
    unseen_limit = ties >= _SAME_LONGEST and any(longest % limit == 0 for limit in _ROUND)
    return [
        ENDLESS if one.cut or (one.cut is None and unseen_limit and one.output == longest) else float(length(one))
        for one in answers
    ]


def _stepped(length: float) -> int:
    return -(-int(length) // _STEP) * _STEP or _STEP


def _worthwhile(plan: OutputPlan, answers: Iterable[_Answer], rate: Rate, input_tokens: int) -> OutputPlan:
    if plan.max_tokens is None:
        return plan
    worth = cap_worth([one.output for one in answers], plan.max_tokens, rate, input_tokens=input_tokens)
    if worth is None:
        return replace(plan, why=f"{plan.why}; what that is worth is not known: {rate.version} lacks a price")
    told = f"over {worth.calls} calls it saves {worth.saved_pico} pico-USD and costs {worth.retries_pico} in retries"
    if worth.net_pico < 0:
        return replace(
            plan, max_tokens=None, reasoning_tokens=0, worth=worth,
            why=f"no limit: one of {plan.max_tokens} tokens does not pay ({told})",
        )  # fmt: skip
    return replace(plan, worth=worth, why=f"{plan.why}; {told}")
