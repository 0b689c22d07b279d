"""Counters of one machine: an SQLite file that any number of processes reserve in at the same time.

A killed process leaves every step done or not begun. A power cut may take the last moments' steps: the file is not
synced at each, for a call would wait milliseconds for it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tuppence.effects import Granted, Refused, Release, Reserve
from tuppence.errors import BudgetError
from tuppence.forks import make_fork_safe
from tuppence.spend.budgets import sqlite_steps as steps
from tuppence.spend.budgets.closing import Closer
from tuppence.spend.budgets.counters import Correction, Count, Swept
from tuppence.spend.budgets.sqlite_file import connect

T = TypeVar("T")

WAIT_S = 2.0
"""Longest wait for other threads and processes: a step takes a tenth of a millisecond."""


class SqliteCounters:
    """Counters in the SQLite file `path`, for all programs of one machine. Raises `BudgetError` where it cannot be
    opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._begin()
        self._closer = Closer(self._carry_out, str(self))
        make_fork_safe(self)
        self._run(lambda _: None)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._pass = threading.Event()
        self._pass.set()
        self._pool: ThreadPoolExecutor | None = None

    def __str__(self) -> str:
        return f"the budgets' file {self.path}"

    def __reduce__(self) -> tuple[type[SqliteCounters], tuple[Path]]:
        return SqliteCounters, (self.path,)

    def reserve(self, reserve: Reserve, /) -> Granted | Refused:
        # A thread among many gets the file seldom: each call takes some of what the closer's has to do along.
        with self._closer.some() as releases:
            return self._run(lambda rows: steps.reserve(rows, reserve, releases))

    async def areserve(self, reserve: Reserve, /) -> Granted | Refused:
        """Do as `reserve` does without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads(), self.reserve, reserve)

    def release(self, release: Release, /) -> None:
        self._closer.put(release)

    @property
    def waiting(self) -> int:
        return self._closer.waiting

    def counts(self) -> list[Count]:
        return self._run(steps.counts)

    def sweep(self, before: float, at: float) -> Swept:
        return self._run(lambda rows: steps.sweep(rows, before, at))

    def correct(self, corrections: Sequence[Correction]) -> None:
        self._run(lambda rows: steps.correct(rows, corrections))

    def flush(self, timeout_s: float = 10.0) -> None:
        self._closer.flush(timeout_s)

    def close(self) -> None:
        """Carry out what waits, and close the file; who goes on opens it again."""
        self._closer.close()
        with self._lock:
            pool, self._pool = self._pool, None
            self._let_go()
        if pool is not None:
            pool.shutdown(wait=False)

    def _carry_out(self, releases: Sequence[Release]) -> None:
        self._run(lambda rows: steps.release(rows, releases))

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction, or nothing of it."""
        self._pass.wait()
        if not self._lock.acquire(timeout=WAIT_S):
            raise BudgetError(f"{self} was busy for {WAIT_S:g} s: no call is made that it cannot check; try again")
        try:
            return self._transaction(work)
        except (sqlite3.Error, OSError) as error:
            # After a failure the state of the connection is not worth knowing.
            self._let_go()
            raise BudgetError(
                f"{self} cannot be used ({error}): no call is made that it cannot check; make it a file on a local "
                "disk that this user may write"
            ) from error
        finally:
            self._lock.release()

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        rows = self._opened()
        rows.execute("BEGIN IMMEDIATE")
        try:
            answer = work(rows)
            rows.execute("COMMIT")
        except BaseException:
            # Some failures (a full disk) have ended the transaction already.
            if rows.in_transaction:
                rows.execute("ROLLBACK")
            raise
        return answer

    def _opened(self) -> sqlite3.Connection:
        identity = _identity(self.path)
        if self._connection is not None and self._file != identity:
            # Somebody removed or replaced the file: what is written into the old one, nobody reads.
            self._let_go()
        if self._connection is None:
            self._connection = connect(self.path, WAIT_S)
            self._file = _identity(self.path)
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _threads(self) -> ThreadPoolExecutor:
        # One: the file takes one step at a time.
        if self._pool is None:
            with self._lock:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(1, thread_name_prefix="tuppence-budgets")
        return self._pool

    def before_fork(self) -> None:
        # A connection must not cross a fork: closing it in the child would take the parent's locks away.
        self._closer.before_fork()
        # Locks know no order of arrival: calls that come in would go first.
        self._pass.clear()
        self._lock.acquire()
        self._let_go()

    def after_fork_in_parent(self) -> None:
        self._lock.release()
        self._pass.set()
        self._closer.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        self._begin()
        self._closer.after_fork_in_child()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
