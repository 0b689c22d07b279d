"""What was spent hour by hour up to a moment, for one scope: all that a forecast looks at. Days are days in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median

from tuppence.errors import LedgerError
from tuppence.prices import PicoUSD

HOURS = 24


@dataclass(frozen=True, slots=True)
class Series:
    """Spending by the hour, without a gap: an hour in which nothing was spent is 0."""

    first: date
    """Day of the first hour."""
    hours: tuple[PicoUSD, ...]
    """From midnight of `first`; the last one is the hour of `at`, as far as it has gone."""
    at: datetime
    """Until when spending is known."""

    def __post_init__(self) -> None:
        past = self.at - datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)
        hours = -(-past // timedelta(hours=1))
        if hours != len(self.hours):
            raise LedgerError(
                f"a series from {self.first} until {self.at:%Y-%m-%d %H:%M} has {len(self.hours)} hours: give {hours}, "
                "one for each hour begun, with 0 where nothing was spent"
            )

    @property
    def days(self) -> tuple[PicoUSD, ...]:
        """Spending of whole days, today left out."""
        whole = len(self.hours) // HOURS * HOURS
        return tuple(sum(self.hours[hour : hour + HOURS]) for hour in range(0, whole, HOURS))

    @property
    def today(self) -> tuple[PicoUSD, ...]:
        """Hours of the day under way; none at midnight."""
        return self.hours[len(self.hours) // HOURS * HOURS :]

    def since(self, day: date) -> PicoUSD:
        """Add up from a day's midnight on."""
        return sum(self.hours[max(0, (day - self.first).days * HOURS) :])

    def begun(self) -> Series:
        """Leave out a first day that was not recorded from its morning on, as far as the other days tell."""
        mornings = [_first_spending(self.hours[hour : hour + HOURS]) for hour in range(0, len(self.hours), HOURS)]
        whole = [hour for hour in mornings[1 : len(self.days)] if hour is not None]
        if not whole or mornings[0] is None or mornings[0] <= median(whole) + 1:
            return self
        return Series(self.first + timedelta(days=1), self.hours[HOURS:], self.at)


def _first_spending(day: Sequence[PicoUSD]) -> int | None:
    return next((hour for hour, pico in enumerate(day) if pico), None)


def elapsed_share(series: Series, days: int = 28) -> float:
    """Return how much of a day's spending past days had seen by this time of the day, in [0, 1].

    Weekdays and weekends are told apart, where there were three of today's kind; days are weighed by what they cost.
    """
    begun = len(series.today)
    if not begun:
        return 0.0
    part = series.at.minute / 60 + series.at.second / 3600
    today = len(series.days)
    weekend = _is_weekend(series.first, today)
    recent = range(max(0, today - days), today)
    alike = [day for day in recent if _is_weekend(series.first, day) is weekend]
    by_then = whole = 0.0
    for day in alike if len(alike) >= 3 else recent:
        hours = series.hours[day * HOURS : day * HOURS + HOURS]
        last = hours[begun - 1] * (part or 1.0)
        by_then += sum(hours[: begun - 1]) + last
        whole += sum(hours)
    return by_then / whole if whole else (begun - 1 + (part or 1.0)) / HOURS


def _is_weekend(first: date, day: int) -> bool:
    return (first.weekday() + day) % 7 >= 5
