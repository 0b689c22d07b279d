"""`tuppence forecast`: what the month comes to, when a budget ends, and what the month would come to otherwise."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.report import moment
from tuppence.cli.terminal import TableOrJson

if TYPE_CHECKING:
    from tuppence.spend.forecasts import WhatIf


class Period(StrEnum):
    """What is forecast."""

    day = "day"
    week = "week"
    month = "month"


def forecast(
    ledger: Annotated[
        str | None, typer.Option(help="The ledger, a file or postgresql://...; by default this user's own.")
    ] = None,
    by: Annotated[str, typer.Option(help="Forecast each tier, model or tag's value too; several with commas.")] = "",
    horizon: Annotated[Period, typer.Option(help="Until the end of this day, week or month, in UTC.")] = Period.month,
    budget: Annotated[
        str | None, typer.Option(metavar="USD", help="Say when so many dollars for the period are used up.")
    ] = None,
    what_if: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=PART,...",
            help="What it would come to from now on: shares of tiers (small=70%,large=30%), cache=30%, growth=120%.",
        ),
    ] = None,
    at: Annotated[str | None, typer.Option(help="As of when: 7d, 24h, 2026-11-01T09:30; by default now.")] = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002 - the option's name
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Forecast what the month comes to, from what was spent so far."""
    from tuppence.spend import forecasts
    from tuppence.spend.forecasts import shown
    from tuppence.spend.ledger import default_place

    place: str | Path = ledger or default_place()
    as_of = None if at is None else moment(at)
    allowed = None if budget is None else _pico(budget)
    names = [part.strip() for part in by.split(",") if part.strip()]
    found = forecasts.forecast(place, at=as_of, by=names, horizon=horizon.value)
    supposed = None if what_if is None else _supposed(place, what_if, found.total.at, horizon)
    if format is TableOrJson.json:
        fields = shown.as_fields(found, allowed)
        if supposed is not None:
            fields["what_if"] = shown.what_if_fields(supposed)
        terminal.out(f"{json.dumps(fields, indent=2)}\n", output)
        return
    lines = [] if supposed is None else shown.what_if_lines(supposed)
    terminal.show(shown.as_table(found, allowed), *map(_plain, lines), file=output)


def _plain(line: str) -> Any:
    from rich.text import Text

    return Text(line)


def _pico(text: str) -> int:
    from tuppence.prices import pico_usd

    try:
        amount = Decimal(text.strip().removeprefix("$").replace("_", ""))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise typer.BadParameter(f"--budget is {text!r}: give dollars, such as 400 or 12.50")
    return pico_usd(amount)


def _supposed(place: str | Path, text: str, at: Any, horizon: Period) -> WhatIf:
    from tuppence.spend.forecasts import what_if

    given: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or name.strip() in given:
            raise typer.BadParameter(
                f"--what-if has {part!r}: give each name once with a part, such as small=70%,large=30%,cache=30%"
            )
        given[name.strip()] = value.strip()
    cache, growth = given.pop("cache", None), given.pop("growth", "1")
    return what_if(place, tiers=given or None, cache_rate=cache, growth=growth, at=at, horizon=horizon.value)
