"""Two readers of one snapshot, so that two processors can add up: databases compute outside Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, func, select

from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts, days
from tuppence.spend.selection import Selection

First = TypeVar("First")
Second = TypeVar("Second")


def side_by_side(
    place: str | Path,
    selection: Selection,
    one: Callable[[Connection, Selection], First],
    other: Callable[[Connection, Selection], Second],
) -> tuple[First, Second]:
    """Ask both questions of the same rows, at the same time; raise `LedgerError` where the ledger cannot be read."""
    with reading(place) as first, reading(place) as second:
        old, new = _extent(first), _extent(second)
        if old[1:] != new[1:]:
            # Rows were rolled up in between: one of the two readers has seen it, and the other has not.
            return one(first, selection), other(first, selection)
        both = replace(selection, last_id=min(old[0], new[0]))
        with ThreadPoolExecutor(1, "tuppence-report") as thread:
            asked = thread.submit(other, second, both)
            return one(first, both), asked.result()


def _extent(connection: Connection) -> tuple[int, int, int]:
    """Return the ids of the newest row, the oldest, and the newest rolled-up day; 0 where there is none."""
    # One at a time: of two together SQLite would look through all rows.
    ids = (func.max(attempts.c.id), func.min(attempts.c.id), func.max(days.c.id))
    newest, oldest, rolled_up = (connection.execute(select(one)).scalar() or 0 for one in ids)
    return newest, oldest, rolled_up
