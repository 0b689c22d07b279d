"""Answers and leases as rows of a SQLite file: how they lie there, how batches change them, and who may answer a key.

A batch is written whole or not at all, and a lease goes in one transaction with the answer that it was held for.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from tuppence.cache.leases import Named
from tuppence.cache.stores.sqlite_file import BUSY_S, connect, transaction
from tuppence.cache.stores.tags import hashed_tag
from tuppence.cache.stores.write_behind import Batch, Change

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
# One statement sees that there is no answer and takes the lease: the last holder cannot answer in between.
CLAIM = """
INSERT INTO reply_leases_v1 (key, token, expires_at) SELECT ?1, ?2, ?3
WHERE NOT EXISTS (SELECT 1 FROM replies_v1 WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?4))
ON CONFLICT (key) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at WHERE expires_at <= ?4
"""
EXTEND = "UPDATE reply_leases_v1 SET expires_at = ? WHERE key = ? AND token = ?"
RELEASE = "DELETE FROM reply_leases_v1 WHERE key = ? AND token = ?"
FORGET = "DELETE FROM reply_leases_v1 WHERE expires_at <= ?"
COUNT = "SELECT count(*) FROM replies_v1"
EVICT = "DELETE FROM replies_v1 WHERE rowid IN (SELECT rowid FROM replies_v1 ORDER BY used_at, rowid LIMIT ?)"
# A blob's length stands in front of it: adding them up reads none.
SIZE = "SELECT coalesce(sum(length(value)), 0) FROM replies_v1"
EVICT_BYTES = """
DELETE FROM replies_v1 WHERE rowid IN (
    SELECT rowid FROM (
        SELECT rowid, sum(length(value)) OVER (ORDER BY used_at, rowid) - length(value) AS freed FROM replies_v1
    ) WHERE freed < ?
)
"""


def read(rows: sqlite3.Connection, key: str) -> Change | None:
    """Return what is written for `key`, expired or not."""
    row = rows.execute(READ, (key,)).fetchone()
    return None if row is None else Change(*row)


class Rows:
    """The rows as they are changed; used by one thread at a time. Raises `sqlite3.Error`, having changed nothing."""

    def __init__(self, path: Path, max_entries: int, max_bytes: int | None, clock: Callable[[], float]) -> None:
        self._path = path
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._slack = max_entries // 100
        # The first batch tidies up what earlier processes left.
        self._added = max_entries
        self._added_bytes = 0
        self._connection: sqlite3.Connection | None = None
        self._hasty: sqlite3.Connection | None = None

    def commit(self, batch: Batch) -> None:
        """Apply a whole batch."""
        rows = self._opened()
        with transaction(rows):
            self._apply(rows, batch)

    def invalidate(self, tag: str) -> int:
        """Delete what has `tag` and has not expired; return how many there were."""
        return self._opened().execute(INVALIDATE, (hashed_tag(tag), self._clock())).rowcount

    def erase(self) -> None:
        self._opened().execute(ERASE)

    def claim(self, key: str, token: str, for_s: float) -> bool:
        """Take the lease of `key`, unless there is an answer or somebody else's lease; say whether."""
        return self._claimed(self._opened(), key, token, for_s)

    def claim_at_once(self, key: str, token: str, for_s: float) -> bool:
        """Do as `claim` does, for an event loop: where another process is writing, raise `sqlite3.OperationalError`."""
        if self._hasty is None:
            self._hasty = connect(self._path, 0.0)
            # What moves the log's pages into the file waits for the disk; it is left to the other connection.
            self._hasty.execute("PRAGMA wal_autocheckpoint = 0")
        return self._claimed(self._hasty, key, token, for_s)

    def extend(self, leases: Sequence[Named], for_s: float) -> None:
        until, rows = self._clock() + for_s, self._opened()
        with transaction(rows):
            rows.executemany(EXTEND, [(until, *lease) for lease in leases])

    def release(self) -> None:
        for connection in filter(None, (self._connection, self._hasty)):
            connection.close()
        self._connection = self._hasty = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path, BUSY_S)
        return self._connection

    def _claimed(self, rows: sqlite3.Connection, key: str, token: str, for_s: float) -> bool:
        now = self._clock()
        return rows.execute(CLAIM, (key, token, now + for_s, now)).rowcount > 0

    def _apply(self, rows: sqlite3.Connection, batch: Batch) -> None:
        kept = [
            (key, *change[:3], change.stored_at) for key, change in batch.changes.items() if change.value is not None
        ]
        rows.executemany(WRITE, kept)
        rows.executemany(UNTAG, [(key,) for key in batch.changes])
        rows.executemany(TAG, [(hashed_tag(tag), key) for key, change in batch.changes.items() for tag in change.tags])
        rows.executemany(DELETE, [(key,) for key, change in batch.changes.items() if change.value is None])
        rows.executemany(TOUCH, [(at, key) for key, at in batch.touched.items()])
        if batch.freed:
            rows.executemany(RELEASE, batch.freed)
            rows.execute(FORGET, (self._clock(),))
        self._added += len(kept)
        self._added_bytes += sum(len(change.value or b"") for change in batch.changes.values())
        if self._added > self._slack or self._added_bytes > (self._max_bytes or math.inf) // 100:
            self._make_room(rows)
            self._added = self._added_bytes = 0

    def _make_room(self, rows: sqlite3.Connection) -> None:
        rows.execute(EXPIRE, (self._clock(),))
        (entries,) = rows.execute(COUNT).fetchone()
        if entries > self._max_entries:
            rows.execute(EVICT, (entries - self._max_entries + self._slack,))
        if self._max_bytes is not None:
            (size,) = rows.execute(SIZE).fetchone()
            if size > self._max_bytes:
                rows.execute(EVICT_BYTES, (size - self._max_bytes + self._max_bytes // 100,))
