"""Reading two neighbouring periods from a ledger, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Connection, func, select

from tuppence.errors import LedgerError
from tuppence.spend.cells import Cell, cells_of
from tuppence.spend.comparing import own
from tuppence.spend.digest.listed import by_price
from tuppence.spend.digest.segments import Period, Segment, Weights, merged
from tuppence.spend.digest.weights import token_weights
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.rows import TAG_COLUMNS
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.selection import Selection

# Users and chats explain a change only where nearly all calls name theirs.
_TAGGED = 0.9


@dataclass(frozen=True, slots=True)
class Periods:
    """Two periods, and what the tokens of their models cost."""

    before: Period
    after: Period
    weights: Weights
    unpriced: int


def read_periods(
    place: str | Path, by: str, moments: tuple[datetime, datetime, datetime], where: Mapping[str, str]
) -> Periods:
    """Read what lies between three moments, kept apart by a tag."""
    if by not in TAG_COLUMNS:
        raise LedgerError(f"a digest cannot be kept apart by {by!r}: use {', '.join(TAG_COLUMNS)}")
    spans = [Selection(begin, end, where) for begin, end in pairwise(moments)]
    with reading(place) as connection:
        days = [cells_of(connection, span, by=(by, "tier", "model", "outcome", "cause"), every="day") for span in spans]
        people = [
            _people(connection, span, sum(cell.calls for cell in cells))
            for span, cells in zip(spans, days, strict=True)
        ]
    before, after = (
        Period(merged(map(by_price, cells)), *counted) for cells, counted in zip(days, people, strict=True)
    )  # fmt: skip
    return Periods(before, after, token_weights(*map(_by_model, days)), _unpriced((*days[0], *days[1])))


def _by_model(cells: Iterable[Cell]) -> dict[str, list[Segment]]:
    found: dict[str, list[Segment]] = {}
    for one in map(by_price, cells):
        found.setdefault(one.model, []).append(one)
    return found


def _unpriced(cells: Iterable[Cell]) -> int:
    return sum(cell.unpriced for cell in cells)


def _people(connection: Connection, selection: Selection, calls: int) -> tuple[int, int]:
    """Count users and chats; 0 where too few calls name theirs, and for days that only sums are left of."""
    c = attempts.c
    query = select(
        func.count(c.user), func.count(c.user.distinct()), func.count(c.session), func.count(c.session.distinct())
    ).where(selection.met_by(attempts), own(attempts))
    with_user, users, with_session, chats = connection.execute(query).one()
    least = _TAGGED * calls
    return (int(users) if with_user >= least else 0), (int(chats) if with_session >= least else 0)
