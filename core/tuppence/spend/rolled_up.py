"""What a report must say of days whose rows are gone: up to when they are only sums, and whether it counted them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from tuppence.spend.ledger.tables import days
from tuppence.spend.selection import Selection


@dataclass(frozen=True, slots=True)
class RolledUp:
    """Days in the span of time asked for that are only sums."""

    until: datetime
    """The end of the last of them: what needs single rows is known from then on."""
    counted: bool
    """False where they could not be asked, since they know neither sessions nor tags without a column."""


def rolled_up(connection: Connection, selection: Selection, by: tuple[str, ...]) -> RolledUp | None:
    """Look for such days; None where there are none."""
    timely = replace(selection, where={})
    last = connection.execute(select(func.max(days.c.day_us)).where(timely.met_by_day())).scalar()
    if last is None:
        return None
    end = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=last, days=1)
    return RolledUp(end, selection.in_days(by))
