"""Entries of a semantic cache in a file: shared by the processes of one machine, still there after a restart.

It must never serve a torn entry, never make a call wait for the disk, and never grow past its bounds.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from tuppence.cache.stores.eviction import MAX_BYTES, MAX_ENTRIES, Bounds, size_of
from tuppence.cache.stores.replica import Replica
from tuppence.cache.stores.similar_rows import SCHEMA, SimilarRows, invalidate, listed, pack
from tuppence.cache.stores.sqlite_file import SharedConnection, create
from tuppence.cache.stores.write_behind import Change, WriteBehind
from tuppence.effects import Entry, Neighbour
from tuppence.embed import Vector
from tuppence.forks import make_fork_safe


class SqliteSimilarStore:
    """A `SimilarStore` in one SQLite file (WAL), for many threads and processes.

    Lookups are made in memory, where each process keeps all entries: what another one has added, removed or invalidated
    is seen by the next lookup. `add` returns at once, a thread commits within milliseconds; a process that is killed
    loses what it had not committed, and `flush` returns when all is. Where there is no room, the answers that are
    cheapest to buy again go; `max_bytes` counts vectors, values and questions, and an entry of more than a sixteenth of
    it is not kept at all. All processes should give the same bounds. `clock` gives Unix seconds.

    Raises `CacheError` where the file cannot be opened and `ConfigError` where the extra `semantic` is not installed.
    Later, `sqlite3.Error`: of a method's own failure, and from `add` that of an earlier commit, which is retried.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bounds = Bounds(max_entries, max_bytes)
        self._clock = clock
        file = Path(path).absolute()
        self._replica = Replica(file)
        create(file, SCHEMA)
        self._rows = SimilarRows(file, self._bounds, clock)
        self._changes = WriteBehind(self._rows.commit, self._rows.release)
        # One of its own for what waits for other processes' locks: a lookup does not wait behind it.
        self._others = SharedConnection(file)
        make_fork_safe(self._replica)
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, _close, self._changes, self._replica, self._others)
        self._follow()

    def nearest(self, scope: str, vector: Vector, k: int, /) -> list[Neighbour]:
        self._follow()
        return self._replica.nearest(scope, vector, k, self._clock())

    async def anearest(self, scope: str, vector: Vector, k: int, /) -> list[Neighbour]:
        """Do as `nearest` does; what has to read the file, or to wait for who does, does so on a thread."""
        if not self._replica.lock.acquire(blocking=False):
            return await asyncio.to_thread(self.nearest, scope, vector, k)
        try:
            if not self._replica.is_behind():
                return self._replica.nearest(scope, vector, k, self._clock())
        finally:
            self._replica.lock.release()
        return await asyncio.to_thread(self.nearest, scope, vector, k)

    def add(self, entry: Entry, /) -> None:
        self._follow()
        now = self._clock()
        if not self._bounds.admit(size_of(entry)):
            self.remove([entry.id])
            return
        stamp = uuid.uuid4().hex
        self._replica.add(entry, stamp)
        self._changes.add(entry.id, Change(pack(entry, stamp), now, entry.expires_at, entry.tags))

    def used(self, id: str, /) -> None:  # noqa: A002 (the entry's own word)
        self._changes.touch(id)

    def remove(self, ids: Iterable[str], /) -> int:
        """Delete entries; return how many there were. They are not found again here, and soon not elsewhere."""
        self._follow()
        gone, now = list(ids), self._clock()
        there = sum(self._replica.discard(id_, now) for id_ in gone)
        self._queue_removals(gone)
        return there

    def invalidate(self, tag: str, /) -> int:
        """Delete every entry that has `tag`, of every process; return how many could still have been served.

        Raises `sqlite3.Error` where the file cannot be written; nothing is deleted then.
        """
        self.flush()
        now = self._clock()
        there = self._others.run(lambda rows: invalidate(rows, tag, now))
        self._follow()
        return there

    def entries(self, scope: str | None = None, /) -> Sequence[tuple[Entry, int]]:
        self.flush()
        now = self._clock()
        return self._others.run(lambda rows: listed(rows, scope, now))

    def flush(self) -> None:
        """Return once all that was added would survive a kill -9, or raise `sqlite3.Error`."""
        self._changes.flush()

    def clear(self) -> None:
        """Delete every entry, those of other processes too; raises `sqlite3.Error` where that fails."""
        self._changes.clear(self._rows.erase)
        self._replica.clear()

    def close(self) -> None:
        """Commit what can be committed and close the file; never raises, so `flush` first to know."""
        self._close()

    def _follow(self) -> None:
        torn = self._replica.follow()
        if torn:
            # That earlier changes could not be written is no failure of a lookup.
            with suppress(sqlite3.Error):
                self._queue_removals(torn)

    def _queue_removals(self, ids: Iterable[str]) -> None:
        """Queue all, then raise what an earlier commit may have failed of."""
        now, fault = self._clock(), None
        for id_ in ids:
            try:
                self._changes.add(id_, Change(None, now, None))
            except sqlite3.Error as error:
                fault = error
        if fault is not None:
            raise fault


def _close(changes: WriteBehind, replica: Replica, others: SharedConnection) -> None:
    changes.close()
    replica.close()
    others.close()
