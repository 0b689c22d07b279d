"""The SQLite file itself: its tables, its version, and the two ways of opening it.

A file of a newer tuppence must never be written, nor one that is not a ledger.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from tuppence.errors import LedgerError
from tuppence.spend.ledger.rows import SCHEMA, TABLES, UNIQUE

OPEN_WAIT_S = 5.0


def tables() -> list[str]:
    """Spell the tables in SQL; each has a rowid `id`, in the order of writing."""
    return [
        f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, "
        + ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        + f", UNIQUE ({', '.join(UNIQUE[table])})) STRICT"
        for table, columns in TABLES.items()
    ]


def connect(path: Path, *, wait_s: float = OPEN_WAIT_S) -> sqlite3.Connection:
    """Open the ledger for writing, make it where there is none; raise `LedgerError` where that cannot be."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _opened(path, wait_s)
        except (sqlite3.Error, OSError) as error:
            # Turning WAL on answers "busy" at once when two processes do it together, whatever the timeout.
            if not is_busy(error) or time.monotonic() > deadline:
                raise LedgerError(
                    f"the ledger {path} cannot be opened ({error}): name a file on a local disk that this user may "
                    "write, or set TUPPENCE_LEDGER to one"
                ) from error
            time.sleep(0.01)


def _opened(path: Path, wait_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    try:
        version = _version(connection, path)
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk when it returns, so what was flushed also survives a power cut. It costs one
        # sync a window, in the writer's thread.
        connection.execute("PRAGMA synchronous = FULL")
        if version != SCHEMA:
            _create(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have been quicker.
    if _version(connection, path) != SCHEMA:
        for statement in tables():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("COMMIT")


def read_only(path: Path) -> sqlite3.Connection:
    """Open the ledger for reports: its readers never wait for writers, nor writers for them."""
    if not path.is_file():
        raise LedgerError(f"there is no ledger at {path}: give the path of one, or make a call with the ledger on")
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=OPEN_WAIT_S)
    try:
        if _version(connection, path) != SCHEMA:
            raise LedgerError(f"{path} is an empty database: make a call with the ledger on first")
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(f"the ledger {path} cannot be read ({error}): check that it is one") from error
    except LedgerError:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version, 0 for an empty file; raise `LedgerError` for a file that is not ours to
    write.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise LedgerError(
            f"the ledger {path} has schema {version}, this tuppence knows up to {SCHEMA}: upgrade tuppence, or set "
            "TUPPENCE_LEDGER to another file"
        )
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if (version == SCHEMA and not names >= TABLES.keys()) or (version < SCHEMA and names):
        raise LedgerError(f"{path} is an SQLite database but not a ledger: name another file, or an empty one")
    return int(version)


def is_busy(error: BaseException) -> bool:
    """Say whether another connection held the file, so that trying again may help."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
