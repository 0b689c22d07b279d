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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tuppence.cache.stores.sqlite_file import BUSY_S, SharedConnection, connect, create, transaction
from tuppence.cache.stores.tags import hashed_tag
from tuppence.cache.stores.write_behind import Batch, Change, WriteBehind
from tuppence.errors import ConfigError

# The version is in the name, so that another version, or the ledger, may live in the same file.
SCHEMA = """
CREATE TABLE IF NOT EXISTS replies_v1 (
    key TEXT NOT NULL UNIQUE, value BLOB NOT NULL,
    stored_at REAL NOT NULL, expires_at REAL, used_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS replies_v1_by_use ON replies_v1 (used_at);
CREATE INDEX IF NOT EXISTS replies_v1_by_expiry ON replies_v1 (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS reply_tags_v1 (tag TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (tag, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reply_tags_v1_by_key ON reply_tags_v1 (key);
CREATE TRIGGER IF NOT EXISTS reply_tags_v1_go AFTER DELETE ON replies_v1
    BEGIN DELETE FROM reply_tags_v1 WHERE key = old.key; END;
CREATE TABLE IF NOT EXISTS reply_leases_v1 (
    key TEXT PRIMARY KEY, token TEXT NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
"""
READ = "SELECT value, stored_at, expires_at FROM replies_v1 WHERE key = ?"
WRITE = "REPLACE INTO replies_v1 (key, value, stored_at, expires_at, used_at) VALUES (?, ?, ?, ?, ?)"
DELETE = "DELETE FROM replies_v1 WHERE key = ?"
TOUCH = "UPDATE replies_v1 SET used_at = max(used_at, ?) WHERE key = ?"
EXPIRE = "DELETE FROM replies_v1 WHERE expires_at <= ?"
UNTAG = "DELETE FROM reply_tags_v1 WHERE key = ?"
TAG = "REPLACE INTO reply_tags_v1 (tag, key) VALUES (?, ?)"
INVALIDATE = """
DELETE FROM replies_v1
WHERE key IN (SELECT key FROM reply_tags_v1 WHERE tag = ?) AND (expires_at IS NULL OR expires_at > ?)
"""
ERASE = "DELETE FROM replies_v1"
CLAIM = """
INSERT INTO reply_leases_v1 (key, token, expires_at) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at WHERE expires_at <= ?
"""
EXTEND = "UPDATE reply_leases_v1 SET expires_at = ? WHERE key = ? AND token = ?"
RELEASE = "DELETE FROM reply_leases_v1 WHERE key = ? AND token = ?"
FORGET = "DELETE FROM reply_leases_v1 WHERE expires_at <= ?"
COUNT = "SELECT count(*) FROM replies_v1"
EVICT = "DELETE FROM replies_v1 WHERE rowid IN (SELECT rowid FROM replies_v1 ORDER BY used_at, rowid LIMIT ?)"


class SqliteStore:
    """A store in one SQLite file (WAL), for many threads and processes.

    `put` returns at once: a thread commits within milliseconds. A process that is killed loses what it had
    not committed; `flush` returns when all is. `max_entries` is held to within 1 %. `clock` gives Unix seconds.

    Raises `CacheError` where the file cannot be opened. Later, `get` raises `sqlite3.Error` for its own
    failure, and `put` for that of an earlier commit, which is retried.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int = 100_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_entries < 1:
            raise ConfigError(f"max_entries is {max_entries}: it must be 1 or more")
        self._clock = clock
        file = Path(path).absolute()
        create(file, SCHEMA)
        self._rows = _Rows(file, max_entries, clock)
        self._changes = WriteBehind(self._rows.commit, self._rows.release)
        self._reader = SharedConnection(file)
        # One of its own for what waits for other processes' locks: a lookup does not wait behind it.
        self._writer = SharedConnection(file)
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, _close, self._changes, self._reader, self._writer)

    def get(self, key: str) -> tuple[bytes, float] | None:
        change = self._changes.peek(key) or self._reader.run(lambda rows: _read(rows, key))
        if change is None or change.value is None:
            return None
        now = self._clock()
        if change.expires_at is not None and now >= change.expires_at:
            return None
        self._changes.touch(key, now)
        return change.value, max(0.0, now - change.stored_at)

    def put(self, key: str, value: bytes, ttl_s: float | None, tags: frozenset[str] = frozenset()) -> None:
        now = self._clock()
        self._changes.add(key, Change(value, now, None if ttl_s is None else now + ttl_s, tags))

    def delete(self, key: str) -> None:
        self._changes.add(key, Change(None, self._clock(), None))

    def invalidate(self, tag: str) -> int:
        """Delete every entry that was put with `tag`, by any process; return how many could still have been served.

        Raises `sqlite3.Error` where the file cannot be written.
        """
        self.flush()
        now = self._clock()
        return self._writer.run(lambda rows: rows.execute(INVALIDATE, (hashed_tag(tag), now)).rowcount)

    def claim(self, key: str, token: str, for_s: float) -> tuple[bytes, float] | bool:
        """Return the value of `key`, or whether the lease to answer for it is now `token`'s."""
        if found := self.get(key):
            return found
        now = self._clock()
        try:
            claimed = self._writer.run(lambda rows: rows.execute(CLAIM, (key, token, now + for_s, now)).rowcount) > 0
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                # A file too busy to say who leads: asking twice costs less than the answer unkept.
                return True
            raise
        # The last holder may have answered between the look and the claim.
        if claimed and (found := self.get(key)):
            self.release([(key, token)])
            return found
        return claimed

    async def aclaim(self, key: str, token: str, for_s: float) -> tuple[bytes, float] | bool:
        """Do as `claim` does, on a thread: it may wait for the file's lock."""
        return await asyncio.to_thread(self.claim, key, token, for_s)

    def extend(self, leases: Sequence[tuple[str, str]], for_s: float) -> None:
        """Have leases, by key and token, last for another `for_s` seconds; those lost meanwhile stay lost."""
        until = self._clock() + for_s
        self._writer.run(lambda rows: _at_once(rows, EXTEND, [(until, *lease) for lease in leases]))

    def release(self, leases: Sequence[tuple[str, str]]) -> None:
        """Give leases up, by key and token, and forget those that ran out."""
        now = self._clock()
        self._writer.run(lambda rows: _at_once(rows, RELEASE, leases))
        self._writer.run(lambda rows: rows.execute(FORGET, (now,)))

    def clear(self) -> None:
        """Delete every entry, those of other processes too; raises `sqlite3.Error` where that fails."""
        self._changes.clear(self._rows.erase)

    def flush(self) -> None:
        """Return once all that was put would survive a kill -9, or raise `sqlite3.Error`."""
        self._changes.flush()

    def close(self) -> None:
        """Commit what can be committed and close the file; never raises, so `flush` first to know."""
        self._close()


def _close(changes: WriteBehind, *connections: SharedConnection) -> None:
    changes.close()
    for connection in connections:
        connection.close()


def _read(rows: sqlite3.Connection, key: str) -> Change | None:
    row = rows.execute(READ, (key,)).fetchone()
    return None if row is None else Change(*row)


def _at_once(rows: sqlite3.Connection, statement: str, values: Iterable[tuple[object, ...]]) -> None:
    with transaction(rows):
        rows.executemany(statement, values)


class _Rows:
    """The rows as batches change them; used by one thread at a time."""

    def __init__(self, path: Path, max_entries: int, clock: Callable[[], float]) -> None:
        self._path = path
        self._max_entries = max_entries
        self._clock = clock
        self._slack = max_entries // 100
        # The first batch tidies up what earlier processes left.
        self._added = max_entries
        self._connection: sqlite3.Connection | None = None

    def commit(self, batch: Batch) -> None:
        """Apply a whole batch, or raise `sqlite3.Error` and apply nothing."""
        rows = self._opened()
        with transaction(rows):
            self._apply(rows, batch)

    def erase(self) -> None:
        self._opened().execute(ERASE)

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path, BUSY_S)
        return self._connection

    def _apply(self, rows: sqlite3.Connection, batch: Batch) -> None:
        kept = [
            (key, *change[:3], change.stored_at) for key, change in batch.changes.items() if change.value is not None
        ]
        rows.executemany(WRITE, kept)
        rows.executemany(UNTAG, [(key,) for key in batch.changes])
        rows.executemany(TAG, [(hashed_tag(tag), key) for key, change in batch.changes.items() for tag in change.tags])
        rows.executemany(DELETE, [(key,) for key, change in batch.changes.items() if change.value is None])
        rows.executemany(TOUCH, [(at, key) for key, at in batch.touched.items()])
        self._added += len(kept)
        if self._added > self._slack:
            self._make_room(rows)
            self._added = 0

    def _make_room(self, rows: sqlite3.Connection) -> None:
        rows.execute(EXPIRE, (self._clock(),))
        (entries,) = rows.execute(COUNT).fetchone()
        if entries > self._max_entries:
            rows.execute(EVICT, (entries - self._max_entries + self._slack,))
