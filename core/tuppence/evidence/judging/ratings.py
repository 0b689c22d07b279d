"""The two ways of judging: grades of one answer, and a comparison with the strongest tier's.

A judge prefers the answer that it reads first, or last, more often than it should (L. Zheng et al., "Judging
LLM-as-a-Judge with MT-Bench and Chatbot Arena", NeurIPS 2023, section 3.3). So a comparison is asked twice with the
places changed, and an answer is better only if it is so in both (section 3.4); the place that won both times is kept,
to report the bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tuppence.attempts import Result
from tuppence.errors import ConfigError
from tuppence.evidence.judging import questions
from tuppence.evidence.judging.asking import Ask, Asked, asked
from tuppence.evidence.judging.judgements import Leaning
from tuppence.evidence.judging.reading import read_comparison, read_grades
from tuppence.request import Reply, Request
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class Grade:
    """A judge's verdict."""

    accuracy: int | None = None
    fluency: int | None = None
    preference: float | None = None
    leaning: Leaning = ""
    reason: str = ""


class Rating(Protocol):
    """A way of judging."""

    @property
    def mode(self) -> str: ...
    @property
    def instructions(self) -> str:
        """The words that the judge is told; scores under others do not compare."""
        ...

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """Who is asked beside the judge."""
        ...

    def suits(self, request: Request, result: Result, /) -> bool:
        """Say whether this way of judging says anything of the call."""
        ...

    def grade(self, request: Request, reply: Reply, ask: Ask, /) -> Grade:
        """Ask the judge; raises `Unreadable` for a verdict that is none, and what the models raise."""
        ...


@dataclass(frozen=True, slots=True)
class Rated:
    """Grades accuracy and fluency from 1 to 5; `rubric` says what the grades stand for."""

    rubric: str = questions.RUBRIC
    instructions: str = field(init=False)
    mode: str = field(default="rated", init=False)
    tiers: tuple[Tier, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        if not self.rubric.strip():
            raise ConfigError("the rubric is empty: say what the grades 1 to 5 of accuracy and fluency stand for")
        object.__setattr__(self, "instructions", questions.rating_instructions(self.rubric))

    def suits(self, request: Request, result: Result) -> bool:
        return True

    def grade(self, request: Request, reply: Reply, ask: Ask) -> Grade:
        accuracy, fluency, reason = read_grades(ask(questions.rating(request, reply, self.instructions)))
        return Grade(accuracy, fluency, reason=reason)


# By the places that won, the answer standing first and then second: whether it is better, and which place won twice.
_OUTCOMES: Mapping[tuple[str, str], tuple[float, Leaning]] = {
    ("first", "second"): (1.0, ""),
    ("second", "first"): (0.0, ""),
    ("first", "first"): (0.5, "first"),
    ("second", "second"): (0.5, "second"),
}


class Pairwise:
    """Compares with what `strongest` answers to the same conversation: a facade of that tier alone, as for the judge.

    Where the strongest tier itself answered there is nothing to compare; nor where tools, pictures or sound belong to
    the conversation, which is asked anew as text, with the settings of `strongest` and without those of the call.
    """

    mode = "pairwise"

    def __init__(self, strongest: Any) -> None:
        self._strongest: Asked = asked(strongest)
        self.tiers = self._strongest.tiers
        self.instructions = questions.comparing_instructions()

    def suits(self, request: Request, result: Result) -> bool:
        plain = not request.tools and all(m.role != "tool" and not m.media for m in request.messages)
        return plain and result.tier != result.decision.baseline

    def grade(self, request: Request, reply: Reply, ask: Ask) -> Grade:
        ours, theirs = questions.answer_text(reply), self._strongest.ask(request.messages)
        pairs = (ours, theirs), (theirs, ours)
        asked_twice = [read_comparison(ask(questions.comparing(request, *pair, self.instructions))) for pair in pairs]
        (one, why), (two, _) = asked_twice
        preference, leaning = _OUTCOMES.get((one, two), (0.5, ""))
        return Grade(preference=preference, leaning=leaning, reason=why)
