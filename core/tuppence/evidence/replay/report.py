"""What a replay found, as data: one policy or two, and the controls that no figure of theirs is shown without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tuppence.evidence.metrics.curves import Curve
from tuppence.evidence.replay.bootstrap import Figure


@dataclass(frozen=True, slots=True)
class Arm:
    """What one policy would have done. Figures are over the rows compared, intervals hold 95 %."""

    calls: int
    usd: Decimal
    """What all calls cost together, exactly."""
    usd_per_call: Figure | None
    quality: Figure | None
    """Mean score, over the compared rows whose answers are graded under all policies."""
    saved: Figure | None
    """Share of the strongest model's cost that is saved, over the complete rows; below 0 for a loss."""
    over_random: Figure | None
    """Quality above that of a random mix of the models at the same cost, over the complete rows."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    """Sum over a call's attempts, as recorded; None where no row was timed."""
    tiers: Mapping[str, float]
    """Share of the answers that each tier gave."""
    escalated: float
    """Share of the calls that went past a draft which its check rejected."""
    fell_short: float
    """Share of the calls that ended with a draft which its check had rejected."""
    attempts_per_call: float
    unanswered: int
    """Calls that ended without an answer: they count with a score of 0."""
    ungraded: int
    """Answers that nobody graded: they count in the cost, and not in the quality."""
    estimated: int
    """Calls with a price that rests on an estimate of tokens."""
    textless: int
    """Calls whose answers were recorded without their text, so that checks saw an empty one."""
    unpriced: int
    """Rows left out because a call in them has no price."""
    missing: Mapping[str, int]
    """Rows left out because they lack an outcome that the policy asks for, by what they lack."""


@dataclass(frozen=True, slots=True)
class Control:
    """What a router must be compared with, over the complete rows."""

    usd_per_call: Figure | None
    quality: Figure | None
    saved: Figure | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The policy less the one that it is held against, with a paired interval."""

    usd_per_call: Figure | None
    quality: Figure | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay found."""

    rows: int
    """All rows that were read."""
    compared: int
    """Those that all policies could be replayed on, at a known price."""
    complete: int
    """Those of them that are graded, and on which every model of the policy's ladder was asked, priced and graded."""
    policy: Arm
    against: Arm | None
    difference: Difference | None
    only_cached: int
    """Recorded calls that a cache answered: no model was asked, so none can be replayed."""
    models: Mapping[str, Control]
    """Each model of the policy's ladder alone, by its tier's name, cheapest first."""
    controls: Mapping[str, Control]
    """`cheap_only`, `strong_only`, `oracle`; at the policy's cost `random` and, with two labels, `task_label`."""
    curve: Curve | None = None
    """Cost in USD a call against quality, over thresholds, where they were asked for."""
    apgr: float | None = None
    """The curve's average performance gap recovered on the axis of cost; None without a curve or a gap."""
    names: tuple[str, ...] = field(default=("policy", "against"))
    """What to call the policies where they are shown."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON: money as exact decimal text where it is a sum, as numbers where it is a mean."""
        found: dict[str, Any] = {
            "rows": self.rows, "compared": self.compared, "complete": self.complete,
            "only_cached": self.only_cached,
            "policy": _plain(self.policy), "against": _plain(self.against), "difference": _plain(self.difference),
            "models": _plain(self.models), "controls": _plain(self.controls), "apgr": self.apgr,
        }  # fmt: skip
        if self.curve is not None:
            points = [self.curve[index] for index in range(len(self.curve))]
            found["curve"] = [
                {
                    "threshold": None if point.threshold > 1.0 else point.threshold, "kept": point.kept,
                    "usd_per_call": point.cost, "quality": point.quality,
                }
                for point in points
            ]  # fmt: skip
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, Arm | Control | Difference | Figure):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return f"{value:f}" if isinstance(value, Decimal) else value
