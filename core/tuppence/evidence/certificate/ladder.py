"""What one policy would have done on labelled questions, at each of its thresholds. Arrays only.

This is all that the certificate knows of a policy: how it decides, what it learned and from which features is nothing
to it. So whatever can be set by one number can be certified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuppence.errors import ConfigError

try:
    import numpy as np
    from numpy.typing import NDArray
except ImportError as error:
    raise ConfigError("a certificate needs numpy: pip install 'tuppence[evidence]'") from error

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """One policy at G thresholds on n labelled questions; strictest first, column i is one question.

    Raises `ConfigError` for shapes that do not fit, quality outside [0, 1], and costs or latencies that are missing.
    """

    thresholds: FloatArray
    """(G,) Strictest first: the first asks the strongest tier most often."""
    quality: FloatArray
    """(G, n) in [0, 1]: quality of what the policy at threshold g would have answered."""
    cost: FloatArray
    """(G, n) USD: all calls that it would have made, drafts, helpers and judges too."""
    strongest_quality: FloatArray
    """(n,) in [0, 1]: quality of the strongest tier alone."""
    strongest_cost: FloatArray
    """(n,) USD: one call of the strongest tier, and nothing beside it."""
    latency_ms: FloatArray | None = None
    """(G, n) From the question to the answer that is kept; None where the rows have none."""

    def __post_init__(self) -> None:
        _validate(self)

    @property
    def labels(self) -> int:
        """Number of questions, n."""
        return len(self.strongest_quality)


def _validate(ladder: Ladder) -> None:
    grid, labels = len(ladder.thresholds), ladder.labels
    columns: dict[str, tuple[Any, tuple[int, ...]]] = {
        "thresholds": (ladder.thresholds, (grid,)),
        "quality": (ladder.quality, (grid, labels)),
        "cost": (ladder.cost, (grid, labels)),
        "strongest_quality": (ladder.strongest_quality, (labels,)),
        "strongest_cost": (ladder.strongest_cost, (labels,)),
    }
    if ladder.latency_ms is not None:
        columns["latency_ms"] = (ladder.latency_ms, (grid, labels))
    if not grid:
        raise ConfigError("the ladder has no thresholds: give at least the one that asks the strongest tier only")
    for name, (values, shape) in columns.items():
        if np.shape(values) != shape:
            raise ConfigError(f"{name} has the shape {np.shape(values)}: {grid} thresholds and {labels} questions "
                              f"need {shape}")  # fmt: skip
    if np.isnan(ladder.thresholds).any():
        raise ConfigError("a threshold is NaN: thresholds are numbers, or infinite where a policy never or always asks")
    for name in ("quality", "strongest_quality"):
        _within(name, columns[name][0], most=1.0, fix="scale the scores before")
    for name in ("cost", "strongest_cost", "latency_ms"):
        if name in columns:
            _within(name, columns[name][0], most=np.finfo(np.float64).max, fix="leave out questions without one")


def _within(name: str, values: FloatArray, *, most: float, fix: str) -> None:
    strange = values[~((values >= 0.0) & (values <= most))]
    if len(strange):
        span = "lies between 0 and 1" if most == 1.0 else "is a number of 0 or more"
        raise ConfigError(f"{name} holds {strange[0]}: each {span}; {fix}")
