"""What a month comes to, when a budget ends, and what the month would come to otherwise."""

from typing import TYPE_CHECKING, Any

from tuppence.spend.forecasts.forecasting import Forecast, forecast, series_by_key
from tuppence.spend.forecasts.outlook import Ahead, Ending, Horizon, Interval, Outlook, outlook
from tuppence.spend.forecasts.series import Series

if TYPE_CHECKING:
    from tuppence.spend.forecasts.supposing import WhatIf, what_if

__all__ = [
    "Ahead",
    "Ending",
    "Forecast",
    "Horizon",
    "Interval",
    "Outlook",
    "Series",
    "WhatIf",
    "forecast",
    "outlook",
    "series_by_key",
    "what_if",
]


def __getattr__(name: str) -> Any:
    # It needs SQLAlchemy, which a forecast of numbers in hand does not.
    if name in ("WhatIf", "what_if"):
        from tuppence.spend.forecasts import supposing

        return getattr(supposing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
