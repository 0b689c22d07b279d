"""Cached answers in a file: shared by the processes of one machine, still there after a restart.

It must never serve half a value, never wait longer than `BUSY_S` for another process's lock, and never carry
an open connection across a fork (SQLite's file locks would be lost with it).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from tuppence.cache.forks import make_fork_safe
from tuppence.cache.stores.write_behind import Batch, Change, WriteBehind
from tuppence.errors import CacheError, ConfigError

BUSY_S = 0.25
"""Longest wait for a lock held by another process."""
OPEN_WITHIN_S = 5.0
"""Opening is worth a longer wait: processes that start together all want to switch a new file to WAL."""

# The version is in the name, so that another version, or the ledger, may live in the same file.
SCHEMA = """
CREATE TABLE IF NOT EXISTS replies_v1 (
    key TEXT NOT NULL UNIQUE, value BLOB NOT NULL,
    stored_at REAL NOT NULL, expires_at REAL, used_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS replies_v1_by_use ON replies_v1 (used_at);
CREATE INDEX IF NOT EXISTS replies_v1_by_expiry ON replies_v1 (expires_at) WHERE expires_at IS NOT NULL;
"""
READ = "SELECT value, stored_at, expires_at FROM replies_v1 WHERE key = ?"
WRITE = "REPLACE INTO replies_v1 (key, value, stored_at, expires_at, used_at) VALUES (?, ?, ?, ?, ?)"
DELETE = "DELETE FROM replies_v1 WHERE key = ?"
TOUCH = "UPDATE replies_v1 SET used_at = max(used_at, ?) WHERE key = ?"
EXPIRE = "DELETE FROM replies_v1 WHERE expires_at <= ?"
ERASE = "DELETE FROM replies_v1"
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
        _create(file)
        self._rows = _Rows(file, max_entries, clock)
        self._changes = WriteBehind(self._rows.commit, self._rows.release)
        self._reader = _Reader(file)
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, _close, self._changes, self._reader)

    def get(self, key: str) -> tuple[bytes, float] | None:
        change = self._changes.peek(key) or self._reader.read(key)
        if change is None or change.value is None:
            return None
        now = self._clock()
        if change.expires_at is not None and now >= change.expires_at:
            return None
        self._changes.touch(key, now)
        return change.value, max(0.0, now - change.stored_at)

    def put(self, key: str, value: bytes, ttl_s: float | None) -> None:
        now = self._clock()
        self._changes.add(key, Change(value, now, None if ttl_s is None else now + ttl_s))

    def delete(self, key: str) -> None:
        self._changes.add(key, Change(None, self._clock(), None))

    def clear(self) -> None:
        """Delete every entry, those of other processes too; raises `sqlite3.Error` where that fails."""
        self._changes.clear(self._rows.erase)

    def flush(self) -> None:
        """Return once all that was put would survive a kill -9, or raise `sqlite3.Error`."""
        self._changes.flush()

    def close(self) -> None:
        """Commit what can be committed and close the file; never raises, so `flush` first to know."""
        self._close()


def _close(changes: WriteBehind, reader: _Reader) -> None:
    changes.close()
    reader.close()


class _Reader:
    """The connection that all threads read by, one at a time: a read is shorter than opening one a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        make_fork_safe(self)

    def read(self, key: str) -> Change | None:
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("the store is closed")
            if self._connection is None:
                self._connection = _connect(self._path, BUSY_S)
            row = self._connection.execute(READ, (key,)).fetchone()
        return None if row is None else Change(*row)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._release()

    def _release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        self._lock.acquire()
        self._release()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()


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
        rows.execute("BEGIN IMMEDIATE")
        try:
            self._apply(rows, batch)
            rows.execute("COMMIT")
        except BaseException:
            # Some failures (a full disk) have ended the transaction already.
            if rows.in_transaction:
                rows.execute("ROLLBACK")
            raise

    def erase(self) -> None:
        self._opened().execute(ERASE)

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._path, BUSY_S)
        return self._connection

    def _apply(self, rows: sqlite3.Connection, batch: Batch) -> None:
        kept = [(key, *change, change.stored_at) for key, change in batch.changes.items() if change.value is not None]
        rows.executemany(WRITE, kept)
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


def _connect(path: Path, busy_s: float) -> sqlite3.Connection:
    # Any thread may use a connection; the locks here and in `WriteBehind` make it one at a time.
    rows = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    # No fsync at a commit: a power cut may lose the last ones, but tears none; a kill -9 loses none.
    rows.execute("PRAGMA synchronous = NORMAL")
    return rows


def _create(path: Path) -> None:
    """Make the file with its tables; prompts' answers are for the owner's eyes only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        rows = _connect(path, OPEN_WITHIN_S)
        try:
            mode = _switch_to_wal(rows)
            rows.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        finally:
            rows.close()
    except (OSError, sqlite3.Error) as error:
        raise CacheError(
            f"cannot open the cache file {path}: {error}; name a writable SQLite file or a new one"
        ) from error
    if mode != "wal":
        raise CacheError(f"{path} cannot be shared by processes (journal mode {mode!r}): put it on a local disk")


def _switch_to_wal(rows: sqlite3.Connection) -> str:
    # SQLite does not wait for this one lock, whatever the busy timeout.
    give_up_at = time.monotonic() + OPEN_WITHIN_S
    while True:
        try:
            return str(rows.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.005)
