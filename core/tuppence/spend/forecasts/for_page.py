"""A forecast as the report's page draws it: whole days to come with their intervals, and the sentence."""

from __future__ import annotations

from datetime import UTC, datetime, time

from tuppence.prices import PicoUSD
from tuppence.spend.forecasts.forecasting import Forecast
from tuppence.spend.forecasts.shown import sentence
from tuppence.spend.page.sections import ForecastShown

_LEVEL = 0.8


def for_page(forecast: Forecast, *, budget: PicoUSD | None = None, scope: str = "all calls") -> ForecastShown:
    """Hand the total on; a day under way is left out, as the page shows what was spent of it."""
    midnight = forecast.total.at.time() == time()
    days = [one for one in forecast.total.ahead if midnight or one.day > forecast.total.at.date()]
    return ForecastShown(
        scope,
        tuple(int(datetime.combine(one.day, time(), UTC).timestamp()) * 1_000_000 for one in days),
        tuple(one.expected for one in days),
        tuple(one.likely.low for one in days),
        tuple(one.likely.high for one in days),
        _LEVEL,
        sentence(forecast, budget),
    )
