"""Entries of a semantic cache in this process: fast, and gone with it. It must never grow past its bounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from tuppence.cache.stores.entry_index import EntryIndex
from tuppence.cache.stores.eviction import MAX_BYTES, MAX_ENTRIES, Bounds, GreedyDual, size_of
from tuppence.effects import Entry, Neighbour
from tuppence.embed import Vector
from tuppence.forks import make_fork_safe


class MemorySimilarStore:
    """A thread-safe `SimilarStore`; where there is no room, the answers that are cheapest to buy again go.

    `max_bytes` counts vectors, values and questions, not Python's own overhead; an entry of more than a sixteenth of it
    is not kept at all. `clock` gives Unix seconds. Raises `ConfigError` where the extra `semantic` is not installed.
    """

    def __init__(
        self,
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bounds = Bounds(max_entries, max_bytes)
        self._ranks = GreedyDual(self._bounds)
        self._clock = clock
        self._index = EntryIndex()
        make_fork_safe(self._index)

    def nearest(self, scope: str, vector: Vector, k: int, /) -> list[Neighbour]:
        with self._index.lock:
            self._expire()
            return self._index.nearest(scope, vector, k)

    async def anearest(self, scope: str, vector: Vector, k: int, /) -> list[Neighbour]:
        return self.nearest(scope, vector, k)

    def add(self, entry: Entry, /) -> None:
        size = size_of(entry)
        with self._index.lock:
            self._index.add(entry)
            self._ranks.put(entry.id, pico_usd=entry.pico_usd, size=size)
            if not self._bounds.admit(size):
                self._discard(entry.id)
            self._expire()
            while (gone := self._ranks.evicted()) is not None:
                self._index.discard(gone)

    def used(self, id: str, /) -> None:  # noqa: A002 (the entry's own word)
        with self._index.lock:
            self._ranks.hit(id)

    def remove(self, ids: Iterable[str], /) -> int:
        with self._index.lock:
            self._expire()
            return sum(self._discard(id_) for id_ in ids)

    def invalidate(self, tag: str, /) -> int:
        with self._index.lock:
            self._expire()
            return sum(self._discard(id_) for id_ in self._index.tagged(tag))

    def entries(self, scope: str | None = None, /) -> Sequence[tuple[Entry, int]]:
        with self._index.lock:
            self._expire()
            return [(entry, self._ranks.hits(entry.id)) for entry in self._index.entries(scope)]

    def flush(self) -> None:
        """Return; nothing here outlives the process."""

    def clear(self) -> None:
        with self._index.lock:
            self._index.clear()
            self._ranks.clear()

    def close(self) -> None:
        self.clear()

    def _expire(self) -> None:
        for gone in self._index.expire(self._clock()):
            self._ranks.forget(gone)

    def _discard(self, id: str) -> bool:  # noqa: A002
        self._ranks.forget(id)
        return self._index.discard(id)
