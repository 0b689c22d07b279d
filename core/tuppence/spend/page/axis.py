"""The stretches of time that the page cuts a ledger into: hours, days or weeks, in UTC."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, func, select

from tuppence.spend.ledger.tables import attempts, days
from tuppence.spend.page.sections import Axis, Step
from tuppence.spend.selection import Selection

HOUR_US = 3_600_000_000
_DAY_US = 24 * HOUR_US
_WIDTHS_US: Mapping[Step, int] = {"hour": HOUR_US, "day": _DAY_US, "week": 7 * _DAY_US}
# The first Monday after the epoch: weeks begin on Mondays.
_MONDAY_US = 4 * _DAY_US
# Spans that still read well in these steps: about a hundred columns at most.
_HOURS_UP_TO_US = 3 * _DAY_US
_DAYS_UP_TO_US = 120 * _DAY_US


def axis_of(connection: Connection, selection: Selection) -> Axis:
    """Cut the time between the first and the last of the selected rows so that it reads well, gaps included."""
    moments = list(_ends(connection, attempts.c.started_us, selection.met_by(attempts)))
    rolled_up = list(_ends(connection, days.c.day_us, selection.met_by_day())) if selection.in_days() else []
    if not moments and not rolled_up:
        return Axis((), "day")
    first, last = min((*moments, *rolled_up)), max((*moments, *rolled_up))
    # Nobody knows any more at which hour of a rolled-up day something happened.
    step: Step = "hour" if last - first <= _HOURS_UP_TO_US and not rolled_up else "day"
    if last - first > _DAYS_UP_TO_US:
        step = "week"
    width, offset = _WIDTHS_US[step], _MONDAY_US if step == "week" else 0
    start = (first - offset) // width * width + offset
    return Axis(tuple(range(start, last + 1, width)), step)


def place_on(axis: Axis, moment: ColumnElement[int]) -> ColumnElement[int]:
    """Spell which stretch of the axis a moment falls into, counted from 0."""
    return (moment - axis.starts_us[0]) // _WIDTHS_US[axis.step]


def hours_in(axis: Axis) -> int:
    """Return how many hours each of its stretches has."""
    return _WIDTHS_US[axis.step] // HOUR_US


def hours_of(axis: Axis) -> Axis:
    """Return the same beginning cut into hours."""
    return Axis(axis.starts_us[:1], "hour")


def _ends(connection: Connection, moment: ColumnElement[int], chosen: ColumnElement[bool]) -> tuple[int, ...]:
    # Apart, so that each is one look into an index.
    ends = (select(end(moment)).where(chosen).scalar_subquery() for end in (func.min, func.max))
    return tuple(int(one) for one in connection.execute(select(*ends)).one() if one is not None)
