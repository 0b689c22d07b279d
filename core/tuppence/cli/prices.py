"""`tuppence prices`: what models cost, as calls are priced."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.report import moment
from tuppence.cli.terminal import Format
from tuppence.errors import PriceError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tuppence.prices import Rate
    from tuppence.prices.catalogue import Listed, PriceRow


def prices(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models, such as gpt-4o or anthropic/claude-haiku-4-5.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Whose model it is; alone, list that provider's models.")] = None,
    at: Annotated[str | None, typer.Option(help="Prices of this date, such as 2026-06-01.")] = None,
    search: Annotated[str | None, typer.Option(help="List models whose name contains this text.")] = None,
    format: Annotated[Format, typer.Option(help="How to spell it.")] = Format.table,  # noqa: A002 - the option's name
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Show what models cost: every bucket, long-context step and kind of processing."""
    from tuppence.prices import PriceBook

    when = None if at is None else moment(at)
    book = PriceBook.default()
    if not models:
        if search is None and provider is None:
            raise typer.BadParameter("name a model, or list some with --search TEXT or --provider NAME")
        _list(book.version, _found(search or "", provider), format, output)
        return
    rates = {model: listed_rate(model, provider, when) for model in models}
    if format is Format.table:
        terminal.show(*(_table(model, rate) for model, rate in rates.items()), file=output)
    else:
        rows = [_fields(model, rate.version, row) for model, rate in rates.items() for row in _rows(rate)]
        terminal.out(_spelt(rows, format), output)


def _found(text: str, provider: str | None) -> tuple[Listed, ...]:
    from tuppence.prices.catalogue import listed

    found = listed(provider, containing=text)
    if not found:
        of = f" of provider {provider!r}" if provider else ""
        raise PriceError(f"no model{of} has {text!r} in its name: try a shorter text, or leave --provider out")
    return found


def listed_rate(model: str, provider: str | None = None, when: datetime | None = None) -> Rate:
    """Return what a model costs; raise `PriceError`, with names that resemble it, where no price is known."""
    from tuppence.prices import PriceBook
    from tuppence.prices.catalogue import resembling

    rate = PriceBook.default().rate(model, provider=provider, at=when)
    if rate is None:
        close = resembling(model, provider)
        hint = f"did you mean {', '.join(close)}?" if close else "look with `tuppence prices --search TEXT`"
        of = f" of provider {provider!r}" if provider else ""
        raise PriceError(f"no price is known for model {model!r}{of}: {hint}")
    return rate


def _rows(rate: Rate) -> Sequence[PriceRow]:
    from tuppence.prices.catalogue import price_rows

    return price_rows(rate)


def _table(model: str, rate: Rate) -> RenderableType:
    """Lay one model out: a row for each bucket and step, a column for each kind of processing."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from tuppence.prices.catalogue import input_limits

    rows = _rows(rate)
    kinds = list(dict.fromkeys(row.processing for row in rows))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("$ per 1M tokens", no_wrap=True)
    for kind in kinds:
        table.add_column(kind, justify="right", no_wrap=True)
    for sort in ("tokens", "calls"):
        cells: dict[tuple[str, int], dict[str, str]] = {}
        for row in rows:
            if row.unit.startswith("call:") == (sort == "calls"):
                cells.setdefault((row.unit, row.above_tokens), {})[row.processing] = _plain(row.usd)
        if sort == "calls" and cells:
            table.add_section()
        for (unit, above), by_kind in cells.items():
            table.add_row(_named(unit, above), *(by_kind.get(kind, "-") for kind in kinds))
    limits = [f"{kind} has no price above {most:,} input tokens" for kind, most in input_limits(rate).items()]
    return Group(Text(model, style="bold"), Text(f"from {rate.version}", style="dim"), table, *map(Text, limits))


def _named(unit: str, above: int) -> str:
    if unit.startswith("call:"):
        return f"1,000 calls of {unit.removeprefix('call:')}"
    return f"{unit}, input > {above:,}" if above else unit


def _list(version: str, found: Sequence[Listed], format: Format, output: Path | None) -> None:  # noqa: A002
    from rich import box
    from rich.table import Table

    rows = [{"provider": one.provider, "model": one.model, **_headline(one)} for one in found]
    if format is not Format.table:
        terminal.out(_spelt(rows, format), output)
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption=version, caption_justify="left")
    table.add_column("provider", no_wrap=True)
    table.add_column("model", overflow="fold")
    table.add_column("input $/1M", justify="right", no_wrap=True)
    table.add_column("output $/1M", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row["provider"], row["model"], row["input"] or "-", row["output"] or "-")
    terminal.show(table, file=output)


def _headline(one: Listed) -> dict[str, str | None]:
    """Give a model's two most asked prices, for short prompts."""
    from tuppence.prices import PriceBook

    rate = PriceBook.default().rate(one.model, provider=one.provider)
    first: dict[str, str] = {}
    for row in () if rate is None else _rows(rate):
        if row.processing == "standard" and not row.above_tokens:
            first[row.unit] = _plain(row.usd)
    return {"input": first.get("input"), "output": first.get("output")}


def _fields(model: str, version: str, row: PriceRow) -> dict[str, Any]:
    if row.unit == "gpu_hour":
        per = "1 hour"
    else:
        per = "1,000 calls" if row.unit.startswith("call:") else "1,000,000 tokens"
    return {
        "model": model, "processing": row.processing, "unit": row.unit, "above_input_tokens": row.above_tokens,
        "usd": _plain(row.usd), "per": per, "version": version,
    }  # fmt: skip


def _spelt(rows: Sequence[dict[str, Any]], format: Format) -> str:  # noqa: A002
    if format is Format.json:
        return f"{json.dumps(rows, indent=2)}\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _plain(usd: Any) -> str:
    """Spell a price with all its digits, and cents at least."""
    digits = max(2, -int(usd.normalize().as_tuple().exponent))
    return f"{usd:.{digits}f}"
