"""What a ledger's spending comes to by the end of the day, week or month, in all and by scope."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Protocol

from tuppence.prices import PicoUSD
from tuppence.spend.forecasts.outlook import Horizon, Outlook, bounds, outlook
from tuppence.spend.forecasts.series import Series

HISTORY_DAYS = 120
MOST_SCOPES = 20
"""The scopes that cost most are forecast one by one; the others are in the total only."""
_LATELY_DAYS = 28
_HOUR_US = 3_600_000_000


class Spent(Protocol):
    """An hour's spending under one key: a `tuppence.spend.cells.Cell`, or what is like one."""

    @property
    def start_us(self) -> int: ...
    @property
    def key(self) -> tuple[str | None, ...]: ...
    @property
    def pico_usd(self) -> PicoUSD: ...
    @property
    def unpriced(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a period comes to. Scopes are forecast each by itself, so they need not add up to the total."""

    horizon: Horizon
    by: tuple[str, ...]
    total: Outlook
    scopes: tuple[Outlook, ...]
    """The dearest first, at most `MOST_SCOPES`."""
    unpriced: int
    """Attempts of the period whose price is unknown: what they cost is missing here, and in what is to come."""


def forecast(
    place: str | Path | Sequence[Spent],
    *,
    at: datetime | None = None,
    by: Sequence[str] = (),
    horizon: Horizon = "month",
    where: Mapping[str, str] | None = None,
) -> Forecast:
    """Forecast what the period around `at` comes to, from what was spent up to then.

    `place` is a ledger (a file, `postgresql://...`), or its cells by the hour and by `by`. Days are days in UTC, and so
    is a time without a zone. Raises `LedgerError` for an unknown scope or a place that is not a ledger.
    """
    moment = datetime.now(UTC) if at is None else _in_utc(at)
    since = datetime.combine(moment.date() - timedelta(days=HISTORY_DAYS), time(), UTC)
    if isinstance(place, str | Path):
        from tuppence.spend.forecasts.spending import spending
        from tuppence.spend.selection import Selection

        spent: Sequence[Spent] = spending(place, Selection(since, moment, where or {}), by)
    else:
        spent = place
    start, _ = bounds(horizon, moment)
    known = [one for one in spent if _us(since) <= one.start_us < _us(moment)]
    total = outlook(_series(known, _first_day(known, moment), moment), horizon=horizon)
    unpriced = sum(one.unpriced for one in known if one.start_us >= _us(start))
    return Forecast(horizon, tuple(by), total, _scopes(known, moment, horizon) if by else (), unpriced)


def _scopes(known: Sequence[Spent], moment: datetime, horizon: Horizon) -> tuple[Outlook, ...]:
    """Forecast those that cost most in the last four weeks."""
    recently = Counter[tuple[str | None, ...]]()
    lately = _us(moment - timedelta(days=_LATELY_DAYS))
    for one in known:
        recently[one.key] += one.pico_usd if one.start_us >= lately else 0
    chosen = {key for key, _ in recently.most_common(MOST_SCOPES)}
    series = series_by_key([one for one in known if one.key in chosen], moment)
    scopes = [outlook(one, horizon=horizon, key=key) for key, one in series.items()]
    return tuple(sorted(scopes, key=lambda one: (-(one.spent if one.expected is None else one.expected), str(one.key))))


def series_by_key(cells: Iterable[Spent], at: datetime) -> dict[tuple[str | None, ...], Series]:
    """Put each key's hours up to `at` in a row; each begins with its own first day."""
    held: dict[tuple[str | None, ...], list[Spent]] = {}
    for cell in cells:
        if cell.start_us < _us(at):
            held.setdefault(cell.key, []).append(cell)
    return {key: _series(of_key, _first_day(of_key, at), at) for key, of_key in held.items()}


def _series(cells: Iterable[Spent], first: date, at: datetime) -> Series:
    start = _us(datetime.combine(first, time(), UTC))
    hours = [0] * -(-(_us(at) - start) // _HOUR_US)
    for cell in cells:
        hours[(cell.start_us - start) // _HOUR_US] += cell.pico_usd
    return Series(first, tuple(hours), at)


def _first_day(cells: Sequence[Spent], at: datetime) -> date:
    first = min((cell.start_us for cell in cells), default=_us(at))
    return datetime.fromtimestamp(first // 1_000_000, UTC).date()


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _us(moment: datetime) -> int:
    past = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds
