"""`tuppence selfhost`: models on one's own machines. Each command is a thin call into `tuppence.selfhost`."""

from __future__ import annotations

import typer

from tuppence.cli import selfhost_plan, selfhost_price, selfhost_server

app = typer.Typer(no_args_is_help=True, help="Models on your own machines: what they cost, and when that pays.")
app.command("serve")(selfhost_server.serve)
app.command("status")(selfhost_server.status)
app.add_typer(selfhost_server.adapters, name="adapters")
app.command("price")(selfhost_price.price)
app.command("meter")(selfhost_price.meter)
app.command("plan")(selfhost_plan.plan)
