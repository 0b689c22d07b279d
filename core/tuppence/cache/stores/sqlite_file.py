"""How the cache opens SQLite files: shared by processes, across forks, for the owner's eyes only.

It must never wait longer than `BUSY_S` for another process's lock, and never carry an open connection across a fork
(SQLite's file locks would be lost with it).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tuppence.errors import CacheError
from tuppence.forks import make_fork_safe

T = TypeVar("T")

BUSY_S = 0.25
"""Longest wait for a lock held by another process."""
OPEN_WITHIN_S = 5.0
"""Opening is worth a longer wait: processes that start together all want to switch a new file to WAL."""


class SharedConnection:
    """A connection that all threads use, one at a time: a statement is shorter than opening one a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        make_fork_safe(self)

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` makes of the connection; raises `sqlite3.Error`, its own and that of a closed store."""
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("the store is closed")
            if self._connection is None:
                self._connection = connect(self._path, BUSY_S)
            return work(self._connection)

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


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    # Any thread may use a connection; the locks here and in `WriteBehind` make it one at a time.
    rows = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    # No fsync at a commit: a power cut may lose the last ones, but tears none; a kill -9 loses none.
    rows.execute("PRAGMA synchronous = NORMAL")
    return rows


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether another connection held the file's lock for longer than this one would wait."""
    # The last byte of an extended code is the plain one.
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


@contextmanager
def transaction(rows: sqlite3.Connection) -> Iterator[None]:
    """Do all that is inside, or nothing of it."""
    rows.execute("BEGIN IMMEDIATE")
    try:
        yield
        rows.execute("COMMIT")
    except BaseException:
        # Some failures (a full disk) have ended the transaction already.
        if rows.in_transaction:
            rows.execute("ROLLBACK")
        raise


def create(path: Path, schema: str) -> None:
    """Make the file with its tables; prompts' answers are for the owner's eyes only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        rows = connect(path, OPEN_WITHIN_S)
        try:
            mode = _switch_to_wal(rows)
            rows.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
        finally:
            rows.close()
    except (OSError, sqlite3.Error) as error:
        raise CacheError(
            f"cannot open the cache file {path}: {error}; name a writable SQLite file or a new one"
        ) from error
    if mode != "wal":
        raise CacheError(f"{path} cannot be shared by processes (journal mode {mode!r}): put it on a local disk")


def has_table(path: Path, table: str) -> bool:
    """Say whether a file is a database with this table; never makes one."""
    if not path.is_file():
        return False
    try:
        rows = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return rows.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None
        finally:
            rows.close()
    except sqlite3.Error:
        return False


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
