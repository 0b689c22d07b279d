"""How far off forecasts of a month's rest are, on made-up months with growth, seasons, holidays and launches.

Each seed gives one month to forecast, its first to its fourth on record in turn, on the evenings of days 3, 7, 14 and
21. The rival repeats the last week (seasonal naive); errors are of what is yet to be spent, as shares of it. Nothing in
`tuppence` was chosen on seeds from 10,000 on. With `--peer` and statsmodels, its Holt-Winters method (additive, weekly
seasons, no trend: better here than with one) is asked too, where four weeks are on record.

python benchmarks/forecast.py [--seeds 10000:10200] [--peer]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from months import month

from tuppence.spend.forecasts import forecast

DAYS = (3, 7, 14, 21)
MONTHS_ON_RECORD = 4
LONGEST_DAYS = 31 * MONTHS_ON_RECORD
_PEER_DAYS = 28


@dataclass(frozen=True, slots=True)
class Forecasted:
    """One forecast held against what came, in pico-USD."""

    day: int
    rest: int
    told: float
    naive: float
    whole: int
    """The whole month."""
    within80: bool
    within95: bool
    peer: float | None = None

    @property
    def error(self) -> float:
        return abs(self.told - self.rest) / self.rest

    @property
    def naive_error(self) -> float:
        return abs(self.naive - self.rest) / self.rest

    @property
    def peer_error(self) -> float | None:
        return None if self.peer is None else abs(self.peer - self.rest) / self.rest


def judged(seed: int, *, peer: bool = False) -> list[Forecasted]:
    """Forecast one month on four evenings."""
    made = month(seed, days=LONGEST_DAYS)
    first = made.start
    for _ in range(seed % MONTHS_ON_RECORD):
        first = _next(first)
    end = _next(first)
    made = month(seed, days=(end - made.start).days)
    # What began before the month's end may have its last attempt after it.
    cells = [cell for cell in made.cells(by=()) if cell.start_us < end.timestamp() * 1e6]
    daily = [0] * (end - made.start).days
    for cell in cells:
        daily[(datetime.fromtimestamp(cell.start_us / 1e6, made.start.tzinfo) - made.start).days] += cell.pico_usd
    found = []
    for day in DAYS:
        at = first + timedelta(days=day)
        past = daily[: (at - made.start).days]
        rest = sum(daily[len(past) :])
        told = forecast(cells, at=at).total
        if rest and told.expected is not None and told.likely is not None and told.nearly_sure is not None:
            whole = told.spent + rest
            found.append(Forecasted(
                day, rest, told.expected - told.spent, sum(repeated(past, len(daily) - len(past))), whole,
                told.likely.low <= whole <= told.likely.high,
                told.nearly_sure.low <= whole <= told.nearly_sure.high,
                holt_winters(past, len(daily) - len(past)) if peer and len(past) >= _PEER_DAYS else None,
            ))  # fmt: skip
    return found


def _next(first: datetime) -> datetime:
    return (first + timedelta(days=31)).replace(day=1)


def repeated(past: Sequence[int], days: int) -> list[float]:
    """Let the last week happen again; before there was a whole one, its average day."""
    if len(past) < 7:
        return [sum(past) / len(past)] * days
    return [past[len(past) - 7 + day % 7] for day in range(days)]


def holt_winters(past: Sequence[int], days: int) -> float:
    """Add up what statsmodels' exponential smoothing says of the days to come."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    dollars = [day / 1e12 for day in past]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ExponentialSmoothing(dollars, seasonal="add", seasonal_periods=7, initialization_method="estimated")
        return max(0.0, float(model.fit().forecast(days).sum())) * 1e12


def _peer(found: Sequence[Forecasted]) -> dict[str, float]:
    """Compare on what the peer was asked for."""
    asked = [one for one in found if one.peer_error is not None]
    if not asked:
        return {}
    return {
        "peer_forecasts": len(asked),
        "peer_mape_holt_winters": _percent([one.peer_error or 0.0 for one in asked]),
        "peer_mape": _percent([one.error for one in asked]),
        "peer_better_share": round(statistics.fmean(one.error < (one.peer_error or 0.0) for one in asked), 4),
    }


def _percent(errors: Sequence[float]) -> float:
    return round(100 * statistics.fmean(errors), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="10000:10200", help="from:to, the last not included")
    parser.add_argument("--peer", action="store_true", help="ask statsmodels too, which must be installed")
    given = parser.parse_args()
    first, last = map(int, given.seeds.split(":"))
    found: list[Forecasted] = []
    months = 0
    for seed in range(first, last):
        of_month = judged(seed, peer=given.peer)
        months += bool(of_month)
        found += of_month
        if seed % 20 == 0:
            print(f"seed {seed}: {len(found)} forecasts", file=sys.stderr)
    print(json.dumps({
        "mape": _percent([one.error for one in found]),
        "mape_seasonal_naive": _percent([one.naive_error for one in found]),
        "better_share": round(statistics.fmean(one.error < one.naive_error for one in found), 4),
        "coverage80": round(statistics.fmean(one.within80 for one in found), 4),
        "coverage95": round(statistics.fmean(one.within95 for one in found), 4),
        "months": months,
        "forecasts": len(found),
        "mape_month_end": _percent([abs(one.told - one.rest) / one.whole for one in found]),
        "mape_month_end_seasonal_naive": _percent([abs(one.naive - one.rest) / one.whole for one in found]),
        **_peer(found),
        "by_day": {
            day: {
                "mape": _percent([one.error for one in found if one.day == day]),
                "mape_seasonal_naive": _percent([one.naive_error for one in found if one.day == day]),
                "coverage80": round(statistics.fmean(one.within80 for one in found if one.day == day), 4),
            }
            for day in DAYS
        },
    }))  # fmt: skip


if __name__ == "__main__":
    main()
