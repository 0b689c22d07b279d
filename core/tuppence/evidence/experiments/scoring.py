"""Scores for an experiment from where they lie already: what users said, in a ledger or beside recorded traffic.

Scores may be taken as often as one likes; those of calls that no experiment saw do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tuppence.evidence.experiments.file import ExperimentError, save
from tuppence.evidence.outcomes import read_feedback
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.places import is_address

_SQLITE = b"SQLite format 3\x00"
_BATCH = 10_000


def take_scores(path: str | Path, source: str | Path) -> int:
    """Score calls in the experiment file `path` by the feedback in `source`; return how many scores there were.

    `source` is a ledger, in a file or at `postgresql://...`, or a file that `read_feedback` of `evidence.outcomes`
    reads. Of several words on one call the latest counts. Raises `ExperimentError` where there is no experiment file,
    and what reading the source raises.
    """
    if not Path(path).is_file():
        raise ExperimentError(f"there is no experiment file at {path}: name the one that ExperimentLog writes")
    found = _of_ledger(source) if is_address(source) or _is_sqlite(Path(source)) else _of_file(source)
    taken = 0
    while batch := list(islice(found, _BATCH)):
        save(Path(path), [], batch)
        taken += len(batch)
    return taken


def _of_ledger(place: str | Path) -> Iterator[tuple[str, float]]:
    from sqlalchemy import select

    from tuppence.spend.ledger.tables import feedback

    said = select(feedback.c.call_id, feedback.c.score).order_by(feedback.c.at_us, feedback.c.id)
    with reading(place) as rows:
        yield from ((row.call_id, row.score) for row in rows.execution_options(yield_per=_BATCH).execute(said))


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
