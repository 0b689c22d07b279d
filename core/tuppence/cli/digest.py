"""`tuppence digest`: why this week cost more than the last one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.report import moment
from tuppence.cli.terminal import TableOrJson


def digest(
    ledger: Annotated[str | None, typer.Option(help="The ledger, a file or postgresql:// address.")] = None,
    weeks: Annotated[int, typer.Option(min=1, max=52, help="Length of the two periods.")] = 1,
    by: Annotated[str, typer.Option(help="The tag to keep apart: endpoint, task, workflow, tenant ...")] = "endpoint",
    until: Annotated[str | None, typer.Option(help="End of the later period: 2026-11-01, 12h ago as 12h.")] = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Explain the change of spending between two weeks, driver by driver."""
    from tuppence.spend import digest as room
    from tuppence.spend.ledger import default_place

    found = room.digest(
        ledger or default_place(), at=None if until is None else moment(until), weeks=weeks, by=by.strip()
    )
    if not found.before.segments and not found.after.segments:
        terminal.complain("the ledger holds no call of these weeks: widen --weeks, or name another --ledger")
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(room.as_fields(found), indent=2, ensure_ascii=False)}\n", output)
    else:
        terminal.show(room.as_table(found), file=output)
