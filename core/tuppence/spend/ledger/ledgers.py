"""The ledgers that a program opens: thin names over a writer and a database, light until one is opened.

Losses are bounded and stated: `kill -9` takes at most the calls of the last `window_s` (and those of the
commit under way); what `flush` acknowledged survives that and, as far as the disk keeps its word, a power
cut.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from tuppence.attempts import Result
from tuppence.errors import LedgerError
from tuppence.spend.ledger.places import file_of
from tuppence.spend.ledger.rows import Feedback, log
from tuppence.spend.ledger.writer import Writer

if TYPE_CHECKING:
    from tuppence.spend.ledger.store import DatabaseStore

OPEN_WAIT_S = 5.0


def default_place() -> str | Path:
    """Return what `$TUPPENCE_LEDGER` names, a file or a postgresql:// address, or `ledger.sqlite` in this user's data
    folder.
    """
    named = os.environ.get("TUPPENCE_LEDGER")
    if not named:
        return platformdirs.user_data_path("tuppence", appauthor=False) / "ledger.sqlite"
    return file_of(named) or named


class DatabaseLedger:
    """What all ledgers do, whatever stores their rows."""

    def __init__(self, store: DatabaseStore, *, window_s: float) -> None:
        self._writer = Writer(store, window_s=window_s)

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
        """Flush and let the database go; rows that cannot be stored go to a file that the log names."""
        self._writer.close()


class SqliteLedger(DatabaseLedger):
    """Writes settled calls into the SQLite file `path`, at most `window_s` after they are handed over.

    Raises `LedgerError` where the file cannot be opened. Rows that an earlier process had to spill are read
    in; a file of an older tuppence is migrated.
    """

    def __init__(self, path: str | Path, *, window_s: float = 0.25) -> None:
        from tuppence.spend.ledger.sqlite import SqliteFile
        from tuppence.spend.ledger.store import DatabaseStore

        file = file_of(path)
        if file is None:
            raise LedgerError(
                "SqliteLedger was given the address of a database: give it a file, or make a PostgresLedger"
            )
        self.path = self.place = file
        store = DatabaseStore(SqliteFile(self.path))
        super().__init__(store, window_s=window_s)
        if not store.open_and_import(OPEN_WAIT_S):
            self._writer.catch_up()


class PostgresLedger(DatabaseLedger):
    """Writes settled calls into the PostgreSQL database at `address`, at most `window_s` after they are handed over.

    Raises `LedgerError` for an address that is none, for a database that holds something else or a newer ledger, and
    where psycopg is missing. A server that is away raises nothing: rows wait until it is back.
    """

    def __init__(self, address: str, *, window_s: float = 0.25) -> None:
        from tuppence.spend.ledger.postgres import LedgerAway, PostgresDatabase
        from tuppence.spend.ledger.store import DatabaseStore

        self.address = self.place = address
        store = DatabaseStore(PostgresDatabase(address))
        super().__init__(store, window_s=window_s)
        try:
            complete = store.open_and_import(OPEN_WAIT_S)
        except LedgerAway as error:
            log.warning("%s; rows are kept in memory and tried again", error)
            complete = False
        if not complete:
            self._writer.catch_up()
