"""`tuppence export`: what the ledger holds, for Prometheus; and the dashboard that shows it."""

from __future__ import annotations

import sys
import threading
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from tuppence.cli import terminal
from tuppence.errors import TuppenceError

app = typer.Typer(no_args_is_help=True, help="Metrics for Prometheus, and a dashboard for Grafana.")


@app.command("prometheus")
def prometheus(
    ledger: Annotated[
        str | None, typer.Option(help="File or postgresql:// address; by default this user's own.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 9464,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the ledger's sums as metrics until Ctrl-C: those of every program that writes to it."""
    from tuppence.spend.ledger import default_place, reading

    place = ledger or default_place()
    with reading(place):
        pass  # Without a ledger there, Prometheus would be told so, and nobody here.
    _serve(place, host, port)


def _serve(place: str | Path, host: str, port: int) -> None:
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError as missing:
        raise TuppenceError("this needs prometheus-client: pip install 'tuppence[prometheus]'") from missing
    from tuppence.spend.exporters.from_ledger import LedgerCollector
    from tuppence.spend.ledger.places import shown_place

    registry = CollectorRegistry()
    registry.register(LedgerCollector(place))
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise TuppenceError(
            f"port {port} of {host} cannot be listened on ({error}): name another with --port or --host"
        ) from error
    terminal.out(f"metrics of {shown_place(place)} at http://{host}:{server.server_port}/metrics, until Ctrl-C\n")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    finally:
        server.shutdown()
        server.server_close()


@app.command("grafana")
def grafana(output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None) -> None:
    """Print the dashboard: import it into Grafana, and choose the Prometheus that scrapes your programs."""
    terminal.out(files("tuppence").joinpath("data/grafana_dashboard.json").read_text(encoding="utf-8"), output)
