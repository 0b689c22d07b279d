"""Scores for an experiment from where they lie already: what users said, in a ledger or beside recorded traffic.

Scores may be taken as often as one likes; those of calls that no experiment saw do no harm.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from tuppence.evidence.experiments.file import ExperimentError, save
from tuppence.evidence.outcomes import read_feedback
from tuppence.spend.ledger.schema import read_only

_SQLITE = b"SQLite format 3\x00"
_BATCH = 10_000


def take_scores(path: str | Path, source: str | Path) -> int:
    """Score calls in the experiment file `path` by the feedback in `source`; return how many scores there were.

    `source` is a ledger, or a file that `read_feedback` of `evidence.outcomes` reads. Of several words on one call the
    latest counts. Raises `ExperimentError` where there is no experiment file, and what reading the source raises.
    """
    if not Path(path).is_file():
        raise ExperimentError(f"there is no experiment file at {path}: name the one that ExperimentLog writes")
    found = _of_ledger(Path(source)) if _is_sqlite(Path(source)) else _of_file(source)
    taken = 0
    while batch := list(islice(found, _BATCH)):
        save(Path(path), [], batch)
        taken += len(batch)
    return taken


def _of_ledger(path: Path) -> Iterator[tuple[str, float]]:
    with closing(read_only(path)) as rows:
        try:
            yield from rows.execute("SELECT call_id, score FROM feedback ORDER BY at_us, id")
        except sqlite3.Error as error:
            raise ExperimentError(f"the ledger {path} cannot be read ({error}): check that it is one") from error


def _of_file(path: str | Path) -> Iterator[tuple[str, float]]:
    latest = sorted(read_feedback(path), key=lambda one: one.at)
    return ((one.call_id, one.score) for one in latest)


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        # Whoever reads it as text says what is wrong.
        return False
