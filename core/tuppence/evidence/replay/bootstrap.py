"""Intervals for sums over a stream of rows, in one pass and in memory that does not grow: the Poisson bootstrap.

Each row is counted 0, 1, 2 ... times in each of many resamples, by independent Poisson(1) weights in place of drawing n
of n rows: Hanley and MacGibbon, "Creating non-parametric bootstrap samples using Poisson frequencies", Computer
Methods and Programs in Biomedicine 83 (2006); Chamandy et al., "Estimating uncertainty for massive data streams",
Google (2012). The weights come from a hash of the row's id, so that policies which are compared weigh each row alike
(the bootstrap is paired), a row that comes twice is drawn as one, and the same rows give the same interval.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]
"""Turns sums, one row a resample, into one value a resample."""

DRAWS = 1_000
_LEVEL = 0.95
# A row's resamples are drawn four at a time, 16 bits each.
_A_WORD = 4
_LEVELS = 1 << 16
# The constants of splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))
_LAST = np.uint64(31)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, and the interval that holds it with 95 % confidence; the ends are None where there is no interval."""

    value: float
    low: float | None = None
    high: float | None = None


def row_key(row_id: str) -> int:
    """Hash a row's id to 64 bits."""
    digest = hashlib.blake2b(row_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class PoissonBootstrap:
    """Sums of columns over all rows, as they are and in each resample."""

    __slots__ = ("_counters", "draws", "total")

    def __init__(self, columns: int, *, draws: int = DRAWS) -> None:
        words = -(-draws // _A_WORD)
        self._counters = (np.arange(1, words + 1, dtype=np.uint64) * _STEP)[None, :]
        self.total = np.zeros(columns)
        self.draws = np.zeros((words * _A_WORD, columns))

    def add(self, keys: NDArray[np.uint64], values: FloatArray) -> None:
        """Add rows: one key a row, and (rows, columns) values without gaps."""
        self.total += values.sum(axis=0)
        # Half the bytes, twice the speed; what a sum over one chunk loses is far below what resampling varies.
        self.draws += self._weights(keys).T @ values.astype(np.float32)

    def figure(self, statistic: Statistic) -> Figure | None:
        """Return a statistic of the sums with its percentile interval; None where it is not defined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(statistic(self.total[None, :])[0])
            drawn = statistic(self.draws)
        if not math.isfinite(value):
            return None
        drawn = drawn[np.isfinite(drawn)]
        if not len(drawn):
            return Figure(value)
        low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        return Figure(value, float(low), float(high))

    def _weights(self, keys: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Return how often each row is in each resample, (rows, draws)."""
        words = keys[:, None] + self._counters
        for shift, factor in _MIX:
            words ^= words >> shift
            words *= factor
        words ^= words >> _LAST
        return np.take(_POISSON, words.view(np.uint16))


def _poisson_table() -> NDArray[np.float32]:
    """Return Poisson(1) quantiles of 65,536 equally likely levels."""
    cumulated = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(16)])
    return np.searchsorted(cumulated, (np.arange(_LEVELS) + 0.5) / _LEVELS).astype(np.float32)


_POISSON = _poisson_table()
