"""The tables of a store of jobs, in one SQLite file: what was asked, how far each part is, what was answered.

Texts are kept here until a job is removed: that is what the file is for. Money is pico-USD as text, for sums may pass
int64.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from tuppence.batch.lines import BatchError

VERSION = 1
APPLICATION = 0x7470626A
"""`PRAGMA application_id`, "tpbj": a file without it is somebody else's."""

_TABLES = """
CREATE TABLE jobs (
    job INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT UNIQUE,
    state TEXT NOT NULL,             -- planning, open, cancelling, done
    provider TEXT NOT NULL,
    window TEXT NOT NULL,
    tags TEXT NOT NULL,              -- JSON
    made_at REAL NOT NULL,
    lines INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    worst TEXT,                      -- NULL: some line has no known price
    note TEXT NOT NULL DEFAULT '',
    blocked TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE lines (
    job INTEGER NOT NULL, n INTEGER NOT NULL, custom_id TEXT NOT NULL, r INTEGER NOT NULL,
    PRIMARY KEY (job, n)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX lines_custom_id ON lines (job, custom_id);
CREATE INDEX lines_request ON lines (job, r);
CREATE TABLE requests (
    job INTEGER NOT NULL, r INTEGER NOT NULL, digest BLOB NOT NULL,
    part INTEGER NOT NULL,           -- the last that it was put into
    state TEXT NOT NULL,             -- sent (or about to be), waiting to be sent again, answered, failed
    tries INTEGER NOT NULL,
    bytes INTEGER NOT NULL, inputs INTEGER NOT NULL,
    worst TEXT,
    url TEXT NOT NULL, model TEXT NOT NULL,
    PRIMARY KEY (job, r)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX requests_digest ON requests (job, digest);
CREATE INDEX requests_part ON requests (job, part);
CREATE INDEX requests_waiting ON requests (job, r) WHERE state = 'waiting';
CREATE TABLE bodies (job INTEGER NOT NULL, r INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (job, r)) STRICT;
CREATE TABLE answers (
    job INTEGER NOT NULL, r INTEGER NOT NULL, body TEXT, error TEXT, UNIQUE (job, r)
) STRICT;
CREATE TABLE attempts (
    job INTEGER NOT NULL, r INTEGER NOT NULL, n INTEGER NOT NULL, attempt TEXT NOT NULL,
    PRIMARY KEY (job, r, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE parts (
    job INTEGER NOT NULL, part INTEGER NOT NULL,
    state TEXT NOT NULL,             -- planned, uploading, uploaded, creating, created, ended, fetched, settled
    token TEXT NOT NULL,
    url TEXT NOT NULL, model TEXT NOT NULL,
    lines INTEGER NOT NULL,
    worst TEXT,
    reserved_at REAL NOT NULL DEFAULT 0,
    intended_at REAL NOT NULL DEFAULT 0,
    file_id TEXT NOT NULL DEFAULT '',
    batch_id TEXT NOT NULL DEFAULT '',
    supposed INTEGER NOT NULL DEFAULT 0,     -- 1: the batch was found, and its lines have not shown that it is ours
    foreign_ids TEXT NOT NULL DEFAULT '[]',
    created_at REAL NOT NULL DEFAULT 0,
    ended_at REAL NOT NULL DEFAULT 0,
    sources TEXT NOT NULL DEFAULT '[]',
    gpu_ms INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    looks INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL DEFAULT 0,
    answered INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    spent TEXT NOT NULL DEFAULT '0',
    PRIMARY KEY (job, part)
) STRICT, WITHOUT ROWID;
"""


def opened(path: Path, *, wait_s: float) -> sqlite3.Connection:
    """Open the file, with its tables; raises `BatchError` for one that is no store of jobs, or of a newer tuppence."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Prompts are in it: nobody else's to read.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            return _with_tables(path, wait_s)
        except (sqlite3.Error, OSError) as error:
            # Turning WAL on answers "busy" at once when two processes do it together, whatever the timeout.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise BatchError(
                    f"the store of jobs {path} cannot be opened ({error}): name a file on a local disk that this user "
                    "may write"
                ) from error
            time.sleep(0.005)


def _with_tables(path: Path, wait_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            _bring_up(connection, path)
            connection.execute("COMMIT")
        # FULL: what was taken in, or is about to be done, survives a power cut too.
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (kind,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and kind != APPLICATION:
        raise BatchError(f"{path} is an SQLite database but no store of jobs: name another file, or a new one")
    if version > VERSION:
        raise BatchError(
            f"the store {path} is of a newer tuppence (schema {version}, known {VERSION}): upgrade tuppence"
        )
    if not tables:
        for statement in _TABLES.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
