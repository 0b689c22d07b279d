"""What one piece of advice is: what to do, what it is expected to save in a month, how sure that is, and what in the
user's own calls says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from tuppence.prices import PicoUSD, usd

Effort = Literal["low", "medium", "high"]

WEIGHTS: dict[Effort, int] = {"low": 1, "medium": 4, "high": 16}
"""How much more a pair of hands has to do: a line in a file, labels or a change of a program, a project. Chosen by
hand; only the order of the advice depends on them."""


@dataclass(frozen=True, slots=True)
class Range:
    """Money a month."""

    expected_pico: PicoUSD
    low_pico: PicoUSD
    high_pico: PicoUSD

    def __post_init__(self) -> None:
        assert self.low_pico <= self.expected_pico <= self.high_pico

    def between(self, low: float, expected: float, high: float) -> Range:
        """Return what shares of this are: the least, the expected and the most that may come of it."""
        return Range(round(self.expected_pico * expected), round(self.low_pico * low), round(self.high_pico * high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing to do."""

    lever: str
    """Which kind of saving: `exact cache`, `prefix cache`, `retries` ..."""
    do: str
    """What to do, in one sentence."""
    saves: Range
    effort: Effort
    evidence: tuple[str, ...]
    """Figures of the user's own calls, and what was supposed beyond them."""
    site: str = ""
    """The task or endpoint that it is about; empty for all calls."""
    config: str = ""
    """Lines for the policy's file; empty where none would do it."""
    overlaps: tuple[str, ...] = field(default=())
    """Other advice that counts on the same money."""

    @property
    def usd(self) -> Decimal:
        return usd(self.saves.expected_pico)

    @property
    def worth(self) -> float:
        """Expected money for the effort: what the advice is ranked by."""
        return self.saves.expected_pico / WEIGHTS[self.effort]


@dataclass(frozen=True, slots=True)
class NotKnown:
    """A saving that nothing can be said about yet, and what would tell."""

    lever: str
    needs: str


@dataclass(frozen=True, slots=True)
class Advised:
    """All that can be said, the best first."""

    advice: tuple[Advice, ...]
    unknown: tuple[NotKnown, ...]
    calls: int
    days: int
    """Days from the first call to the last."""
    month_pico: PicoUSD
    """What a month costs at this rate."""

    @property
    def together_pico(self) -> PicoUSD:
        """What all would save if each took its share of what the others left: no sum, since they overlap."""
        left = 1.0
        for one in self.advice:
            left *= 1.0 - min(1.0, one.saves.expected_pico / self.month_pico)
        return round(self.month_pico * (1.0 - left))
