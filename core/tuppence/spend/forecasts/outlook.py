"""What one scope's spending comes to by the end of a period, day by day, and when a budget would be gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal

from tuppence.prices import PicoUSD, usd
from tuppence.spend.forecasts.pattern import Pattern, pattern
from tuppence.spend.forecasts.series import Series, elapsed_share
from tuppence.spend.forecasts.spread import Spread, quantile, spread

Horizon = Literal["day", "week", "month"]
LEAST_DAYS = 3
"""Whole days that a forecast needs."""
_DAY_S = 86_400
_TODAY_PRIOR = 0.35
"""Share of a day that the days before weigh as much as, in what today's hours tell of the rest of it; chosen like the
constants of `pattern`."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with a stated probability, in pico-USD."""

    low: PicoUSD
    high: PicoUSD


@dataclass(frozen=True, slots=True)
class Ahead:
    """One day to come, or the rest of today; intervals hold with 80%."""

    day: date
    expected: PicoUSD
    likely: Interval
    total: PicoUSD
    """The period's spending by the end of this day."""
    total_likely: Interval


@dataclass(frozen=True, slots=True)
class Ending:
    """When a budget is used up; None for a day that does not come within the period."""

    expected: date | None
    earliest: date | None
    """Before this day with a probability of 10%."""
    latest: date | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a period comes to, for one scope."""

    key: tuple[str | None, ...]
    """Values of the dimensions that scopes are kept apart by."""
    at: datetime
    start: datetime
    end: datetime
    spent: PicoUSD
    """In the period so far."""
    expected: PicoUSD | None
    """The whole period's spending; None where there is too little to go by, and `why` says so."""
    likely: Interval | None
    """Of the whole period, with 80%."""
    nearly_sure: Interval | None
    """With 95%."""
    ahead: tuple[Ahead, ...] = ()
    why: str = ""

    @property
    def spent_usd(self) -> Decimal:
        return usd(self.spent)

    @property
    def expected_usd(self) -> Decimal | None:
        return None if self.expected is None else usd(self.expected)

    def ends(self, budget: PicoUSD) -> Ending | None:
        """Say when the period's spending passes a budget; None where there is no forecast."""
        if self.spent > budget:
            today = self.at.date()
            return Ending(today, today, today)
        if self.expected is None:
            return None
        return Ending(
            next((one.day for one in self.ahead if one.total > budget), None),
            next((one.day for one in self.ahead if one.total_likely.high > budget), None),
            next((one.day for one in self.ahead if one.total_likely.low > budget), None),
        )


def bounds(horizon: Horizon, at: datetime) -> tuple[datetime, datetime]:
    """Return the day, week (from Monday) or month in UTC that a moment lies in."""
    today = at.astimezone(UTC).date()
    first, days = today, 1
    if horizon == "week":
        first, days = today - timedelta(days=today.weekday()), 7
    if horizon == "month":
        first = today.replace(day=1)
        days = ((first + timedelta(days=31)).replace(day=1) - first).days
    start = datetime.combine(first, time(), UTC)
    return start, start + timedelta(days=days)


def outlook(series: Series, *, horizon: Horizon = "month", key: tuple[str | None, ...] = ()) -> Outlook:
    """Forecast one scope from its own past alone."""
    start, end = bounds(horizon, series.at)
    spent = series.since(start.date())
    known = series.begun()
    days = known.days
    if len(days) < LEAST_DAYS or not any(days):
        why = f"{len(days)} whole days are on record, and a forecast needs {LEAST_DAYS}"
        return Outlook(key, series.at, start, end, spent, None, None, None, why=why if any(days) else "nothing spent")
    learned, errors = pattern(days, known.first), spread(days, known.first)
    ahead = _ahead(known, learned, errors, spent, end)
    if not ahead:
        exact = Interval(spent, spent)
        return Outlook(key, series.at, start, end, spent, spent, exact, exact)
    rest = ahead[-1].total - spent
    scale = errors.of_sum((end - series.at).total_seconds() / _DAY_S)
    nearly_sure = Interval(spent + round(quantile(rest, scale, 0.025)), spent + round(quantile(rest, scale, 0.975)))
    return Outlook(
        key, series.at, start, end, spent, ahead[-1].total, ahead[-1].total_likely, nearly_sure, ahead
    )  # fmt: skip


def _ahead(series: Series, learned: Pattern, errors: Spread, spent: PicoUSD, end: datetime) -> tuple[Ahead, ...]:
    made: list[Ahead] = []
    rest = 0
    low, high = spent, spent
    day = series.at.date()
    while day < end.date():
        told = round(_of_today(series, learned) if day == series.at.date() else learned.on(day))
        rest += told
        past = (datetime.combine(day + timedelta(days=1), time(), UTC) - series.at).total_seconds() / _DAY_S
        single, whole = errors.of_day(past), errors.of_sum(past)
        # Spending never falls: neither do the bounds of its sum.
        low = max(low, spent + round(quantile(rest, whole, 0.1)))
        high = max(high, spent + round(quantile(rest, whole, 0.9)))
        likely = Interval(round(quantile(told, single, 0.1)), round(quantile(told, single, 0.9)))
        made.append(Ahead(day, told, likely, spent + rest, Interval(low, high)))
        day += timedelta(days=1)
    return tuple(made)


def _of_today(series: Series, learned: Pattern) -> float:
    """Return what the rest of today costs: as other days, moved towards what today's hours tell."""
    usual = learned.on(series.at.date())
    gone = elapsed_share(series)
    if not gone * usual:
        return usual * (1 - gone)
    by_now = sum(series.today) / (gone * usual)
    weight = gone / (gone + _TODAY_PRIOR)
    return usual * (1 - gone) * (1 + weight * (min(4.0, max(0.2, by_now)) - 1))
