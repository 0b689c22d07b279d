"""Cached answers in a file: shared by the processes of one machine, still there after a restart.

It must never serve half a value, never wait longer than `BUSY_S` for another process's lock, and never carry
an open connection across a fork (SQLite's file locks would be lost with it).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from tuppence.cache.leases import Named
from tuppence.cache.stored import Stored
from tuppence.cache.stores import sqlite_rows
from tuppence.cache.stores.eviction import Bounds
from tuppence.cache.stores.sqlite_file import SharedConnection, create, is_busy
from tuppence.cache.stores.write_behind import Change, WriteBehind


class SqliteStore:
    """A store in one SQLite file (WAL), for many threads and processes.

    `put` returns at once: a thread commits within milliseconds. A process that is killed loses what it had
    not committed; `flush` returns when all is. Where there is no room, the answers that are cheapest to buy again go;
    `max_bytes` counts values, and one of more than a sixteenth of it is not kept at all. `max_share_per_tenant`, such
    as 0.25, is the part of both bounds that one tenant's answers may take. All processes should give the same bounds.
    `clock` gives Unix seconds.

    Raises `CacheError` where the file cannot be opened. Later, `get` raises `sqlite3.Error` for its own
    failure, and `put` for that of an earlier commit, which is retried.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int = 100_000,
        max_bytes: int | None = None,
        max_share_per_tenant: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bounds = Bounds(max_entries, max_bytes, max_share_per_tenant)
        self._clock = clock
        file = Path(path).absolute()
        create(file, sqlite_rows.SCHEMA)
        self._rows = sqlite_rows.Rows(file, self._bounds, clock)
        self._changes = WriteBehind(self._rows.commit, self._rows.release)
        # One of its own: a lookup does not wait behind what waits for other processes' locks.
        self._reader = SharedConnection(file)
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, _close, self._changes, self._reader)

    def get(self, key: str) -> tuple[bytes, float] | None:
        change = self._changes.peek(key) or self._reader.run(lambda rows: sqlite_rows.read(rows, key))
        if change is None or change.value is None:
            return None
        now = self._clock()
        if change.expires_at is not None and now >= change.expires_at:
            return None
        self._changes.touch(key)
        return change.value, max(0.0, now - change.stored_at)

    def put(
        self,
        key: str,
        value: bytes,
        ttl_s: float | None,
        tags: frozenset[str] = frozenset(),
        *,
        pico_usd: int = 0,
        tenant: str | None = None,
    ) -> None:
        if not self._bounds.admit(len(value)):
            self.delete(key)
            return
        now = self._clock()
        expires_at = None if ttl_s is None else now + ttl_s
        self._changes.add(key, Change(value, now, expires_at, tags, pico_usd, tenant or ""))

    def used(self, key: str) -> None:
        """Count a hit that was served past `get`."""
        self._changes.touch(key)

    def most_hit(self, n: int) -> list[Stored]:
        """Return the `n` values with the most hits, most first; those without are left out.

        Hits of other processes are a minute late at most. Raises `sqlite3.Error`.
        """
        self.flush()
        now = self._clock()
        return self._reader.run(lambda rows: sqlite_rows.most_hit(rows, n, now))

    def delete(self, key: str) -> None:
        self._changes.add(key, Change(None, self._clock(), None))

    def invalidate(self, tag: str) -> int:
        """Delete every entry that was put with `tag`, by any process; return how many could still have been served.

        Raises `sqlite3.Error` where the file cannot be written.
        """
        self.flush()
        return self._changes.between_commits(lambda: self._rows.invalidate(tag))

    def claim(self, key: str, token: str, for_s: float) -> tuple[bytes, float] | bool:
        """Return the value of `key`, or whether the lease to answer for it is now `token`'s."""
        try:
            is_ours = self._changes.between_commits(lambda: self._rows.claim(key, token, for_s))
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            # A file too busy to say who leads: asking twice costs less than the answer unkept.
            return True
        return self._claimed(key, token, is_ours)

    async def aclaim(self, key: str, token: str, for_s: float) -> tuple[bytes, float] | bool:
        """Do as `claim` does; where that would wait for a lock, on a thread."""
        try:
            is_ours = self._changes.if_idle(lambda: self._rows.claim_at_once(key, token, for_s))
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            is_ours = None
        if is_ours is None:
            return await asyncio.to_thread(self.claim, key, token, for_s)
        return self._claimed(key, token, is_ours)

    def extend(self, leases: Sequence[Named], for_s: float) -> None:
        """Have leases, by key and token, last for another `for_s` seconds; those lost meanwhile stay lost."""
        self._changes.between_commits(lambda: self._rows.extend(leases, for_s))

    def release(self, lease: Named) -> None:
        """Give a lease up, by key and token, in one transaction with what was put before."""
        self._changes.free(lease)

    def clear(self) -> None:
        """Delete every entry, those of other processes too; raises `sqlite3.Error` where that fails."""
        self._changes.clear(self._rows.erase)

    def flush(self) -> None:
        """Return once all that was put would survive a kill -9, or raise `sqlite3.Error`."""
        self._changes.flush()

    def close(self) -> None:
        """Commit what can be committed and close the file; never raises, so `flush` first to know."""
        self._close()

    def _claimed(self, key: str, token: str, is_ours: bool) -> tuple[bytes, float] | bool:
        if is_ours and self._changes.peek(key) is None:
            return True
        found = self.get(key)
        if found and is_ours:
            # The last holder, of this process, has answered: its answer was waiting to be written.
            self.release((key, token))
        return found or is_ours


def _close(changes: WriteBehind, reader: SharedConnection) -> None:
    changes.close()
    reader.close()
