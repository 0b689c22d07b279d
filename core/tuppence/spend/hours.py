"""What attempts came to, from the sums that the ledger keeps, and from rows where these do not reach.

The answer must be that of the rows, whatever the sums hold: they are asked for whole hours, and the rows for what is
younger than the sums, for the ends of the time asked for, and for what sums cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table, and_, func, select, true

from tuppence.spend.ledger.rows import TAG_COLUMNS, clean
from tuppence.spend.ledger.sums_kept import MAY_LACK, WIDTHS_US, figures, first, floored, reached
from tuppence.spend.ledger.tables import HOUR_KEYS, attempts, hours, marks
from tuppence.spend.selection import Selection, microseconds
from tuppence.spend.sums import Adding, summed


@dataclass(frozen=True, slots=True)
class Kept:
    """As much of a selection as the sums hold: rows up to a number, whole hours or days of them."""

    last_id: int
    begin_us: int | None
    end_us: int | None

    def within(self, start: ColumnElement[int]) -> ColumnElement[bool]:
        """Spell that a stretch of time is one of these."""
        begin = [] if self.begin_us is None else [start >= self.begin_us]
        return and_(true(), *begin, *([] if self.end_us is None else [start < self.end_us]))

    def beside(self, rows: FromClause) -> list[ColumnElement[bool]]:
        """Spell which rows of the selection they are not: the younger ones, and those at both ends."""
        c = rows.c
        old = c.id <= self.last_id
        found = [c.id > self.last_id]
        if self.begin_us is not None:
            found.append(and_(old, c.started_us < self.begin_us))
        if self.end_us is not None:
            found.append(and_(old, c.started_us >= self.end_us))
        return found


def kept(
    connection: Connection, selection: Selection, by: Collection[str] = (), *, table: Table = hours
) -> Kept | None:  # fmt: skip
    """Say how much of the selection the sums in `table` hold, kept apart by these labels; None where nothing."""
    last, width = reached(connection), WIDTHS_US[table]
    if not last or not {*selection.where, *by} <= {column.name for column in table.primary_key}:
        return None
    if selection.last_id is not None and selection.last_id < last:
        return None
    begin = None if selection.since is None else -(-microseconds(selection.since) // width) * width
    end = None if selection.until is None else microseconds(selection.until) // width * width
    return Kept(last, begin, end) if begin is None or end is None or begin < end else None


def summed_up(
    connection: Connection,
    selection: Selection,
    question: Callable[[FromClause, Adding], Select[Any]],
    *,
    by: Collection[str] = (),
    table: Table = hours,
) -> Sequence[Any]:
    """Ask for sums of the selected attempts, of all that hold some of them: what comes back is to be added up.

    The question is asked of rows with the columns of `table`, each of `attempts` attempts alike, and must keep them
    apart by no others than `by`.
    """
    parts = _parts(connection, selection, by, table)
    return [row for part in parts for row in summed(connection, lambda adding, of=part: question(of, adding))]  # type: ignore[misc]


def _parts(connection: Connection, selection: Selection, by: Collection[str], table: Table) -> list[FromClause]:
    found = kept(connection, selection, by, table=table)
    width = WIDTHS_US[table]
    if found is None:
        return [_rows(selection.met_by(attempts), width)]
    astray = select(marks.c.id).where(marks.c.astray == 1, found.within(marks.c.start_us))
    others = [*found.beside(attempts), attempts.c.id.in_(astray)]
    return [_sums(selection, found, table), *(_rows(and_(selection.met_by(attempts), one), width) for one in others)]


def _sums(selection: Selection, found: Kept, table: Table) -> FromClause:
    """Spell the sums as rows are spelt, where a label that an attempt lacks is NULL."""
    columns = {
        column.name: func.nullif(column, "").label(column.name) if column.name in MAY_LACK else column
        for column in table.columns
    }
    tags = (func.nullif(table.c[name], "") == clean(value) for name, value in selection.where.items())
    return select(*columns.values()).where(found.within(table.c.start_us), *tags).subquery("sums")


def _rows(chosen: ColumnElement[bool], width_us: int) -> FromClause:
    """Spell rows as sums of one attempt each."""
    labels = [name for name in (*HOUR_KEYS, *TAG_COLUMNS) if name in attempts.c]
    return select(
        floored(attempts.c.started_us, width_us).label("start_us"), first().label("first"),
        *(attempts.c[name] for name in dict.fromkeys(labels)),
        *(figure.label(name) for name, figure in figures().items()),
    ).where(chosen).subquery("single")  # fmt: skip
