"""Opening a ledger for work on all of it, such as a migration: by hand, where no call waits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from tuppence.spend.ledger.places import file_of, must_exist
from tuppence.spend.ledger.postgres import PostgresDatabase
from tuppence.spend.ledger.schema import OPEN_WAIT_S
from tuppence.spend.ledger.sqlite import SqliteFile
from tuppence.spend.ledger.store import Database
from tuppence.spend.ledger.sums_kept import CHUNK_ROWS, follow


class Opened:
    """A ledger whose tables are of this version: those of an older one were migrated. Raises `LedgerError` where there
    is none.
    """

    def __init__(self, place: str | Path) -> None:
        path = file_of(place)
        self._database: Database
        if path is not None:
            must_exist(path)
            self._database = SqliteFile(path)
        else:
            self._database = database = PostgresDatabase(str(place))
            database.must_exist()
        self.connection: Connection = self._database.connect(OPEN_WAIT_S)

    @property
    def name(self) -> str:
        return self._database.name

    @contextmanager
    def writing(self, wait_s: float) -> Iterator[None]:
        """Work on one moment of the ledger for as long as it takes, and let others see all of it or nothing.

        Where one program at a time may write, others are waited for up to `wait_s`.
        """
        with self.connection.begin():
            if self.connection.dialect.name == "postgresql":
                # A row that is stored meanwhile must neither be counted nor deleted.
                self.connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                wait_s = math.inf
            self._database.claim(self.connection, wait_s)
            yield

    def add_up(self) -> None:
        """Bring the sums of rows up to the newest, in many small transactions: others write in between."""
        more = True
        while more:
            newest = self._database.settled(self.connection, OPEN_WAIT_S)
            with self.connection.begin():
                self._database.claim(self.connection, OPEN_WAIT_S)
                more = newest - follow(self.connection, newest, CHUNK_ROWS) >= CHUNK_ROWS

    def close(self) -> None:
        self.connection.close()
