"""What a process knows of the entries in a shared file: an index in memory that follows what every process changes.

It must never carry its connection over a fork, and never serve what another process had removed before the lookup.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuppence.cache.stores.entry_index import EntryIndex
from tuppence.cache.stores.similar_rows import Packed, unpack
from tuppence.cache.stores.sqlite_file import BUSY_S, connect
from tuppence.effects import Entry, Neighbour
from tuppence.embed import Vector
from tuppence.errors import ConfigError

# SQLite changes it whenever another connection has committed: 5 microseconds to ask, 40 to look.
VERSION = "PRAGMA data_version"
LOG = "SELECT coalesce(min(n), 0), coalesce(max(n), 0) FROM similar_gone_v1"
GONE = "SELECT id, stamp FROM similar_gone_v1 WHERE n > ? ORDER BY n"
NEW = "SELECT seq, id, stamp, crc, about, vector, value FROM similar_v1 WHERE seq > ? ORDER BY seq"


class Replica:
    """The entries of a file, and those of this process that are on their way there.

    One lock guards the index and the connection, so that a fork can wait for both.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = EntryIndex()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._version: int | None = None
        self._last_seq = 0
        self._last_gone: int | None = None

    def nearest(self, scope: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        with self._index.lock:
            self._index.expire(now)
            return self._index.nearest(scope, vector, k)

    def add(self, entry: Entry, stamp: str) -> None:
        with self._index.lock:
            self._index.add(entry, stamp)

    def discard(self, id: str, now: float) -> bool:  # noqa: A002 (the entry's own word)
        """Delete an entry; return whether it was there and alive."""
        with self._index.lock:
            self._index.expire(now)
            return self._index.discard(id)

    def clear(self) -> None:
        with self._index.lock:
            self._index.clear()

    def close(self) -> None:
        with self._index.lock:
            self._closed = True
            self._release()
            self._index.clear()

    @property
    def lock(self) -> threading.RLock:
        """What a lookup waits for while another thread follows or looks up."""
        return self._index.lock

    def is_behind(self) -> bool:
        """Whether the file has changed since `follow`; raises `sqlite3.Error`."""
        with self._index.lock:
            return self._current_version() != self._version

    def follow(self) -> list[str]:
        """Take over what has changed in the file; return the ids of torn rows. Raises `sqlite3.Error`."""
        with self._index.lock:
            version = self._current_version()
            if version == self._version:
                return []
            with _snapshot(self._opened()) as rows:
                self._take_removals(rows)
                torn = self._take_additions(rows)
            self._version = version
            return torn

    def _take_removals(self, rows: sqlite3.Connection) -> None:
        first, last = rows.execute(LOG).fetchone()
        if self._last_gone is not None and self._last_gone + 1 < first:
            # Too far behind: the log does not reach back.
            self._index.clear()
            self._last_seq = 0
        elif self._last_gone is not None:
            for id_, stamp in rows.execute(GONE, (self._last_gone,)):
                if self._index.stamp(id_) == stamp:
                    self._index.discard(id_)
        self._last_gone = last

    def _take_additions(self, rows: sqlite3.Connection) -> list[str]:
        torn: list[str] = []
        for seq, id_, stamp, *packed in rows.execute(NEW, (self._last_seq,)):
            self._last_seq = seq
            if self._index.stamp(id_) == stamp:
                continue
            entry = unpack(Packed(*packed))
            try:
                if entry is None or entry.id != id_:
                    torn.append(id_)
                else:
                    self._index.add(entry, stamp)
            except ConfigError:
                torn.append(id_)
        return torn

    def _current_version(self) -> int:
        return int(self._opened().execute(VERSION).fetchone()[0])

    def _opened(self) -> sqlite3.Connection:
        if self._closed:
            raise sqlite3.ProgrammingError("the store is closed")
        if self._connection is None:
            self._connection = connect(self._path, BUSY_S)
            # The number is the connection's own.
            self._version = None
        return self._connection

    def _release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        self._index.before_fork()
        self._release()

    def after_fork_in_parent(self) -> None:
        self._index.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        self._index.after_fork_in_child()


@contextmanager
def _snapshot(rows: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Read as of one moment: an entry is not both gone and there."""
    rows.execute("BEGIN")
    try:
        yield rows
    finally:
        # Some failures have ended the transaction already.
        if rows.in_transaction:
            rows.execute("ROLLBACK")
