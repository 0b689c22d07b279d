"""Where a queue is kept: an SQLite file for the processes of one machine, or a PostgreSQL database for many machines.

One schema and one set of statements serve both. What differs is here: how a transaction begins, and how long it may
wait.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tuppence.batch.lines import BatchError
from tuppence.batch.queue.tables import metadata
from tuppence.errors import LedgerError
from tuppence.spend.ledger import places

if TYPE_CHECKING:
    from tuppence.spend.ledger.patience import PatientConnection

_BUSY_S = 30.0
"""Longest wait for another process's transaction: those are short, and a request is not to be lost for a slow disk."""
_CONNECT_S = 10
"""Seconds to let in whoever knocks: nobody's call waits for it, and a busy server must not count as away."""
_ANSWER_S = 30.0
"""Seconds until a server that does not answer counts as away."""
_READS = "tuppence_reads"
"""Execution option of a connection that is opened to read only."""
_LOCK = 0x7475_7070_6C61_6E65
"""Key of the advisory lock under which tables are made."""


class QueueError(BatchError):
    """A queue that cannot be opened, reached or written."""


class Database:
    """One queue's database, opened anew for each transaction: threads and forks share nothing."""

    def __init__(self, place: str | Path) -> None:
        self.place = place
        try:
            file = places.file_of(place)
        except LedgerError as error:
            raise QueueError(f"no queue can be kept there: {error}") from error
        self._file = file
        self._engine = _postgres(str(place)) if file is None else _sqlite(file)
        self._reader = self._engine.execution_options(**{_READS: True})
        self._has_tables = False

    @property
    def name(self) -> str:
        """Name the queue for messages, without the password of an address."""
        return f"the queue {places.shown_place(self.place)}"

    def writing(self) -> AbstractContextManager[Connection]:
        """Open a transaction: all of it is on disk when this returns, or nothing. Raises `QueueError`."""
        return self._opened(self._engine)

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction that holds nobody up. Raises `QueueError`."""
        return self._opened(self._reader)

    @contextmanager
    def _opened(self, engine: Engine) -> Iterator[Connection]:
        try:
            if not self._has_tables:
                self._make_tables()
            with engine.begin() as connection:
                yield connection
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise QueueError(
                f"{self.name} cannot be used ({getattr(error, 'orig', None) or error}): name a file on a local disk "
                "that this user may write, or the address of a PostgreSQL database that is up"
            ) from error

    def _make_tables(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # Prompts are in it: nobody else's to read.
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
            _turn_on_wal(self._file)
        with self._engine.begin() as connection:
            if self._file is None:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            metadata.create_all(connection)
        self._has_tables = True


def _turn_on_wal(file: Path) -> None:
    """Let readers and a writer work side by side; the file remembers it."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        raw = sqlite3.connect(file, timeout=_BUSY_S)
        try:
            raw.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # "busy" at once when two processes turn it on together, whatever the timeout.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        finally:
            raw.close()


def _sqlite(file: Path) -> Engine:
    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        # FULL: what was handed over survives a power cut too.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    engine = create_engine("sqlite://", creator=opened, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    # A transaction that begins as a reader is refused, not made to wait, when it comes to write.
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(_READS) else "BEGIN IMMEDIATE")


def _postgres(address: str) -> Engine:
    try:
        url = places.address(address)
    except LedgerError as error:
        raise QueueError(f"no queue can be kept there: {error}") from error
    # A pooler in between may not know what was prepared.
    manners: dict[str, Any] = {
        "connect_timeout": _CONNECT_S, "application_name": "tuppence", "prepare_threshold": None,
    }  # fmt: skip
    given = {name: value for name, value in manners.items() if name not in url.query}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=given)
    event.listen(engine, "do_connect", _patient)
    return engine


def _patient(_: Any, __: Any, args: Sequence[Any], options: dict[str, Any]) -> PatientConnection:
    from tuppence.spend.ledger.patience import PatientConnection

    connection = PatientConnection.connect(*args, **options)
    # One transaction a connection, so this bounds the transaction.
    connection.deadline = time.monotonic() + _ANSWER_S
    return connection
