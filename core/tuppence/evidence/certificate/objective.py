"""What is wanted of a certified policy: money, quality or speed, and what it must keep within.

Chooses among thresholds that are certified already, so no choice here can break a promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from tuppence.errors import ConfigError
from tuppence.evidence.certificate.economics import Figures

Prefer = Literal["cost", "quality", "speed"]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """Which of the certified thresholds to take, and limits that it must keep."""

    prefer: Prefer = "cost"
    """`cost`: the cheapest; `quality`: the best lower bound of quality; `speed`: the lowest mean latency. Each must
    save money."""
    max_usd_per_call: Decimal | None = None
    """Mean cost a call, as estimated."""
    max_latency_ms: float | None = None
    """The 95th percentile, as estimated: a mean hides those who wait longest."""
    min_quality: float | None = None
    """Mean quality, by its lower bound with probability 1 - delta."""

    def __post_init__(self) -> None:
        preferred(self.prefer)
        limit = self.max_usd_per_call
        if limit is not None and not (limit.is_finite() and limit > 0):
            raise ConfigError(f"max_usd_per_call is {limit}: it must be a positive amount of dollars, or None")
        if self.max_latency_ms is not None and not self.max_latency_ms > 0:
            raise ConfigError(f"max_latency_ms is {self.max_latency_ms}: it must be above 0, or None")
        if self.min_quality is not None and not 0.0 <= self.min_quality <= 1.0:
            raise ConfigError(f"min_quality is {self.min_quality}: it is a mean score, between 0 and 1, or None")

    @property
    def needs_latency(self) -> bool:
        """Say whether it can only be met with latencies."""
        return self.prefer == "speed" or self.max_latency_ms is not None

    @property
    def needs_quality(self) -> bool:
        """Say whether lower bounds of quality must be worked out, which takes some milliseconds."""
        return self.prefer == "quality" or self.min_quality is not None

    def allowed(self, among: Index, figures: Figures, quality_low: npt.NDArray[np.float64]) -> Index:
        """Keep the thresholds that hold to the limits; `quality_low` has one value a member of `among`."""
        kept = np.ones(len(among), dtype=bool)
        if self.max_usd_per_call is not None:
            kept &= figures.usd[among] <= float(self.max_usd_per_call)
        if self.max_latency_ms is not None and figures.p95_ms is not None:
            kept &= figures.p95_ms[among] <= self.max_latency_ms
        if self.min_quality is not None:
            kept &= quality_low >= self.min_quality
        return among[kept]

    def best(self, among: Index, figures: Figures, ratio_low: npt.NDArray[np.float64]) -> int:
        """Return the preferred threshold of some; of equals the cheapest. `ratio_low` has one value a member."""
        if self.prefer == "quality":
            first = -ratio_low
        elif self.prefer == "speed" and figures.mean_ms is not None:
            first = figures.mean_ms[among]
        else:
            first = figures.usd[among]
        return int(among[np.lexsort((figures.usd[among], first))[0]])

    def spelt(self) -> str:
        """Name the limits."""
        limits = {
            f"${self.max_usd_per_call} a call": self.max_usd_per_call,
            f"{self.max_latency_ms:g} ms for 95% of the calls" if self.max_latency_ms else "": self.max_latency_ms,
            f"a mean quality of {self.min_quality}": self.min_quality,
        }
        return ", ".join(said for said, limit in limits.items() if limit is not None)


def preferred(word: str) -> Prefer:
    """Read a preference; raises `ConfigError` for a word that is none."""
    for known in get_args(Prefer):
        if word == known:
            return cast("Prefer", known)
    raise ConfigError(f"prefer is {word!r}: it is one of {', '.join(get_args(Prefer))}")
