"""Room for the semantic cache's entries in Redis: which go when there are too many, or when they are too large.

Redis has no order of all entries by what they are worth. So random samples are weighed, and of each the least go; what
all take together is told from samples, too: exactly while one sample holds all, else to within some percent. It must
never let go of more than that, and one in a hundred.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from tuppence.cache.stores import redis_search as search
from tuppence.cache.stores.eviction import Bounds
from tuppence.cache.stores.redis_documents import Names
from tuppence.cache.stores.redis_link import RedisLink

SAMPLE = 128
GO = 12
"""Of `SAMPLE` entries so many go when there is no room: one in ten, where Redis's own eviction takes one in five."""
WINDOWS = 16
"""Stretches of lots that a sample is put together from: a single one may have lost its cheap entries before."""
REMEMBERED = 16
"""Samples that an entry's mean size is taken over: 2,000 entries, which tell it to 2 % where sizes vary by as much as
their mean."""


class Room:
    """The room under one prefix, for each vector length; for one thread at a time. Raises `CacheError`."""

    def __init__(
        self,
        link: RedisLink,
        names: Names,
        bounds: Bounds,
        clock: Callable[[], float],
        drop: Callable[[Sequence[str]], int],
    ) -> None:
        self._link = link
        self._names = names
        self._bounds = bounds
        self._clock = clock
        self._drop = drop
        # The first batch tidies up what earlier processes left.
        self._entries = bounds.max_entries or 0
        self._bytes = bounds.max_bytes or 0
        self._means: dict[int, tuple[float, int]] = {}

    def is_due(self, entries: int, size: int) -> bool:
        """Note what was written; say whether to look now if there is room left."""
        self._entries += entries
        self._bytes += size
        # What was written since the last look may have taken a hundredth of the room.
        many = self._bounds.max_entries is not None and self._entries > self._bounds.max_entries // 100
        large = self._bounds.max_bytes is not None and self._bytes > self._bounds.max_bytes // 100
        if not many and not large:
            return False
        self._entries = self._bytes = 0
        return True

    def make(self, dimensions: int) -> None:
        """Where a bound is passed, let the entries of least worth go, of one random sample after the other."""
        entries = search.documents_in(self._link.run(("FT.INFO", self._names.index(dimensions)))[0])
        is_short = False
        while self._bounds.max_bytes is not None or self._bounds.passed(entries, entries) or is_short:
            keys = self._sample(dimensions, entries)
            weights = self._link.run(*(search.weigh(self._names, key) for key in keys)) if keys else []
            is_all = len(keys) >= entries
            mean = self._mean(dimensions, [search.size(weight) for weight in weights if weight], is_all=is_all)
            is_short = is_short or self._bounds.passed(entries, entries * mean)
            excess = self._excess(entries, mean) if is_short else 0
            now = self._clock()
            ranks = sorted(zip(keys, weights, strict=True), key=lambda one: search.worth(one[1], now))
            # A sample of all may lose all that is too much.
            going = [key for key, _ in ranks[: excess if is_all else min(excess, GO)]]
            if excess <= 0 or not going:
                return
            self._drop(going)
            entries -= len(going)

    def _excess(self, entries: int, mean_size: float) -> int:
        """Count what must go until there is room for a hundredth more."""
        most, size = self._bounds.max_entries, self._bounds.max_bytes
        by_count = 0 if most is None else entries - _with_slack(most)
        by_size = 0.0 if size is None else entries - _with_slack(size) / mean_size
        return max(by_count, math.ceil(by_size))

    def _sample(self, dimensions: int, entries: int) -> list[str]:
        if entries <= SAMPLE:
            return search.keys(self._link.run(search.find(self._names, dimensions, "*", 0, SAMPLE))[0])
        width = SAMPLE / WINDOWS / entries
        begins = [random.random() * (1 - width) for _ in range(WINDOWS)]
        windows = (f"@lot:[{begin:.9f} {begin + width:.9f}]" for begin in begins)
        found = self._link.run(*(search.find(self._names, dimensions, query, 0, SAMPLE) for query in windows))
        return list({key for answer in found for key in search.keys(answer)})

    def _mean(self, dimensions: int, sizes: Sequence[float], *, is_all: bool) -> float:
        """Return the mean size of an entry in bytes, as this sample and those before it tell it."""
        mean = sum(sizes) / len(sizes) if sizes else 1.0
        if is_all:
            return mean
        known, samples = self._means.get(dimensions, (mean, 0))
        samples = min(samples + 1, REMEMBERED)
        known += (mean - known) / samples
        self._means[dimensions] = known, samples
        return known


def _with_slack(bound: int) -> int:
    return bound - bound // 100
