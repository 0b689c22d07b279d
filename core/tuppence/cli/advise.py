"""`tuppence advise`: what to do first, by the calls of the user's own ledger."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson


def advise(
    ledger: Annotated[
        str | None, typer.Option(metavar="PLACE", help="A file or postgresql:// address; by default this user's own.")
    ] = None,
    traffic: Annotated[Path | None, typer.Option(help="Recorded calls, which tell what a ledger cannot.")] = None,
    gpu_hour: Annotated[str, typer.Option(metavar="USD", help="What an hour of a GPU costs you.")] = "2.50",
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Rank what would save most for the effort, with the evidence and the lines to add."""
    from tuppence.evidence import advice
    from tuppence.spend import default_place

    found = advice.advise(ledger or default_place(), traffic=traffic, gpu_hour=_dollars(gpu_hour))
    if format is TableOrJson.json:
        terminal.out(f"{advice.as_json(found)}\n")
        return
    terminal.show(*advice.as_table(found))


def _dollars(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no amount of dollars: give a number such as 2.50") from None
