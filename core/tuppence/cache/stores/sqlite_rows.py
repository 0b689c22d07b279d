"""Answers and leases as rows of a SQLite file: how they lie there, how batches change them, and who may answer a key.

A batch is written whole or not at all, and a lease goes in one transaction with the answer that it was held for.
Triggers keep the sums, so that they are right whoever deletes a row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from tuppence.cache.leases import Named
from tuppence.cache.stored import Stored
from tuppence.cache.stores.eviction import Bounds, cost_of
from tuppence.cache.stores.sqlite_file import BUSY_S, connect, has_table, transaction
from tuppence.cache.stores.sqlite_room import RankedRows
from tuppence.cache.stores.tags import hashed_tag
from tuppence.cache.stores.write_behind import Batch, Change

# The version is in the name, so that another version, or the ledger, may live in the same file. Values come last: what
# looks at the columns before them does not read them.
SCHEMA = """
CREATE TABLE IF NOT EXISTS replies_v2 (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,
    pico_usd INTEGER NOT NULL, cost REAL NOT NULL, size INTEGER NOT NULL, stored_at REAL NOT NULL, expires_at REAL,
    hits INTEGER NOT NULL DEFAULT 0, priority REAL NOT NULL, value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS replies_v2_by_priority ON replies_v2 (priority, seq, size);
CREATE INDEX IF NOT EXISTS replies_v2_by_tenant ON replies_v2 (tenant, priority, seq, size);
CREATE INDEX IF NOT EXISTS replies_v2_by_expiry ON replies_v2 (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS reply_tags_v2 (tag TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (tag, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reply_tags_v2_by_key ON reply_tags_v2 (key);
CREATE TABLE IF NOT EXISTS reply_sums_v2 (
    one INTEGER PRIMARY KEY CHECK (one = 1), entries INTEGER NOT NULL, bytes INTEGER NOT NULL, clock REAL NOT NULL
);
INSERT OR IGNORE INTO reply_sums_v2 VALUES (1, 0, 0, 0.0);
CREATE TABLE IF NOT EXISTS reply_tenants_v2 (
    tenant TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS replies_v2_come AFTER INSERT ON replies_v2 BEGIN
    UPDATE reply_sums_v2 SET entries = entries + 1, bytes = bytes + new.size;
    INSERT INTO reply_tenants_v2 VALUES (new.tenant, 1, new.size)
        ON CONFLICT (tenant) DO UPDATE SET entries = entries + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER IF NOT EXISTS replies_v2_go AFTER DELETE ON replies_v2 BEGIN
    UPDATE reply_sums_v2 SET entries = entries - 1, bytes = bytes - old.size;
    UPDATE reply_tenants_v2 SET entries = entries - 1, bytes = bytes - old.size WHERE tenant = old.tenant;
    DELETE FROM reply_tenants_v2 WHERE tenant = old.tenant AND entries = 0;
    DELETE FROM reply_tags_v2 WHERE key = old.key;
END;
CREATE TABLE IF NOT EXISTS reply_leases_v1 (
    key TEXT PRIMARY KEY, token TEXT NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
"""
READ = "SELECT value, stored_at, expires_at FROM replies_v2 WHERE key = ?"
WRITE = """
INSERT INTO replies_v2 (key, tenant, pico_usd, cost, size, stored_at, expires_at, priority, value)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, clock + ?4 / max(?5, 1), ?8 FROM reply_sums_v2
"""
DELETE = "DELETE FROM replies_v2 WHERE key = ?"
EXPIRE = "DELETE FROM replies_v2 WHERE expires_at <= ?"
TAG = "REPLACE INTO reply_tags_v2 (tag, key) VALUES (?, ?)"
INVALIDATE = """
DELETE FROM replies_v2
WHERE key IN (SELECT key FROM reply_tags_v2 WHERE tag = ?) AND (expires_at IS NULL OR expires_at > ?)
"""
ERASE = "DELETE FROM replies_v2"
TENANT = "SELECT tenant, entries, bytes FROM reply_tenants_v2 WHERE tenant = ?"
# The order is found before values are read: only those of the answers that are listed are.
MOST_HIT = """
SELECT key, value, hits, pico_usd, ?1 - stored_at FROM replies_v2 WHERE seq IN (
    SELECT seq FROM replies_v2 WHERE hits > 0 AND (expires_at IS NULL OR expires_at > ?1)
    ORDER BY hits DESC, pico_usd DESC, key LIMIT ?2
) ORDER BY hits DESC, pico_usd DESC, key
"""
# One statement sees that there is no answer and takes the lease: the last holder cannot answer in between.
CLAIM = """
INSERT INTO reply_leases_v1 (key, token, expires_at) SELECT ?1, ?2, ?3
WHERE NOT EXISTS (SELECT 1 FROM replies_v2 WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?4))
ON CONFLICT (key) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at WHERE expires_at <= ?4
"""
EXTEND = "UPDATE reply_leases_v1 SET expires_at = ? WHERE key = ? AND token = ?"
RELEASE = "DELETE FROM reply_leases_v1 WHERE key = ? AND token = ?"
FORGET = "DELETE FROM reply_leases_v1 WHERE expires_at <= ?"

RANKED = RankedRows(table="replies_v2", sums="reply_sums_v2", key="key", cost="cost")


def has_replies(path: Path) -> bool:
    """Say whether a file is a cache's in which answers may lie; never makes one."""
    return has_table(path, "replies_v2")


def read(rows: sqlite3.Connection, key: str) -> Change | None:
    """Return what is written for `key`, expired or not."""
    row = rows.execute(READ, (key,)).fetchone()
    return None if row is None else Change(*row)


def most_hit(rows: sqlite3.Connection, n: int, now: float) -> list[Stored]:
    """Return the `n` values with the most hits, most first; those without are left out."""
    found = rows.execute(MOST_HIT, (now, n))
    return [Stored(key, value, hits, pico_usd, max(0.0, age_s)) for key, value, hits, pico_usd, age_s in found]


class Rows:
    """The rows as they are changed; used by one thread at a time. Raises `sqlite3.Error`, having changed nothing."""

    def __init__(self, path: Path, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._path = path
        self._bounds = bounds
        self._part = bounds.of_one_tenant()
        self._clock = clock
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
        rows.executemany(DELETE, [(key,) for key in batch.changes])
        rows.executemany(WRITE, [row for key, change in batch.changes.items() if (row := _row(key, change))])
        rows.executemany(TAG, [(hashed_tag(tag), key) for key, change in batch.changes.items() for tag in change.tags])
        RANKED.note_uses(rows, batch.times)
        if batch.freed:
            rows.executemany(RELEASE, batch.freed)
            rows.execute(FORGET, (self._clock(),))
        if batch.changes:
            self._make_room(rows, {change.tenant for change in batch.changes.values() if change.value is not None})

    def _make_room(self, rows: sqlite3.Connection, tenants: set[str]) -> None:
        """Let go of what has expired, then of what is worth least: the tenants' own first."""
        rows.execute(EXPIRE, (self._clock(),))
        if self._part is not None:
            taken = [row for tenant in sorted(tenants) for row in rows.execute(TENANT, (tenant_digest(tenant),))]
            RANKED.make_room_of_tenants(rows, self._part, taken)
        RANKED.make_room(rows, self._bounds)


def tenant_digest(tenant: str) -> str:
    """Return what stands for a tenant in the file; nothing for none."""
    return hashed_tag(tenant) if tenant else ""


def _row(key: str, change: Change) -> tuple[str | int | float | bytes | None, ...] | None:
    if change.value is None:
        return None
    return (
        key, tenant_digest(change.tenant), change.pico_usd, cost_of(change.pico_usd), len(change.value),
        change.stored_at, change.expires_at, change.value,
    )  # fmt: skip
