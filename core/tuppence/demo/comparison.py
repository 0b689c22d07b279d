"""What one chain cost against the other, question by question: measured on both sides, nothing computed from a list.

A question counts only where both chains answered it at a known cost. A difference below zero stays below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tuppence.attempts import Attempt
from tuppence.demo.questions import Question
from tuppence.prices import PicoUSD

Source = Literal["exact cache", "rules", "cascade", "same model"]
"""How the changed chain came by an answer; `same model`: by asking the unchanged chain's model, once, as that does."""
RULES = "rules"
"""Name of the plain-function tier."""

# The policy's own default, from which it accepts an answer.
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One question, put to one chain."""

    question: Question
    text: str = ""
    ms: float = 0.0
    """What the caller waited: retrieval, framework and model together."""
    attempts: tuple[Attempt, ...] = ()
    tier: str | None = None
    """Who answered: a tier, a model that was only observed, or `cache`; None where nobody did."""
    check: str = ""
    """What the check said of the answer that it looked at last."""
    failure: str = ""

    @property
    def pico_usd(self) -> PicoUSD | None:
        """Sum of the attempts; None where nobody answered, or at an unknown price."""
        costs = [a.pico_usd for a in self.attempts if a.pico_usd is not None]
        return sum(costs) if self.tier is not None and len(costs) == len(self.attempts) else None

    @property
    def unused_pico(self) -> PicoUSD:
        """What was paid for answers that were not used."""
        unused = ("rejected", "failed", "abandoned")
        return sum(a.pico_usd or 0 for a in self.attempts if a.outcome in unused)

    @property
    def best_draft(self) -> bool:
        """The check did not accept the answer; it was given all the same, as the best there was."""
        return any(a.outcome == "accepted" and a.score is not None and a.score < THRESHOLD for a in self.attempts)

    @property
    def input_tokens(self) -> int:
        return sum(a.usage.input_tokens for a in self.attempts)

    @property
    def output_tokens(self) -> int:
        return sum(a.usage.output_tokens for a in self.attempts)


@dataclass(frozen=True, slots=True)
class Share:
    """The answers that came about in one way, and what they cost both times."""

    answers: int
    unchanged_pico: PicoUSD
    tuppence_pico: PicoUSD
    chance_pico: PicoUSD
    """The part of the difference that is no saving: both chains did the same work, at another moment."""

    @property
    def saved_pico(self) -> PicoUSD:
        """Below 0 where tuppence cost more."""
        return self.unchanged_pico - self.tuppence_pico - self.chance_pico


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of the same questions through one framework's chain."""

    title: str
    unchanged: tuple[Answered, ...]
    with_tuppence: tuple[Answered, ...]

    @property
    def pairs(self) -> list[tuple[Answered, Answered]]:
        """The questions that both answered at a known cost."""
        both = zip(self.unchanged, self.with_tuppence, strict=True)
        return [(a, b) for a, b in both if a.pico_usd is not None and b.pico_usd is not None]

    @property
    def total(self) -> Share:
        """Add everything up."""
        shares = self.shares.values()
        return Share(
            sum(s.answers for s in shares), sum(s.unchanged_pico for s in shares), sum(s.tuppence_pico for s in shares),
            sum(s.chance_pico for s in shares),
        )  # fmt: skip

    @property
    def shares(self) -> dict[Source, Share]:
        """Split the pairs by how the changed chain came by its answer."""
        return {source: _share(source, [p for p in self.pairs if _source(*p) == source]) for source in get_args(Source)}

    @property
    def unused_pico(self) -> PicoUSD:
        return sum(after.unused_pico for _, after in self.pairs)


def _source(unchanged: Answered, changed: Answered) -> Source:
    if changed.tier == "cache":
        return "exact cache"
    if changed.tier == RULES:
        return "rules"
    paid = [attempt for attempt in changed.attempts if attempt.tier != RULES]
    same = len(paid) == len(unchanged.attempts) == 1 and paid[0].model == unchanged.attempts[0].model
    return "same model" if same else "cascade"


def _share(source: Source, pairs: Sequence[tuple[Answered, Answered]]) -> Share:
    before, after = sum(a.pico_usd or 0 for a, _ in pairs), sum(b.pico_usd or 0 for _, b in pairs)
    return Share(len(pairs), before, after, before - after if source == "same model" else 0)
