"""The SQLite file of counters: its tables, and how it is opened. Money is exact dollars as text, for any amount."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from tuppence.errors import BudgetError

APPLICATION = 0x74707062
"""`PRAGMA application_id`, "tppb": a file without it is somebody else's."""
SCHEMA = 1

_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS counters (
    counter TEXT PRIMARY KEY, budget TEXT NOT NULL, spent TEXT NOT NULL, held TEXT NOT NULL, "limit" TEXT,
    until REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (
    hold TEXT NOT NULL, counter TEXT NOT NULL, amount TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (hold, counter)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS swept (hold TEXT PRIMARY KEY, until REAL NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id = {application};
PRAGMA user_version = {schema};
COMMIT;
"""


def connect(path: Path, wait_s: float) -> sqlite3.Connection:
    """Open the file, make it where there is none; raises `sqlite3.Error`, `OSError`, and `BudgetError` for a file that
    is something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return _opened(path, wait_s)
        except sqlite3.OperationalError as error:
            # Turning WAL on answers "busy" at once when two processes do it together, whatever the timeout.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _opened(path: Path, wait_s: float) -> sqlite3.Connection:
    # Any thread may use it; a lock makes it one at a time.
    rows = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    try:
        (application,) = rows.execute("PRAGMA application_id").fetchone()
        (version,) = rows.execute("PRAGMA user_version").fetchone()
        (tables,) = rows.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application != APPLICATION or version > SCHEMA):
            raise BudgetError(
                f"{path} is no file of budgets that this tuppence knows: name another file, or a new one"
                if application != APPLICATION
                else f"{path} was made by a newer tuppence (schema {version}, known {SCHEMA}): upgrade tuppence"
            )
        if not tables:
            rows.execute("PRAGMA journal_mode = WAL")
            rows.executescript(_TABLES.format(application=APPLICATION, schema=SCHEMA))
        # No sync at a commit: a power cut may lose the last ones, but tears none; a kill -9 loses none.
        rows.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        rows.close()
        raise
    return rows
