"""The SQLite file of experiments: who was exposed, what their calls came to, how good the answers were.

Any number of processes write and read it at once. Each row has a key of its own, so that writing it twice changes
nothing. Numbers and hashes only: no prompt, no answer, no id of a person.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tuppence.errors import TuppenceError
from tuppence.routes.experiment import Observation


class ExperimentError(TuppenceError):
    """An experiment's file that cannot be opened, written or read, or that does not hold what was asked for."""


SCHEMA = 1
BUSY_S = 5.0
"""Longest wait for another process's transaction."""

_TABLES = """
CREATE TABLE exposures (
    experiment TEXT NOT NULL, unit TEXT NOT NULL, arm TEXT NOT NULL, share REAL NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (experiment, unit)
) STRICT, WITHOUT ROWID;
CREATE TABLE observations (
    experiment TEXT NOT NULL, unit TEXT NOT NULL, call_id TEXT NOT NULL, at REAL NOT NULL, arm TEXT NOT NULL,
    pico_usd INTEGER, latency_ms REAL, failed INTEGER,
    PRIMARY KEY (experiment, unit, call_id, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE scores (call_id TEXT NOT NULL PRIMARY KEY, score REAL NOT NULL) STRICT, WITHOUT ROWID;
"""
_NAMES = {"exposures", "observations", "scores"}
_EXPOSE = "INSERT INTO exposures VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_OBSERVE = "INSERT INTO observations VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
# Who grades an answer again means to correct the grade.
_SCORE = "INSERT INTO scores VALUES (?, ?) ON CONFLICT DO UPDATE SET score = excluded.score"


def create(path: Path) -> None:
    """Make the file where there is none; raise `ExperimentError` for one that cannot be used."""
    with _told(path), closing(_connected(path)):
        pass


def save(path: Path, observations: Iterable[Observation], scores: Iterable[tuple[str, float]]) -> None:
    """Store all of it or, with a `ExperimentError`, nothing."""
    seen = list(observations)
    with _told(path), closing(_connected(path)) as rows:
        rows.execute("BEGIN IMMEDIATE")
        rows.executemany(_EXPOSE, [(o.experiment, o.unit, o.arm, o.share, o.at) for o in seen])
        rows.executemany(
            _OBSERVE,
            [(o.experiment, o.unit, o.call_id, o.at, o.arm, o.pico_usd, o.latency_ms, o.failed) for o in seen],
        )
        rows.executemany(_SCORE, scores)
        rows.execute("COMMIT")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for reports; raise `ExperimentError` where there is none."""
    if not path.is_file():
        raise ExperimentError(f"there is no experiment file at {path}: name the one that ExperimentLog writes")
    with _told(path):
        rows = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
        with closing(rows):
            if not _is_ours(rows, path):
                raise ExperimentError(f"{path} is an empty database: let an experiment see some traffic first")
            yield rows


def _connected(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The owner's alone: which hashes took part, and when, is nobody else's to read.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    rows = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        _switch_to_wal(rows)
        rows.execute("PRAGMA synchronous = NORMAL")
        if not _is_ours(rows, path):
            rows.execute("BEGIN IMMEDIATE")
            # Another process may have been quicker.
            if not _is_ours(rows, path):
                for statement in filter(str.strip, _TABLES.split(";")):
                    rows.execute(statement)
                rows.execute(f"PRAGMA user_version = {SCHEMA}")
            rows.execute("COMMIT")
    except BaseException:
        rows.close()
        raise
    return rows


def _switch_to_wal(rows: sqlite3.Connection) -> None:
    # SQLite does not wait for this one lock, whatever the timeout.
    give_up_at = time.monotonic() + BUSY_S
    while True:
        try:
            rows.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.005)


def _is_ours(rows: sqlite3.Connection, path: Path) -> bool:
    """Say whether the tables stand, False for an empty file; raise `ExperimentError` for a file of another kind."""
    (version,) = rows.execute("PRAGMA user_version").fetchone()
    names = {name for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version == SCHEMA and names >= _NAMES:
        return True
    if version > SCHEMA and names >= _NAMES:
        raise ExperimentError(f"{path} was written by a newer tuppence (schema {version}): upgrade tuppence")
    if names:
        raise ExperimentError(f"{path} is an SQLite database but no experiment file: name another file, or a new one")
    return False


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ExperimentError(
            f"the experiment file {path} cannot be used ({error}): name an SQLite file on a local disk that this user "
            "may write"
        ) from error
