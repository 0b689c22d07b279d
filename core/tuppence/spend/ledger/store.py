"""Rows on their way into a database: in transactions of a bounded size, each row once, none given up.

A row that the database refuses must not keep back those beside it: the batch is repaired and goes in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
)

from tuppence.errors import LedgerError
from tuppence.spend.ledger import spill
from tuppence.spend.ledger.rows import Batch, Row, log
from tuppence.spend.ledger.sums_kept import CHUNK_ROWS, follow

_UNFIT = (
    ValueError, TypeError, OverflowError, DataError, IntegrityError, InterfaceError, ProgrammingError,
    sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
)  # fmt: skip
"""What a value that does not fit its column raises, from the driver or from the database."""


class Database(Protocol):
    """What one kind of database does in its own way."""

    @property
    def name(self) -> str:
        """Name the place in messages, without a password."""
        ...

    @property
    def spilled(self) -> Path:
        """What spill files are named after."""
        ...

    @property
    def transaction_rows(self) -> int:
        """Rows a transaction: a long backlog must not keep others out for seconds."""
        ...

    def connect(self, wait_s: float) -> Connection:
        """Open it with all tables there; raise `LedgerError` where that cannot be."""
        ...

    def has_gone(self) -> bool:
        """Say whether what is connected to is no longer what the name names."""
        ...

    def claim(self, connection: Connection, wait_s: float) -> None:
        """Begin writing, within a transaction, or raise after about `wait_s`."""
        ...

    def insert(self, connection: Connection, table: str, rows: Sequence[Row]) -> None:
        """Add the rows that are not there yet."""
        ...

    def settled(self, connection: Connection, wait_s: float) -> int:
        """Return the number of an attempt up to which no other will come; outside of a transaction."""
        ...

    def repaired(self, table: str, row: Row) -> Row:
        """Return the row so that the database takes it."""
        ...

    def is_busy(self, error: BaseException) -> bool:
        """Say whether another connection was in the way, so that this one is as good as before."""
        ...


class DatabaseStore:
    """The database behind a writer, which sees to it that one thread at a time comes here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._left_alone: set[Path] = set()
        # Others may have left some: the first look tells.
        self._not_added_up = CHUNK_ROWS

    @property
    def name(self) -> str:
        return self._database.name

    def open_and_import(self, wait_s: float) -> bool:
        """Make sure that the database can be used, take spilled rows in, and leave nothing open; say whether all are
        in.
        """
        try:
            self._open(wait_s)
            try:
                while self.take_in():
                    pass
            except LedgerError as error:
                log.warning("spilled rows are not in the ledger yet: %s", error)
                return False
            return True
        finally:
            self.release()

    def save(self, batch: Batch, wait_s: float) -> None:
        try:
            connection = self._open(wait_s)
            for table, rows in batch.rows.items():
                while rows:
                    some = rows[: self._database.transaction_rows]
                    self._store(connection, table, some, wait_s)
                    del rows[: len(some)]
                    self._not_added_up += len(some)
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            if not self._database.is_busy(error):
                # After a failed write the state of the connection is not worth knowing.
                self._drop()
            raise LedgerError(f"{self.name} cannot be written ({cause(error)})") from error

    def add_up(self, wait_s: float) -> bool:
        """Bring the sums of rows a step nearer to the newest; say whether there is another step to do.

        Nothing hangs on it: reports read what the sums do not hold yet from the rows.
        """
        if self._not_added_up < CHUNK_ROWS:
            return False
        try:
            connection = self._open(wait_s)
            newest = self._database.settled(connection, wait_s)
            with connection.begin():
                self._database.claim(connection, wait_s)
                self._not_added_up = newest - follow(connection, newest, CHUNK_ROWS)
        except (SQLAlchemyError, sqlite3.Error, OSError, LedgerError) as error:
            self._not_added_up = 0
            log.debug("%s: sums of rows are left for later (%s)", self.name, cause(error))
            if not self._database.is_busy(error):
                self._drop()
        return self._not_added_up >= CHUNK_ROWS

    def spill(self, batch: Batch) -> Path:
        return spill.spill(self._database.spilled, batch)

    def take_in(self) -> bool:
        """Store the rows of one spill file and remove it; say whether there was one that could be read."""
        for path in spill.found(self._database.spilled):
            if path in self._left_alone:
                continue
            try:
                rows = spill.read(path)
            except LedgerError as error:
                self._left_alone.add(path)
                log.warning("spilled rows are not in the ledger yet: %s", error)
                continue
            self.save(rows, wait_s=1.0)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._left_alone.add(path)
                log.warning("%s is in the ledger and can be removed, which failed: %s", path, error)
            return True
        return False

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _drop(self) -> None:
        """Let go without a word to the server, which may not answer."""
        if self._connection is not None:
            self._connection.invalidate()
        self.release()

    def _open(self, wait_s: float) -> Connection:
        if self._connection is not None and self._database.has_gone():
            # Somebody removed or replaced the file: what is written into the old one, nobody reads.
            self.release()
        if self._connection is None:
            self._connection = self._database.connect(wait_s)
        return self._connection

    def _store(self, connection: Connection, table: str, rows: Sequence[Row], wait_s: float) -> None:
        """Store the rows in one transaction; those that cannot be taken as they are, repaired."""
        try:
            self._insert(connection, table, rows, wait_s)
        except _UNFIT:
            self._insert(connection, table, [self._database.repaired(table, row) for row in rows], wait_s)

    def _insert(self, connection: Connection, table: str, rows: Sequence[Row], wait_s: float) -> None:
        with connection.begin():
            self._database.claim(connection, wait_s)
            self._database.insert(connection, table, rows)


def cause(error: BaseException) -> str:
    """Say what the driver said: SQLAlchemy's own text adds statements and links."""
    return str(error.orig if isinstance(error, DBAPIError) else error).strip()
