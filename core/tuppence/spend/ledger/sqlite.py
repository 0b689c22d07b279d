"""The ledger of one machine: an SQLite file that any number of processes write and read at the same time."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tuppence.errors import LedgerError
from tuppence.spend.ledger.repairs import repaired
from tuppence.spend.ledger.rows import SCHEMA, Row
from tuppence.spend.ledger.schema import bring_up, file_version
from tuppence.spend.ledger.store import cause
from tuppence.spend.ledger.tables import UNIQUE, columns

# Rows a statement, largest first. One statement gives up the interpreter lock once, whatever its rows: row by
# row, a writer beside a busy thread waits a switch interval (5 ms) for each.
STATEMENT_ROWS = (256, 32, 4, 1)


class SqliteFile:
    """One file, opened for writing."""

    transaction_rows = 4096

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None
        self._wait_s = 0.0
        self._engine = create_engine("sqlite://", creator=self._opened, poolclass=NullPool, hide_parameters=True)

    @property
    def name(self) -> str:
        return f"the ledger {self._path}"

    @property
    def spilled(self) -> Path:
        return self._path

    def connect(self, wait_s: float) -> Connection:
        deadline = time.monotonic() + wait_s
        self._wait_s = wait_s
        while True:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return self._with_tables()
            except (sqlite3.Error, DBAPIError, OSError) as error:
                # Turning WAL on answers "busy" at once when two processes do it together, whatever the timeout.
                if not self.is_busy(error) or time.monotonic() > deadline:
                    raise LedgerError(
                        f"the ledger {self._path} cannot be opened ({cause(error)}): name a file on a local disk that "
                        "this user may write, or set TUPPENCE_LEDGER to one"
                    ) from error
                time.sleep(0.01)

    def has_gone(self) -> bool:
        return self._file != _identity(self._path)

    def claim(self, connection: Connection, wait_s: float) -> None:
        raw = driver(connection)
        raw.execute(f"PRAGMA busy_timeout = {int(wait_s * 1000)}")
        raw.execute("BEGIN IMMEDIATE")

    def insert(self, connection: Connection, table: str, rows: Sequence[Row]) -> None:
        # Not through SQLAlchemy, which takes twice as long as SQLite for the same rows.
        raw = driver(connection)
        shared = _shared(rows)
        own = [i for i in range(len(rows[0])) if i not in shared]
        common = [rows[0][i] for i in shared]
        start = 0
        for size in STATEMENT_ROWS:
            while len(rows) - start >= size:
                values = [row[i] for row in rows[start : start + size] for i in own]
                raw.execute(_statement(table, shared, size), common + values)
                start += size

    def settled(self, connection: Connection, wait_s: float) -> int:
        # One at a time writes, so whoever comes later gets a greater number.
        (newest,) = driver(connection).execute("SELECT coalesce(max(id), 0) FROM attempts").fetchone()
        return int(newest)

    def repaired(self, table: str, row: Row) -> Row:
        return repaired(table, row)

    def is_busy(self, error: BaseException) -> bool:
        code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
        return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._wait_s, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            # Before anything is changed.
            file_version(connection, self._path)
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            # FULL: a commit is on the disk when it returns, so what was flushed also survives a power cut. It costs
            # one sync a window, in the writer's thread.
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _with_tables(self) -> Connection:
        connection = self._engine.connect()
        try:
            if file_version(driver(connection), self._path) != SCHEMA:
                with connection.begin():
                    self.claim(connection, self._wait_s)
                    # Another process may have been quicker.
                    found = file_version(driver(connection), self._path)
                    if found != SCHEMA:
                        bring_up(connection, found)
        except BaseException:
            connection.close()
            raise
        self._file = _identity(self._path)
        return connection


def driver(connection: Connection) -> sqlite3.Connection:
    """Return SQLite's own connection, for statements outside of what SQLAlchemy takes for a transaction."""
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _shared(rows: Sequence[Row]) -> tuple[int, ...]:
    """Return the columns that hold one value in all rows: handing a value to SQLite costs more than storing
    it.
    """
    first, last = rows[0], rows[-1]
    alike = [i for i, value in enumerate(first) if value is last[i] or value == last[i]]
    values = list(zip(*rows, strict=True))
    return tuple(i for i in alike if values[i].count(first[i]) == len(rows))


@lru_cache(maxsize=256)
def _statement(table: str, shared: tuple[int, ...], size: int) -> str:
    """Spell the insertion of `size` rows whose `shared` columns are bound once, as the first parameters."""
    names = [column.name for column in columns(table)]
    own = [i for i in range(len(names)) if i not in shared]
    parameter = itertools.count(len(shared) + 1)
    common = [f"?{k}" for k in range(1, len(shared) + 1)]
    values = ", ".join(f"({', '.join(common + [f'?{next(parameter)}' for _ in own])})" for _ in range(size))
    listed = ", ".join(f'"{names[i]}"' for i in (*shared, *own))
    # Not INSERT OR IGNORE, which would also drop a row with a missing value, and say nothing.
    return f"INSERT INTO {table} ({listed}) VALUES {values} ON CONFLICT ({', '.join(UNIQUE[table])}) DO NOTHING"
