"""`tuppence budget`: how budgets stand, room that was never given back, and counters set right from the ledger.

It never makes a file where there was none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import BudgetError, ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from tuppence.config import Config
    from tuppence.spend.budgets import Budgets, Counters, Standing

app = typer.Typer(no_args_is_help=True, help="Look after budgets.")

_CONFIG = typer.Option("--config", metavar="FILE", help="The configuration whose budgets are meant.")
Configured = Annotated[Path | None, _CONFIG]
Stored = Annotated[str | None, typer.Option(metavar="PLACE", help="The file or redis:// URL of the counters.")]
Spelt = Annotated[TableOrJson, typer.Option(help="How to spell it.")]


@app.callback()
def budget() -> None:
    """Look after budgets."""


@app.command()
def show(config: Configured = None, store: Stored = None, format: Spelt = TableOrJson.table) -> None:  # noqa: A002
    """Show what was spent, what calls under way hold, and what is left."""
    if config is None:
        with _counters(store) as counters:
            found = _as_they_stand(counters)
    else:
        with _budgets(config, store) as (_, budgets):
            found = budgets.standing()
    _show(found, format)


@app.command()
def sweep(
    config: Configured = None, store: Stored = None,
    lease_s: Annotated[float, typer.Option(metavar="SECONDS", help="With --store: how old they must be.", min=1)] = 900,
    format: Spelt = TableOrJson.table,  # noqa: A002
) -> None:  # fmt: skip
    """Release what calls hold that never ended, because their process was killed."""
    from tuppence.prices import usd

    if config is None:
        with _counters(store) as counters:
            now = time.time()
            swept = counters.sweep(now - lease_s, now)
    else:
        with _budgets(config, store) as (_, budgets):
            swept = budgets.sweep()
    amount = f"{usd(swept.pico_usd).normalize():f}"
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps({'reservations': swept.holds, 'usd': amount})}\n")
    else:
        terminal.out(f"released {swept.holds:,} reservations of ${amount} together\n")


@app.command()
def rebuild(
    config: Annotated[Path, _CONFIG],
    ledger: Annotated[
        str | None, typer.Option(metavar="PLACE", help="A file or a database; by default the configuration's ledger.")
    ] = None,
    format: Spelt = TableOrJson.table,  # noqa: A002
) -> None:  # fmt: skip
    """Set the counters of current periods to what the ledger says was spent; calls may go on meanwhile."""
    with _budgets(config, None, make=True) as (loaded, budgets):
        found = budgets.rebuild(ledger or _ledger_of(loaded))
    _show(found, format)


# -- what is opened


@contextmanager
def _budgets(path: Path, store: str | None, *, make: bool = False) -> Iterator[tuple[Config, Budgets]]:
    """Open a configuration's budgets; `make` lets their file come into being."""
    from tuppence.config import load_config
    from tuppence.config.budgeting import budgets_of, store_of

    if store is not None:
        raise ConfigError(f"--config {path} and --store {store} both say which counters are meant: keep one")
    loaded = load_config(path)
    said = loaded.settings.budgets
    if said is None:
        raise ConfigError(f"{path} has no budgets: add them, or name the counters by --store")
    place = store_of(said, loaded.path.parent)
    if place is None:
        raise ConfigError(
            f"the budgets of {path} are counted in the memory of the program that uses them, which nobody else can "
            "read: give them a file or a redis:// URL as their store"
        )
    if not make:
        _there(place)
    budgets = budgets_of(said, loaded.path.parent)
    try:
        yield loaded, budgets
    finally:
        budgets.close()


@contextmanager
def _counters(place: str | None) -> Iterator[Counters]:
    from tuppence.spend.budgets.opening import open_counters

    if place is None:
        raise ConfigError("nothing says which counters are meant: give --config FILE, or --store PLACE")
    _there(place)
    counters = open_counters(place if "://" in place else Path(place))
    try:
        yield counters
    finally:
        counters.close()


def _there(place: str | Path) -> None:
    if not (isinstance(place, str) and "://" in place) and not Path(place).is_file():
        raise BudgetError(f"{place} holds no counters: they come with the first call, or name the file that has them")


def _ledger_of(loaded: Config) -> str | Path:
    from tuppence.config.building import ledger_of
    from tuppence.spend.ledger import default_place

    place = ledger_of(loaded.settings.ledger, loaded.path.parent)
    if isinstance(place, bool):
        if not place:
            raise ConfigError(f"{loaded.path} keeps no ledger (ledger: off): name one by --ledger")
        return default_place()
    return place


def _as_they_stand(counters: Counters) -> list[Standing]:
    """Read all counters of a place, whose budgets are not known: limits are those that calls last had."""
    from tuppence.prices import usd
    from tuppence.spend.budgets import Standing

    now = time.time()
    return [
        Standing(
            one.budget, one.counter, usd(one.spent), usd(one.held), None if one.limit is None else usd(one.limit),
            None if one.limit is None else usd(max(0, one.limit - one.spent - one.held)), one.until, soft=False,
        )
        for one in counters.counts() if one.until > now
    ]  # fmt: skip


# -- what is shown


def _show(found: Sequence[Standing], spelt: TableOrJson) -> None:
    if spelt is TableOrJson.json:
        terminal.out(f"{json.dumps([_as_json(one) for one in found], indent=2, ensure_ascii=False)}\n")
    elif found:
        terminal.show(_table(found))
    else:
        terminal.complain("no call of a current period has been counted: ask something first")


def _as_json(one: Standing) -> dict[str, Any]:
    return {
        "budget": one.budget, "of": _of(one), "counter": one.counter, "spent_usd": _amount(one.spent_usd),
        "held_usd": _amount(one.held_usd), "limit_usd": _amount(one.limit_usd), "left_usd": _amount(one.left_usd),
        "until": datetime.fromtimestamp(one.until, UTC).isoformat(), "soft": one.soft,
    }  # fmt: skip


def _table(found: Sequence[Standing]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    texts = ("budget", "of", "until (UTC)")
    for name in ("budget", "of", "spent", "held", "limit", "left", "until (UTC)"):
        table.add_column(name, justify="left" if name in texts else "right")
    for one in found:
        amounts = (one.spent_usd, one.held_usd, one.limit_usd, one.left_usd)
        shown = ("-" if amount is None else f"${amount:,.6f}" for amount in amounts)
        until = f"{datetime.fromtimestamp(one.until, UTC):%Y-%m-%d %H:%M}"
        table.add_row(Text(one.budget), Text(" / ".join(_of(one))), *map(Text, shown), Text(until))
    return table


def _of(one: Standing) -> list[str]:
    """Read whose counter it is out of its key: tag values and period."""
    return [unquote(part) for part in one.counter.split("/")[1:]]


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"
