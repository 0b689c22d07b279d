"""`tuppence ledger`: where the ledger is, and what can be done with all of it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.report import moment

app = typer.Typer(no_args_is_help=True, help="Where the ledger is, and what can be done with all of it.")

Place = Annotated[
    str | None, typer.Option("--ledger", metavar="PLACE", help="A file or a postgresql:// address; else your own.")
]


def _place(named: str | None) -> str | Path:
    from tuppence.spend.ledger import default_place

    return named or default_place()


@app.callback()
def ledger() -> None:
    """Where the ledger is, and what can be done with all of it."""


@app.command()
def path() -> None:
    """Say where this user's ledger is, whether or not it exists."""
    from tuppence.spend.ledger.places import shown_place

    terminal.out(f"{shown_place(_place(None))}\n")


@app.command()
def migrate(ledger: Place = None) -> None:
    """Bring a ledger of an older tuppence up to this one, as opening it for writing does, and add its rows up."""
    from tuppence.spend.ledger import SCHEMA
    from tuppence.spend.ledger.opening import Opened
    from tuppence.spend.ledger.places import shown_place

    place = _place(ledger)
    with closing(Opened(place)) as opened:
        opened.add_up()
    terminal.complain(f"{shown_place(place)} has schema {SCHEMA}")


@app.command()
def prune(
    older: Annotated[str, typer.Option(metavar="TIME", help="90d, 12w, or a date.", show_default=False)],
    ledger: Place = None,
) -> None:
    """Turn old rows into daily sums, which reports go on adding in."""
    from tuppence.spend.ledger.places import shown_place
    from tuppence.spend.ledger.retention import roll_up

    place, before = _place(ledger), moment(older)
    if before > datetime.now(UTC):
        raise typer.BadParameter(f"{older!r} lies ahead: give how old rows may get, such as 90d")
    done = roll_up(place, before=before)
    terminal.complain(
        f"{shown_place(place)}: {done.rows:,} rows of {done.days:,} days before {before:%Y-%m-%d} (UTC) are sums now"
    )


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The Parquet file to write.", show_default=False)],
    since: Annotated[str | None, typer.Option(help="From when: 7d, 24h, 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, not included.")] = None,
    ledger: Place = None,
) -> None:
    """Write the attempts into a Parquet file, for DuckDB, Spark and the like."""
    from tuppence.spend.ledger.parquet import export as write

    start, end = (None if one is None else moment(one) for one in (since, until))
    rows = write(_place(ledger), file, since=start, until=end)
    terminal.complain(f"{rows:,} attempts are in {file}")
