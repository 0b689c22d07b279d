"""Reading a ledger: one snapshot of it, whatever is written meanwhile, and nothing of it changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tuppence.errors import LedgerError
from tuppence.spend.ledger.places import address, file_of, shown

if TYPE_CHECKING:
    from sqlalchemy import Connection


@contextmanager
def reading(place: str | Path) -> Iterator[Connection]:
    """Open the ledger at `place`, a file or an address such as `postgresql://host/database`, for as long as the block
    lasts.

    All that the block reads is of one moment. Raises `LedgerError` where there is no ledger, where it is not of this
    version, and for whatever the database says to a query of the block.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from tuppence.spend.ledger.store import cause

    path = file_of(place)
    name = f"the ledger {path}" if path is not None else f"the ledger at {shown(address(str(place)))}"
    opened = _of_file(path) if path is not None else _of_address(str(place))
    try:
        with opened as connection:
            yield connection
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise LedgerError(f"{name} cannot be read ({cause(error)})") from error


@contextmanager
def _of_file(path: Path) -> Iterator[Connection]:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    from tuppence.spend.ledger.schema import read_only

    with closing(read_only(path)) as raw:
        # Transactions are begun by hand: the driver would begin none for a query.
        raw.isolation_level = None
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=NullPool, hide_parameters=True)
        with engine.connect() as connection, connection.begin():
            raw.execute("BEGIN")
            # A snapshot is taken by the first look, not by BEGIN.
            raw.execute("SELECT 1 FROM ledger_version").fetchone()
            yield connection


@contextmanager
def _of_address(place: str) -> Iterator[Connection]:
    from tuppence.spend.ledger.postgres import PostgresDatabase

    with closing(PostgresDatabase(place).connect_to_read()) as connection, connection.begin():
        yield connection
