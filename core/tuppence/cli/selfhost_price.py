"""`tuppence selfhost price` and `meter`: what the tokens of one's own servers came to, and the readings behind that.

Every figure is worked out in `tuppence.selfhost`; here it is read, and shown.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.report import moment
from tuppence.cli.terminal import TableOrJson

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tuppence.selfhost.amortised import Amortised
    from tuppence.selfhost.readings import Served

_Servers = Annotated[
    list[str], typer.Argument(metavar="URL...", help="Addresses of the vLLM servers, such as http://127.0.0.1:8000.")
]
_Place = Annotated[Path | None, typer.Option(metavar="FILE", help="Where readings are kept; by default your own file.")]


def price(
    servers: _Servers,
    gpu_hour: Annotated[str, typer.Option(metavar="USD", help="What an hour of one GPU costs you.")],
    gpus: Annotated[int, typer.Option(min=1, metavar="N", help="GPUs of each server.")] = 1,
    since: Annotated[
        str | None, typer.Option(help="Count from here: 7d, 24h or a date. Otherwise from the first reading.")
    ] = None,
    output_per_input: Annotated[
        str | None,
        typer.Option(metavar="N", help="What an output token is worth in input tokens, in place of what is measured."),
    ] = None,
    place: _Place = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002 - the option's name
) -> None:
    """Read the servers' meters, and say what a token of theirs costs, idle hours included."""
    from tuppence.selfhost import SelfHostError
    from tuppence.selfhost.amortised import amortised
    from tuppence.selfhost.meter import Meter

    start = None if since is None else moment(since).timestamp()
    meter = Meter(servers, place)
    meter.read()
    served = [meter.readings.served(server, since=start) for server in meter.servers]
    known = [one for one in served if one is not None]
    if len(known) < len(served):
        raise SelfHostError(
            "a server that does not say when it began has to be read twice: run this again later, or let "
            "`tuppence selfhost meter` run"
        )
    found = amortised(known, gpu_hour, gpus=gpus, output_per_input=output_per_input)
    if format is TableOrJson.json:
        terminal.out(json.dumps(_fields(found)) + "\n")
    else:
        terminal.show(_table(found))


def meter(
    servers: _Servers,
    place: _Place = None,
    every_s: Annotated[float, typer.Option(min=1, metavar="S", help="Seconds from one reading to the next.")] = 60.0,
) -> None:
    """Read the servers' meters until interrupted, so that no hour of theirs is forgotten."""
    from tuppence.selfhost.meter import Meter

    with Meter(servers, place, every_s=every_s) as running:
        terminal.complain(f"reading {', '.join(running.servers)} into {running.readings.place}; Ctrl-C ends it")
        while True:
            time.sleep(every_s)


def _fields(found: Amortised) -> dict[str, Any]:
    """Spell everything out; money as exact text."""
    prices = _prices(found)
    return {
        "since": _iso(found.since), "until": _iso(found.until), "gpu_hours": str(round(float(found.gpu_hours), 6)),
        "usd": f"{_usd(found):f}", "usd_per_mtok": f"{found.usd_per_million:f}", **prices,
        "price_version": found.version,
        "prompt_tokens": found.prompt_tokens, "computed_tokens": found.computed_tokens,
        "generated_tokens": found.generated_tokens, "servers": [_server(one) for one in found.served],
    }  # fmt: skip


def _server(one: Served) -> dict[str, Any]:
    return {
        "server": one.server, "hours": round(one.seconds / 3600, 6), "prompt_tokens": one.prompt_tokens,
        "by_source": dict(one.prompt_tokens_by_source), "generated_tokens": one.generated_tokens,
        "prefix_hit_share": one.prefix_hit_share, "inter_token_s": one.inter_token_s, "refused": one.refused,
    }  # fmt: skip


def _prices(found: Amortised) -> dict[str, str]:
    from tuppence.prices.catalogue import price_rows

    return {row.unit: f"{row.usd:f}" for row in price_rows(found.rate())}


def _table(found: Amortised) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("$ per 1M tokens", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    for unit, usd in _prices(found).items():
        table.add_row(unit, usd)
    table.add_row("all alike", f"{found.usd_per_million:f}")
    hours = float(found.gpu_hours)
    return Group(
        Text(f"{hours:,.2f} GPU-hours since {_iso(found.since)} cost ${_usd(found):,.2f}", style="bold"),
        table,
        *(Text(_told(one)) for one in found.served),
        Text(f"from {found.version}", style="dim"),
    )


def _told(one: Served) -> str:
    """Say in a line what one server did."""
    said = [f"{one.server}: {one.prompt_tokens:,} prompt tokens, {one.generated_tokens:,} written"]
    if one.prefix_hit_share is not None:
        said.append(f"{one.prefix_hit_share:.1%} of prompts from the prefix cache")
    if one.inter_token_s is not None:
        said.append(f"{one.inter_token_s * 1000:.1f} ms a token")
    if one.refused:
        said.append(f"{one.refused:,} calls turned away")
    return ", ".join(said)


def _usd(found: Amortised) -> Any:
    from tuppence.prices import usd

    return usd(found.pico_usd)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
