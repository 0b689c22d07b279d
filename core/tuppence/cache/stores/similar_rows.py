"""Entries as rows of a SQLite file: how they lie there, how batches change them, and which go when there is no room.

What is read back whole is an entry; what is torn or foreign is nothing. Triggers keep the sums and the log of what has
gone, so that they are right whoever deletes a row.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tuppence.cache.stores.eviction import Bounds, cost_of, size_of
from tuppence.cache.stores.sqlite_file import BUSY_S, connect, transaction
from tuppence.cache.stores.sqlite_room import RankedRows
from tuppence.cache.stores.tags import hashed_tag
from tuppence.cache.stores.write_behind import Batch, Change
from tuppence.effects import Entry

if TYPE_CHECKING:
    from tuppence.embed import Vector

LOGGED = 20_000
"""Removals that the log keeps; a process that missed more reads everything anew."""
REFUSED_FOR_S = 3600.0
"""How long an invalidation also holds for entries that were added before it and are written after it: far longer than
a process that can write keeps one back."""

# The version is in the names, so that another version, or another store, may live in the same file. Blobs come last:
# what looks at the columns before them does not read them.
SCHEMA = """
CREATE TABLE IF NOT EXISTS similar_v1 (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL, scope TEXT NOT NULL,
    cost REAL NOT NULL, size INTEGER NOT NULL, added_at REAL NOT NULL, expires_at REAL,
    hits INTEGER NOT NULL DEFAULT 0, priority REAL NOT NULL, crc INTEGER NOT NULL,
    about TEXT NOT NULL, vector BLOB NOT NULL, value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS similar_v1_by_priority ON similar_v1 (priority, seq, size);
CREATE INDEX IF NOT EXISTS similar_v1_by_expiry ON similar_v1 (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS similar_tags_v1 (
    tag TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (tag, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS similar_tags_v1_by_seq ON similar_tags_v1 (seq);
CREATE TABLE IF NOT EXISTS similar_gone_v1 (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, stamp TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS similar_invalid_v1 (tag TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS similar_sums_v1 (
    one INTEGER PRIMARY KEY CHECK (one = 1), entries INTEGER NOT NULL, bytes INTEGER NOT NULL, clock REAL NOT NULL
);
INSERT OR IGNORE INTO similar_sums_v1 VALUES (1, 0, 0, 0.0);
CREATE TRIGGER IF NOT EXISTS similar_v1_come AFTER INSERT ON similar_v1 BEGIN
    UPDATE similar_sums_v1 SET entries = entries + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER IF NOT EXISTS similar_v1_go AFTER DELETE ON similar_v1 BEGIN
    UPDATE similar_sums_v1 SET entries = entries - 1, bytes = bytes - old.size;
    DELETE FROM similar_tags_v1 WHERE seq = old.seq;
    INSERT INTO similar_gone_v1 (id, stamp) VALUES (old.id, old.stamp);
END;
"""
DELETE = "DELETE FROM similar_v1 WHERE id = ?"
WRITE = """
INSERT INTO similar_v1 (id, stamp, scope, cost, size, added_at, expires_at, priority, crc, about, vector, value)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, clock + ?4 / ?5, ?8, ?9, ?10, ?11 FROM similar_sums_v1
"""
TAG = "INSERT OR IGNORE INTO similar_tags_v1 (tag, seq) SELECT ?, seq FROM similar_v1 WHERE id = ?"
RANKED = RankedRows(table="similar_v1", sums="similar_sums_v1", key="id", cost="cost")
REFUSE = """
DELETE FROM similar_v1 WHERE id = ? AND EXISTS (
    SELECT 1 FROM similar_tags_v1 AS t JOIN similar_invalid_v1 AS i ON i.tag = t.tag
    WHERE t.seq = similar_v1.seq AND i.at > similar_v1.added_at
)
"""
EXPIRE = "DELETE FROM similar_v1 WHERE expires_at <= ?"
TRIM = "DELETE FROM similar_gone_v1 WHERE n <= (SELECT max(n) FROM similar_gone_v1) - ?"
FORGET = "DELETE FROM similar_invalid_v1 WHERE at < ?"
COUNT_TAGGED = """
SELECT count(*) FROM similar_v1 WHERE seq IN (SELECT seq FROM similar_tags_v1 WHERE tag = ?)
AND (expires_at IS NULL OR expires_at > ?)
"""
DELETE_TAGGED = "DELETE FROM similar_v1 WHERE seq IN (SELECT seq FROM similar_tags_v1 WHERE tag = ?)"
INVALID = "REPLACE INTO similar_invalid_v1 (tag, at) VALUES (?, ?)"
ERASE = "DELETE FROM similar_v1"
LIST = """
SELECT crc, about, vector, value, hits FROM similar_v1
WHERE (?1 IS NULL OR scope = ?1) AND (expires_at IS NULL OR expires_at > ?2) ORDER BY seq
"""


class Packed(NamedTuple):
    """An entry as a row holds it; the checksum tells a torn one."""

    crc: int
    about: str
    vector: bytes
    value: bytes


def pack(entry: Entry, stamp: str) -> bytes:
    """Return an entry as one string, to wait as."""
    import numpy as np

    vector = np.ascontiguousarray(entry.vector, dtype="<f4").tobytes()
    about = {
        "id": entry.id, "stamp": stamp, "scope": entry.scope, "question": entry.question, "answer": entry.answer,
        "tags": sorted(entry.tags), "pico_usd": entry.pico_usd, "cost": cost_of(entry.pico_usd), "size": size_of(entry),
        "stored_at": entry.stored_at, "expires_at": entry.expires_at, "vector_bytes": len(vector),
    }  # fmt: skip
    return b"\n".join((json.dumps(about, separators=(",", ":")).encode(), vector + entry.value))


def unpack(row: Packed) -> Entry | None:
    """Return the entry of a row, or None where the row is not as it was written."""
    try:
        if row.crc != _checksum(row.about, row.vector, row.value):
            return None
        said = json.loads(row.about)
        return Entry(
            said["id"], said["scope"], said["question"], _vector(row.vector), row.value, said["answer"],
            frozenset(said["tags"]), said["pico_usd"], said["stored_at"], said["expires_at"],
        )  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _vector(data: bytes) -> Vector:
    import numpy as np

    return np.frombuffer(data, dtype="<f4")


def _checksum(about: str, vector: bytes, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(vector, zlib.crc32(about.encode())))


class SimilarRows:
    """The rows as batches change them; used by one thread at a time."""

    def __init__(self, path: Path, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._path = path
        self._bounds = bounds
        self._clock = clock
        self._connection: sqlite3.Connection | None = None

    def commit(self, batch: Batch) -> None:
        """Apply a whole batch, or raise `sqlite3.Error` and apply nothing."""
        rows = self._opened()
        with transaction(rows):
            rows.executemany(DELETE, [(id_,) for id_ in batch.changes])
            for change in batch.changes.values():
                _write(rows, change)
            RANKED.note_uses(rows, batch.times)
            rows.executemany(REFUSE, [(id_,) for id_, change in batch.changes.items() if change.tags])
            rows.execute(EXPIRE, (self._clock(),))
            RANKED.make_room(rows, self._bounds)
            rows.execute(TRIM, (LOGGED,))

    def erase(self) -> None:
        """Delete every row, or raise `sqlite3.Error`."""
        self._opened().execute(ERASE)

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path, BUSY_S)
        return self._connection


def invalidate(rows: sqlite3.Connection, tag: str, now: float) -> int:
    """Delete what has `tag`, and have what is on its way to the file refused; return how many were alive."""
    digest = hashed_tag(tag)
    with transaction(rows):
        (alive,) = rows.execute(COUNT_TAGGED, (digest, now)).fetchone()
        rows.execute(DELETE_TAGGED, (digest,))
        rows.execute(FORGET, (now - REFUSED_FOR_S,))
        rows.execute(INVALID, (digest, now))
    return int(alive)


def listed(rows: sqlite3.Connection, scope: str | None, now: float) -> list[tuple[Entry, int]]:
    """Return the whole entries that are alive, oldest first, with how often each was served."""
    found = [(unpack(Packed(*row)), hits) for *row, hits in rows.execute(LIST, (scope, now))]
    return [(entry, hits) for entry, hits in found if entry is not None]


def _write(rows: sqlite3.Connection, change: Change) -> None:
    if change.value is None:
        return
    about, _, rest = change.value.partition(b"\n")
    said: dict[str, Any] = json.loads(about)
    vector, value = rest[: said["vector_bytes"]], rest[said["vector_bytes"] :]
    crc = _checksum(about.decode(), vector, value)
    rows.execute(
        WRITE,
        (
            said["id"], said["stamp"], said["scope"], said["cost"], said["size"], change.stored_at,
            change.expires_at, crc, about.decode(), vector, value,
        ),
    )  # fmt: skip
    rows.executemany(TAG, [(hashed_tag(tag), said["id"]) for tag in change.tags])
