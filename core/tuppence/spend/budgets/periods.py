"""Days and months on a given clock: what a counter's period is called, and when it is over."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from tuppence.errors import ConfigError
from tuppence.spend.budgets.budget import Per

DAY_S = 86_400
SESSION_DAYS = 30
"""A session has no end: its counter is forgotten when nothing was asked of it for so many days."""


@dataclass(frozen=True, slots=True)
class Period:
    """One day, month or session; a session begins with what the ledger must be asked for."""

    label: str
    start: float
    """Unix seconds."""
    until: float
    """Unix seconds, past the period."""


def period(per: Per, at: float, zone: tzinfo) -> Period:
    """Return the period that a moment lies in."""
    if per == "session":
        # Whole days, so that a counter's end seldom changes.
        today = at // DAY_S * DAY_S
        return Period("", today - SESSION_DAYS * DAY_S, today + (SESSION_DAYS + 1) * DAY_S)
    day = datetime.fromtimestamp(at, zone).date()
    if per == "day":
        return Period(day.isoformat(), _midnight(day, zone), _midnight(day + timedelta(days=1), zone))
    first = day.replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    return Period(f"{first:%Y-%m}", _midnight(first, zone), _midnight(after, zone))


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name in the IANA database; raises `ConfigError`."""
    if name == "UTC":
        # A slim container has no such database.
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ConfigError(
            f"timezone is {name!r}, which this machine does not know: give a name such as 'Europe/Berlin'; where "
            "even that is unknown, pip install tzdata"
        ) from error


def _midnight(day: date, zone: tzinfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
