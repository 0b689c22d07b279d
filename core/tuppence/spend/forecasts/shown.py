"""Forecasts for people (a sentence, a table) and for programs (plain fields). Fields hold every digit."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tuppence.prices import PicoUSD, usd
from tuppence.spend.figures import dollars, label
from tuppence.spend.forecasts.forecasting import Forecast
from tuppence.spend.forecasts.outlook import Ending, Interval, Outlook

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tuppence.spend.forecasts.supposing import WhatIf


def sentence(forecast: Forecast, budget: PicoUSD | None = None) -> str:
    """Say what the period comes to and, with a budget, when that is gone."""
    total = forecast.total
    name = _period(forecast)
    if total.expected is None or total.likely is None:
        return f"No forecast for {name}: {total.why}. ${dollars(total.spent_usd)} is spent so far."
    told = (
        f"{name[:1].upper()}{name[1:]} comes to ${_short(total.expected)}, with 80% between "
        f"${_short(total.likely.low)} and ${_short(total.likely.high)}; ${dollars(total.spent_usd)} is spent so far."
    )
    return told if budget is None else f"{told} {_ending(total, budget)}"


def _ending(total: Outlook, budget: PicoUSD) -> str:
    ending = total.ends(budget)
    allowed = f"the budget of ${dollars(usd(budget))}"
    if ending is None or total.spent > budget:
        return f"{allowed[:1].upper()}{allowed[1:]} is used up already."
    if ending.expected is None and ending.earliest is None:
        return f"At this rate {allowed} lasts."
    if ending.expected is None:
        return f"At this rate {allowed} lasts, though it may end on {ending.earliest:%d %B} (with 10%)."
    return f"At this rate {allowed} ends on {ending.expected:%d %B}{_between(ending)}."


def _between(ending: Ending) -> str:
    if ending.latest is None:
        return f", at the earliest on {ending.earliest:%d %B}, and may yet last (80%)"
    return f", at the earliest on {ending.earliest:%d %B}, at the latest on {ending.latest:%d %B} (80%)"


def notes(forecast: Forecast) -> list[str]:
    """Say what the figures mean and what is missing from them."""
    said = ["from this ledger's own past alone: what nobody can see in it yet, such as a launch, is not in it"]
    if forecast.scopes:
        said.append(f"each {' and '.join(forecast.by)} is forecast by itself: they need not add up to the total")
    if forecast.unpriced:
        said.append(f"{forecast.unpriced:,} attempts have no known price: what they and their like cost is missing")
    return said


def as_table(forecast: Forecast, budget: PicoUSD | None = None) -> RenderableType:
    """Lay the forecast out for a terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in forecast.by or ("",):
        table.add_column(name, min_width=5)
    for name in ("spent $", "expected $", "80% from", "to", "95% from", "to"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in forecast.scopes:
        labels = (Text(label(value), no_wrap=True, overflow="ellipsis") for value in one.key)
        table.add_row(*labels, *_figures(one))
    if forecast.scopes:
        table.add_section()
    table.add_row("total", *[""] * (len(forecast.by) - 1), *_figures(forecast.total), style="bold")
    return Group(Text(sentence(forecast, budget)), table, *(Text(note) for note in notes(forecast)))


def _figures(one: Outlook) -> list[str]:
    if one.expected is None or one.likely is None or one.nearly_sure is None:
        return [dollars(one.spent_usd), *["-"] * 5]
    bounds = (one.likely.low, one.likely.high, one.nearly_sure.low, one.nearly_sure.high)
    return [dollars(one.spent_usd), _short(one.expected), *map(_short, bounds)]


def what_if_lines(found: WhatIf) -> list[str]:
    """Say what it would come to, and what that assumes."""
    change = "less" if found.saved >= 0 else "more"
    told = (
        f"It would come to ${_short(found.expected)}, with 80% between ${_short(found.likely.low)} and "
        f"${_short(found.likely.high)}: ${_short(abs(found.saved))} {change}."
    )
    return [told, *(f"assumed: {assumption}" for assumption in found.assumptions)]


def as_fields(forecast: Forecast, budget: PicoUSD | None = None) -> dict[str, Any]:
    """Spell the forecast as JSON takes it, dollars as decimal text."""
    return {
        "horizon": forecast.horizon,
        "by": list(forecast.by),
        "total": {**_fields(forecast.total, budget), "days": [
            {
                "day": one.day.isoformat(), "expected_usd": _exact(one.expected), "interval80_usd": _pair(one.likely),
                "total_usd": _exact(one.total), "total_interval80_usd": _pair(one.total_likely),
            }
            for one in forecast.total.ahead
        ]},
        "scopes": [{"key": list(one.key), **_fields(one, None)} for one in forecast.scopes],
        "unpriced": forecast.unpriced,
        "sentence": sentence(forecast, budget),
    }  # fmt: skip


def what_if_fields(found: WhatIf) -> dict[str, Any]:
    return {
        "expected_usd": _exact(found.expected),
        "interval80_usd": _pair(found.likely),
        "saved_usd": _exact(found.saved),
        "factor": float(found.factor),
        "assumptions": list(found.assumptions),
    }


def _fields(one: Outlook, budget: PicoUSD | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "at": one.at.isoformat(), "start": one.start.isoformat(), "end": one.end.isoformat(),
        "spent_usd": _exact(one.spent), "expected_usd": _exact(one.expected), "interval80_usd": _pair(one.likely),
        "interval95_usd": _pair(one.nearly_sure), "why": one.why,
    }  # fmt: skip
    if budget is not None:
        ending = one.ends(budget)
        fields["budget"] = {"usd": _exact(budget)} | (
            {} if ending is None else
            {"ends": _day(ending.expected), "earliest": _day(ending.earliest), "latest": _day(ending.latest)}
        )  # fmt: skip
    return fields


def _period(forecast: Forecast) -> str:
    start: datetime = forecast.total.start
    return {"day": "today", "week": f"the week from {start:%d %B}", "month": f"{start:%B %Y}"}[forecast.horizon]


def _short(pico: PicoUSD) -> str:
    """Show a figure that nobody knows to its last digit with no more digits than it deserves."""
    amount = usd(pico)
    return f"{amount:,.0f}" if amount >= 1000 else f"{amount:,.2f}" if amount >= 1 else f"{amount:,.4f}"


def _exact(pico: PicoUSD | None) -> str | None:
    return None if pico is None else f"{usd(pico) + Decimal(0):f}"


def _pair(interval: Interval | None) -> list[str | None] | None:
    return None if interval is None else [_exact(interval.low), _exact(interval.high)]


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
