"""Where jobs are kept: one SQLite file that any number of processes use, and a lock a job so that one drives it.

The lock is the operating system's: it ends with the process that holds it, kill -9 included, so that no lease has to
run out before another goes on. A file that was copied to another machine is another store: drive it there or here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuppence.batch.schema import opened

_BUSY_WAIT_S = 30.0
"""Longest wait for another process's transaction: those are short, and a job is not to fail for a slow disk."""


class BatchStore:
    """A store of jobs in the file `path`. Raises `BatchError` where that cannot be opened."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        with self.reading():
            pass

    def __reduce__(self) -> tuple[type[BatchStore], tuple[Path]]:
        return type(self), (self.path,)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for a moment: none is held, so threads and forks share nothing."""
        connection = opened(self.path, wait_s=_BUSY_WAIT_S)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction: all of it is on disk when this returns, or nothing."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def remove(self, job: int) -> None:
        """Delete all rows of a job."""
        with self.writing() as rows:
            for table in ("answers", "attempts", "bodies", "parts", "requests", "lines", "jobs"):
                rows.execute(f"DELETE FROM {table} WHERE job = ?", (job,))

    @contextmanager
    def driving(self, job_id: str) -> Iterator[bool]:
        """Hold the job's lock, and say whether it was to be had."""
        folder = self.path.with_name(f"{self.path.name}-locks")
        folder.mkdir(exist_ok=True)
        lock = sqlite3.connect(folder / f"{job_id}.lock", timeout=0, isolation_level=None)
        try:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                yield False
                return
            # A connection held open spares every other one the tidying up that the last to close does.
            with self.reading():
                yield True
        finally:
            lock.close()
