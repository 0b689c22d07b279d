"""A SQLite file beside the work: every recorded call with its row, so that a million of them need no memory.

It is made for one reading, holds texts only as redaction left them, and is gone when the reading is closed. Nothing
here decides what a row is worth.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, call_id TEXT NOT NULL, at REAL NOT NULL, tier TEXT NOT NULL, model TEXT NOT NULL,
    reason TEXT, family INTEGER NOT NULL, head TEXT NOT NULL, text INTEGER NOT NULL, session TEXT, pico INTEGER,
    used_input INTEGER, used_output INTEGER, body BLOB, site INTEGER, split TEXT);
CREATE UNIQUE INDEX calls_by_name ON calls (call_id);
CREATE TABLE feedback (call_id TEXT PRIMARY KEY, at REAL NOT NULL, score REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE judged (call_id TEXT PRIMARY KEY, score REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE prompts (
    id INTEGER PRIMARY KEY, family INTEGER NOT NULL, text TEXT NOT NULL, tools TEXT NOT NULL, first_at REAL NOT NULL,
    last_at REAL NOT NULL, calls INTEGER NOT NULL);
CREATE TABLE buckets (band BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE signatures (id INTEGER PRIMARY KEY, digest BLOB NOT NULL, answer BLOB NOT NULL);
CREATE TABLE asked (
    hash BLOB PRIMARY KEY, id INTEGER NOT NULL, answer BLOB NOT NULL, others INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (name TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE answers (hash TEXT PRIMARY KEY, text TEXT NOT NULL, rows INTEGER NOT NULL) WITHOUT ROWID;
"""
# Nothing of it is needed after a crash; 64 MB of pages are kept in memory.
_PRAGMAS = ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", "cache_size = -64000")


class Scratch:
    """Rows on disk, until `close`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tuppence-dataset-", dir=folder)
        self._rows = sqlite3.connect(Path(self._folder.name) / "rows.sqlite", isolation_level=None)
        for pragma in _PRAGMAS:
            self._rows.execute(f"PRAGMA {pragma}")
        self._rows.executescript(_SCHEMA)
        self._rows.execute("BEGIN")

    def do(self, statement: str, *values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return self._run(statement, values).rowcount

    def add_many(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        self._rows.executemany(statement, values)

    def one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        found: tuple[Any, ...] | None = self._run(statement, values).fetchone()
        return found

    def each(self, statement: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Stream the rows of a query; they may be changed meanwhile only where the query sorts them first."""
        return iter(self._rows.execute(statement, values))

    def _run(self, statement: str, values: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._rows.execute(statement, values)
        except UnicodeEncodeError:
            # A lone surrogate of a broken text, which SQLite cannot hold.
            return self._rows.execute(statement, [_storable(value) for value in values])

    def close(self) -> None:
        """Remove the file and all that is in it."""
        self._rows.close()
        self._folder.cleanup()


def _storable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
