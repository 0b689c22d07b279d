"""Old rows become sums: a row of `days` for each day and each combination of labels, in place of every attempt.

What was paid and saved must add up to the same before and after, to the last digit, whenever this is interrupted.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Select, and_, case, delete, exists, func, insert, not_, select
from sqlalchemy.exc import SQLAlchemyError

from tuppence.errors import LedgerError
from tuppence.spend.ledger.opening import Opened
from tuppence.spend.ledger.store import cause
from tuppence.spend.ledger.sums_kept import ANSWERS, forget, hold, sum_anew
from tuppence.spend.ledger.tables import DAY_KEYS, LEVER_COLUMNS, TOKEN_COLUMNS, attempts, days

DAY_US = 86_400_000_000
PATIENCE_S = 60.0
"""Seconds that other writers of a file are waited for."""


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What became of old rows."""

    rows: int
    """Attempts that are sums now."""
    days: int
    """Days that they lie in."""


def roll_up(place: str | Path, *, before: datetime) -> RolledUp:
    """Turn the rows of calls that ended before the day of `before` (in UTC) into sums, a day a transaction.

    A call stays whole while any of its rows is younger. Feedback stays. A database gives the room to later rows, not
    back to the disk. Raises `LedgerError` where the ledger cannot be opened or written: the days done by then stay
    done, and the rest is done the next time.
    """
    aware = before if before.tzinfo is not None else before.replace(tzinfo=UTC)
    end = int(aware.timestamp()) // 86_400 * DAY_US
    rows = found = 0
    with closing(Opened(place)) as ledger:
        start = -(2**63)
        while (day := _next_day(ledger.connection, start, end)) is not None:
            try:
                with ledger.writing(PATIENCE_S):
                    moved = _roll_up_day(ledger.connection, day)
            except (SQLAlchemyError, sqlite3.Error) as error:
                raise LedgerError(
                    f"{ledger.name} cannot be pruned further ({cause(error)}): {rows} rows are done, try again later"
                ) from error
            rows, found = rows + moved, found + (moved > 0)
            start = day + DAY_US
    return RolledUp(rows, found)


def _next_day(connection: Connection, start: int, end: int) -> int | None:
    """Return where the first day with a row in [start, end) begins."""
    with connection.begin():
        first = connection.execute(
            select(func.min(attempts.c.started_us)).where(attempts.c.started_us >= start, attempts.c.started_us < end)
        ).scalar_one()
    return None if first is None else first // DAY_US * DAY_US


def _roll_up_day(connection: Connection, day: int) -> int:
    """Roll up the calls whose last row lies in the day; return their rows."""
    hold(connection)
    ended = _ended_in(day)
    sums = _sums(ended)
    connection.execute(insert(days).from_select([*sums.selected_columns.keys()], sums))
    forget(connection, ended)
    rows = connection.execute(delete(attempts).where(attempts.c.call_id.in_(ended))).rowcount
    sum_anew(connection, day + DAY_US)
    return rows


def _ended_in(day: int) -> Select[tuple[str]]:
    row, later = attempts.alias("row"), attempts.alias("later")
    goes_on = exists().where(later.c.call_id == row.c.call_id, later.c.started_us >= day + DAY_US)
    in_day = and_(row.c.started_us >= day, row.c.started_us < day + DAY_US)
    return select(row.c.call_id).where(in_day, not_(goes_on)).distinct()


def _sums(ended: Select[tuple[str]]) -> Select[tuple[int, ...]]:
    """Spell what becomes of the calls: each row in its own day, compared as savings compare (see `spend.comparing`)."""
    c = attempts.c
    calls = (
        select(
            c.call_id,
            func.max(c.id).filter(c.outcome.in_(ANSWERS)).label("answer"),
            func.count().filter(c.pico_usd.is_(None)).label("unpriced"),
        )
        .where(c.call_id.in_(ended))
        .group_by(c.call_id)
        .cte("calls")
        .prefix_with("MATERIALIZED")
    )
    answer = attempts.alias("answer")
    compared = and_(calls.c.unpriced == 0, answer.c.baseline_pico.is_not(None), c.cause != "observed")
    answering = and_(compared, c.id == calls.c.answer)
    observed = and_(c.would_pico.is_not(None), c.pico_usd.is_not(None))
    day = (c.started_us // DAY_US * DAY_US).label("day_us")
    keys = [c[name] for name in DAY_KEYS]
    figures = [
        _count(and_(c.n == 1, c.again == 0)).label("calls"),
        _count(and_(c.n == 1, c.again != 0)).label("further_tries"),
        func.count().label("attempts"),
        *(func.sum(c[name]).label(name) for name in TOKEN_COLUMNS),
        func.coalesce(func.sum(c.pico_usd), 0).label("pico_usd"),
        _count(c.pico_usd.is_(None)).label("unpriced"),
        _count(answering).label("compared"),
        *(_sum(c[name], answering) for name in ("baseline_pico", *LEVER_COLUMNS)),
        _sum(c.pico_usd, answering).label("answer_pico"),
        _sum(c.pico_usd, compared).label("compared_pico"),
        _count(observed).label("observed"),
        _sum(c.would_pico, observed),
        _sum(c.pico_usd, observed).label("observed_pico"),
        func.coalesce(func.sum(c.latency_ms), 0.0).label("latency_ms"),
    ]
    joined = attempts.join(calls, calls.c.call_id == c.call_id).outerjoin(answer, answer.c.id == calls.c.answer)
    return select(day, *keys, *figures).select_from(joined).group_by("day_us", *keys)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _sum(value: ColumnElement[int], condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, value))), 0).label(value.key)
