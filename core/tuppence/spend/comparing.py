"""Which calls have a saving: those that were answered, all of whose attempts are priced, and whose baseline is known.

Nearly all calls show it row by row: their rows stand together in the order of writing, each is priced, and the last one
answers. The others, the *doubtful* ones, are looked at call by call; so no question sorts a million call ids. A call is
judged by its rows in the selection: nobody is told of what lies outside the time that he asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    exists,
    func,
    not_,
    or_,
    select,
    union_all,
)

from tuppence.spend.hours import kept
from tuppence.spend.ledger.sums_kept import ANSWERS
from tuppence.spend.ledger.tables import attempts, marks
from tuppence.spend.selection import Selection

Part = Literal["answer", "overhead", "apart"]
ANSWER: Part = "answer"
"""The row that answered a call which can be compared."""
OVERHEAD: Part = "overhead"
"""Any other row of such a call."""
APART: Part = "apart"
"""A row of a call that cannot be compared."""
WATCHED = "observed"
"""Cause of the calls of models that tuppence only watched: each stands alone, and nothing is claimed of it."""


def stands_before(before: FromClause, row: FromClause) -> ColumnElement[bool]:
    """Say that one row is of the same try of a call as another and was written before it, both standing together."""
    # The concatenation is for SQLite, which would look for the call by its index and not go back a row or two.
    return and_(
        before.c.id < row.c.id, before.c.id > row.c.id - row.c.n, before.c.call_id.concat("") == row.c.call_id
    )  # fmt: skip


def plain_part(cause: str, outcome: str) -> Part:
    """Return what a row is if its call is plain."""
    return APART if cause == WATCHED else ANSWER if outcome in ANSWERS else OVERHEAD


def answers(rows: FromClause) -> ColumnElement[bool]:
    return rows.c.outcome.in_(ANSWERS)


def own(rows: FromClause) -> ColumnElement[bool]:
    """Say of one row a logical call that it is its own: sums of this count calls."""
    return and_(rows.c.n == 1, rows.c.again == 0)


def watched(rows: FromClause) -> ColumnElement[bool]:
    return rows.c.cause == WATCHED


def doubtful(connection: Connection, selection: Selection) -> CTE:
    """Spell the ids of calls with a row in the selection that does not fit the picture of a plain call, and of a few
    others: to look at a plain call changes nothing.
    """
    known = kept(connection, replace(selection, where={}))
    row = attempts.alias("marked")
    if known is None:
        # Not DISTINCT: SQLite would go through all rows by the index of their calls.
        return _unfitting(row, selection).cte("doubtful").prefix_with("MATERIALIZED")
    told = select(marks.c.call_id).where(marks.c.doubtful == 1, known.within(marks.c.start_us))
    others = (_unfitting(row, selection).where(beside) for beside in known.beside(row))
    return union_all(told, *others).cte("doubtful").prefix_with("MATERIALIZED")


def _unfitting(row: FromClause, selection: Selection) -> Select[tuple[str]]:
    before, after = attempts.alias("before"), attempts.alias("after")
    last = not_(
        exists().where(
            after.c.id == row.c.id + 1, after.c.n == row.c.n + 1, *_alike(after, row), selection.timely(after)
        )
    )  # fmt: skip
    followed = exists().where(
        before.c.id == row.c.id - 1, before.c.n == row.c.n - 1, *_alike(before, row), not_(answers(before)),
        selection.timely(before),
    )  # fmt: skip
    marks_of_one = or_(
        row.c.pico_usd.is_(None),
        row.c.again != 0,
        case((answers(row), row.c.baseline_pico.is_(None)), else_=last),
        and_(row.c.n != 1, not_(followed)),
    )
    return select(row.c.call_id).where(selection.met_by(row), not_(watched(row)), marks_of_one)


def _alike(one: FromClause, other: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Say of two rows that they are of one try of a call, which has the same tags throughout."""
    return one.c.call_id == other.c.call_id, one.c.again == other.c.again


def looked_at(selection: Selection, calls: CTE) -> FromClause:
    """Spell the selected rows of these calls, such as the doubtful ones, which `part` each really has, and the
    ids of the row that answered its call (NULL where it cannot be compared) and of its call's first row.

    A call has one baseline, that of its last answer: where a framework asked again, because it could not use an
    earlier answer, that one is overhead. (The baseline might have needed the retry too: this never flatters.)
    """
    last = func.max(attempts.c.id).filter(answers(attempts))
    known = func.max(attempts.c.id).filter(answers(attempts), attempts.c.baseline_pico.is_not(None))
    priced = func.count().filter(attempts.c.pico_usd.is_(None)) == 0
    facts = (
        select(
            attempts.c.call_id,
            case((and_(priced, last == known), last)).label("answer"),
            func.min(attempts.c.id).label("first"),
        )
        .where(attempts.c.call_id.in_(select(calls.c.call_id)), selection.met_by(attempts))
        .group_by(attempts.c.call_id)
        .cte("facts")
        .prefix_with("MATERIALIZED")
    )
    part = case(
        (or_(facts.c.answer.is_(None), watched(attempts)), APART),
        (attempts.c.id == facts.c.answer, ANSWER),
        else_=OVERHEAD,
    )
    return (
        select(attempts, part.label("part"), facts.c.answer, facts.c.first)
        .where(attempts.c.call_id == facts.c.call_id, selection.met_by(attempts))
        .subquery("looked_at")
    )
