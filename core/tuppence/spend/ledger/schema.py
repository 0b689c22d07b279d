"""Which tables a database has, and how it comes to have those of this version.

A ledger of a newer tuppence must never be written, nor a database that is none.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, insert

from tuppence.errors import LedgerError
from tuppence.spend.ledger.places import must_exist
from tuppence.spend.ledger.rows import SCHEMA, TABLES
from tuppence.spend.ledger.tables import added_up, metadata, version

OPEN_WAIT_S = 5.0


def bring_up(connection: Connection, found: int) -> None:
    """Make the tables, or migrate those of schema `found`, within the caller's transaction, which keeps others out."""
    if found:
        from tuppence.spend.ledger.migrations import migrate

        migrate(connection, found)
    else:
        metadata.create_all(connection)
        connection.execute(insert(version).values(version_num=str(SCHEMA)))
        connection.execute(insert(added_up).values(last_id=0))
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


def refuse_newer(found: int, name: str, way_out: str) -> None:
    if found > SCHEMA:
        raise LedgerError(
            f"{name} has schema {found}, this tuppence knows up to {SCHEMA}: upgrade tuppence, or {way_out}"
        )


def file_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema of an SQLite file, 0 for an empty one; raise `LedgerError` for one that is not ours to
    write.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    refuse_newer(found, f"the ledger {path}", "set TUPPENCE_LEDGER to another file")
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if (found and not names.issuperset(TABLES)) or (not found and names):
        raise LedgerError(f"{path} is an SQLite database but not a ledger: name another file, or an empty one")
    return int(found)


def readable(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `LedgerError` unless the file's tables are of this version."""
    found = file_version(connection, path)
    if found == 0:
        raise LedgerError(f"{path} is an empty database: make a call with the ledger on first")
    if found < SCHEMA:
        raise LedgerError(
            f"the ledger {path} has schema {found}, of an older tuppence: "
            f"run `tuppence ledger migrate --ledger {path}`, or make a call with it"
        )


def read_only(path: Path) -> sqlite3.Connection:
    """Open the ledger for reports: its readers never wait for writers, nor writers for them."""
    must_exist(path)
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=OPEN_WAIT_S, check_same_thread=False
    )
    try:
        readable(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(
            f"the ledger {path} cannot be read ({error}): check that it is one, and copy it out of a folder that this "
            "user may not write"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection
