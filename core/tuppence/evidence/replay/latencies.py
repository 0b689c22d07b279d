"""How long calls took, in memory that does not grow: a histogram whose buckets are a hundredth apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# From a microsecond to a day in steps of one per cent: a quantile is then off by half a per cent at most. The same idea
# as DDSketch (Masson, Rim and Lee, VLDB 2019), with its buckets laid out beforehand.
_STEP = math.log(1.01)
_LEAST_MS, _MOST_MS = 1e-3, 86_400_000.0
_BUCKETS = math.ceil(math.log(_MOST_MS / _LEAST_MS) / _STEP) + 2


class Latencies:
    """A histogram of milliseconds."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, dtype=np.int64)

    def add(self, latencies_ms: Sequence[float]) -> None:
        if not latencies_ms:
            return
        bounded = np.clip(np.asarray(latencies_ms, dtype=np.float64), _LEAST_MS, _MOST_MS)
        places = np.rint(np.log(bounded / _LEAST_MS) / _STEP).astype(np.int64)
        self._counts += np.bincount(places, minlength=_BUCKETS)

    def quantile(self, share: float) -> float | None:
        """Return the latency that `share` of the calls stayed within, to half a per cent; None without calls."""
        total = int(self._counts.sum())
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return _LEAST_MS * math.exp(place * _STEP)
