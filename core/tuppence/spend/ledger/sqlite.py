"""The ledger of one machine: an SQLite file that any number of processes write and read at the same time.

Losses are bounded and stated: `kill -9` takes at most the calls of the last `window_s` (and those of the
commit under way); what `flush` acknowledged survives that and, as far as the disk keeps its word, a power
cut.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import platformdirs

from tuppence.attempts import Result
from tuppence.errors import LedgerError
from tuppence.spend.ledger import spill
from tuppence.spend.ledger.rows import TABLES, UNIQUE, Batch, Feedback, Row, log, repaired
from tuppence.spend.ledger.schema import OPEN_WAIT_S, connect, is_busy
from tuppence.spend.ledger.writer import Writer

# Rows a statement, largest first. One statement gives up the interpreter lock once, whatever its rows: row by
# row, a writer beside a busy thread waits a switch interval (5 ms) for each.
STATEMENT_ROWS = (256, 32, 4, 1)
# Rows a transaction: a long backlog must not keep other processes out for seconds.
TRANSACTION_ROWS = 4096


def default_path() -> Path:
    """Return `$TUPPENCE_LEDGER`, or `ledger.sqlite` in this user's data folder."""
    named = os.environ.get("TUPPENCE_LEDGER")
    return (
        Path(named).expanduser()
        if named
        else platformdirs.user_data_path("tuppence", appauthor=False) / "ledger.sqlite"
    )


class SqliteLedger:
    """Writes settled calls into the SQLite file `path`, at most `window_s` after they are handed over.

    Raises `LedgerError` where the file cannot be opened. Rows that an earlier process had to spill are read
    in.
    """

    def __init__(self, path: str | Path, *, window_s: float = 0.25) -> None:
        self.path = Path(path).absolute()
        store = SqliteStore(self.path)
        self._writer = Writer(store, window_s=window_s)
        store.open_and_import()

    def write(self, result: Result) -> None:
        """Take `result` in: no lock, no I/O, never an exception."""
        self._writer.put(result)

    def feedback(self, call_id: str, score: float) -> None:
        """Write down how good the answer of `call_id` was, in [0, 1]; the call need not be known."""
        self._writer.put(Feedback.of(call_id, score))

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once everything written so far is on disk; else raise `LedgerError` saying where the rows
        are.
        """
        self._writer.flush(timeout_s)

    def close(self) -> None:
        """Flush and let the file go; rows that cannot be stored go to a file that the log names."""
        self._writer.close()


class SqliteStore:
    """The file behind a writer, which sees to it that one thread at a time comes here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return f"the ledger {self._path}"

    def open_and_import(self) -> None:
        """Make sure that the file can be used, take spilled rows in, and leave nothing open."""
        try:
            self._open(OPEN_WAIT_S)
            for path in spill.found(self._path):
                self._take_in(path)
        finally:
            self.release()

    def save(self, batch: Batch, wait_s: float) -> None:
        try:
            connection = self._open(wait_s)
            connection.execute(f"PRAGMA busy_timeout = {int(wait_s * 1000)}")
            for table, rows in batch.rows.items():
                while rows:
                    _store(connection, table, rows[:TRANSACTION_ROWS])
                    del rows[:TRANSACTION_ROWS]
        except (sqlite3.Error, OSError) as error:
            if not is_busy(error):
                # After a failed write the state of the connection is not worth knowing.
                self.release()
            raise LedgerError(f"{self.name} cannot be written ({error})") from error

    def spill(self, batch: Batch) -> Path:
        return spill.spill(self._path, batch)

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self, wait_s: float) -> sqlite3.Connection:
        if self._connection is not None and self._file != _identity(self._path):
            # Somebody removed or replaced the file: what is written into the old one, nobody reads.
            self.release()
        if self._connection is None:
            self._connection = connect(self._path, wait_s=wait_s)
            self._file = _identity(self._path)
        return self._connection

    def _take_in(self, path: Path) -> None:
        try:
            self.save(spill.read(path), wait_s=1.0)
            path.unlink(missing_ok=True)
        except (LedgerError, OSError) as error:
            log.warning("spilled rows are not in the ledger yet: %s", error)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _store(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    """Store the rows in one transaction; those that SQLite cannot take as they are, repaired."""
    try:
        _insert(connection, table, rows)
    except (ValueError, OverflowError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
        _insert(connection, table, [repaired(table, row) for row in rows])


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    shared = _shared(rows)
    own = [i for i in range(len(rows[0])) if i not in shared]
    common = [rows[0][i] for i in shared]
    connection.execute("BEGIN IMMEDIATE")
    try:
        start = 0
        for size in STATEMENT_ROWS:
            while len(rows) - start >= size:
                values = [row[i] for row in rows[start : start + size] for i in own]
                connection.execute(_statement(table, shared, size), common + values)
                start += size
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _shared(rows: Sequence[Row]) -> tuple[int, ...]:
    """Return the columns that hold one value in all rows: handing a value to SQLite costs more than storing
    it.
    """
    first, last = rows[0], rows[-1]
    alike = [i for i, value in enumerate(first) if value is last[i] or value == last[i]]
    columns = list(zip(*rows, strict=True))
    return tuple(i for i in alike if columns[i].count(first[i]) == len(rows))


@lru_cache(maxsize=256)
def _statement(table: str, shared: tuple[int, ...], size: int) -> str:
    """Spell the insertion of `size` rows whose `shared` columns are bound once, as the first parameters."""
    names = list(TABLES[table])
    own = [i for i in range(len(names)) if i not in shared]
    parameter = itertools.count(len(shared) + 1)
    common = [f"?{k}" for k in range(1, len(shared) + 1)]
    values = ", ".join(f"({', '.join(common + [f'?{next(parameter)}' for _ in own])})" for _ in range(size))
    columns = ", ".join(f'"{names[i]}"' for i in (*shared, *own))
    # Not INSERT OR IGNORE, which would also drop a row with a missing value, and say nothing.
    return f"INSERT INTO {table} ({columns}) VALUES {values} ON CONFLICT ({', '.join(UNIQUE[table])}) DO NOTHING"
