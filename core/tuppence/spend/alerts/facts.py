"""What the rules look at: a few weeks of the ledger by the hour, read once for each check.

Nothing of a prompt or an answer is in it, only counts, tokens and money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from tuppence.spend.digest.segments import Period, Segment
from tuppence.spend.digest.weights import token_weights

HOUR_US = 3_600_000_000
SUMS = (
    "calls", "hits", "attempts", "failures", "input_tokens", "cached_tokens", "output_tokens", "pico_usd",
    "failed_pico", "retries",
)  # fmt: skip
"""Of `Segment`, in its order."""

Key = tuple[str | None, str, str]
"""Endpoint, tier and model."""
Between = Callable[[int, int], float]
"""A sum over the hours from one index up to another."""


class Totals:
    """One quantity by the hour, whose sum over any stretch costs two look-ups."""

    __slots__ = ("before",)

    def __init__(self, hourly: Iterable[float]) -> None:
        self.before = [0, *accumulate(hourly)]
        """Sums of all hours before each, and of all."""

    @classmethod
    def added(cls, several: Iterable[Totals]) -> Totals:
        """Add up totals of the same hours."""
        made = cls(())
        made.before = [sum(values) for values in zip(*(one.before for one in several), strict=True)] or [0]
        return made

    def between(self, start: int, end: int) -> float:
        """Sum the hours from `start` up to `end`; what lies outside of the facts is nothing."""
        last = len(self.before) - 1
        return self.before[min(max(end, 0), last)] - self.before[min(max(start, 0), last)]


@dataclass(frozen=True, slots=True)
class Run:
    """One session of a workflow."""

    workflow: str
    hour: int
    """When it began, as an index into the facts."""
    size: int
    """Input tokens of its first call: what it was given to work on."""
    calls: int


@dataclass(slots=True)
class Facts:
    """Hours from `first`, an hour since 1970; index 0 is that hour."""

    first: int
    sums: dict[Key, tuple[Totals, ...]] = field(default_factory=dict)
    """By endpoint, tier and model, in the order of `SUMS`."""
    scores: tuple[Totals, Totals] = field(default_factory=lambda: (Totals(()), Totals(())))
    """Sum and number of the scores that judges and people gave."""
    users: list[dict[str, int]] = field(default_factory=list)
    """Tokens of each user, by the hour."""
    runs: list[Run] = field(default_factory=list)
    """By hour."""
    _added: dict[tuple[str, tuple[Key, ...]], Between] = field(default_factory=dict)
    _begun: dict[str, Totals] = field(default_factory=dict)
    _weights: dict[tuple[str, int, int], tuple[float, float, float]] = field(default_factory=dict)

    @property
    def endpoints(self) -> list[str | None]:
        return sorted({key[0] for key in self.sums}, key=str)

    def keys(self, endpoint: str | None) -> Iterator[Key]:
        return (key for key in self.sums if key[0] == endpoint)

    def summed(self, quantity: str, keys: Iterable[Key]) -> Between:
        """Return the sum of a quantity over keys, as a function of the hours."""
        keys = tuple(keys)
        if (quantity, keys) not in self._added:
            place = SUMS.index(quantity)
            self._added[quantity, keys] = Totals.added([self.sums[key][place] for key in keys]).between
        return self._added[quantity, keys]

    def begun(self) -> dict[str, Totals]:
        """Return how many runs of each workflow began, by the hour."""
        if not self._begun:
            hours = max((len(totals[0].before) - 1 for totals in self.sums.values()), default=0)
            counts: dict[str, list[int]] = {}
            for run in self.runs:
                if 0 <= run.hour < hours:
                    counts.setdefault(run.workflow, [0] * hours)[run.hour] += 1
            self._begun.update({name: Totals(column) for name, column in sorted(counts.items())})
        return self._begun

    def weights(self, model: str, past: tuple[int, int]) -> tuple[float, float, float]:
        """Return what the model's kinds of tokens cost, as its days say."""
        at = model, past[0] // 24, past[1] // 24
        if at not in self._weights:
            keys = [key for key in self.sums if key[2] == model]
            each = [self.summed(one, keys) for one in SUMS]
            days = [
                Segment(None, "", model, *(round(one(day * 24, day * 24 + 24)) for one in each))
                for day in range(at[1], at[2])
            ]  # fmt: skip
            self._weights[at] = token_weights({model: days})[model]
        return self._weights[at]

    def period(self, spans: Sequence[tuple[int, int]], keys: Iterable[Key]) -> Period:
        """Return the mean of stretches of hours, in whole numbers."""
        segments = []
        for key in keys:
            found = [round(sum(one.between(*span) for span in spans) / max(1, len(spans))) for one in self.sums[key]]
            # Attempts after failures took the place of an answer; only the others repeat one.
            repeats, failed = SUMS.index("retries"), SUMS.index("failures")
            found[repeats] = max(0, found[repeats] - found[failed])
            if any(found):
                segments.append(Segment(*key, *found))
        return Period(tuple(segments))
