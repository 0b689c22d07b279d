"""`tuppence alerts`: what costs more than usual, once, from cron, or in a loop."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.report import moment
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import LedgerError

if TYPE_CHECKING:
    from tuppence.spend.alerts import AlertRules, Channel, Checked

RANG = 3
"""Exit code of a check in which something rang: 1 is an error, 2 a wrong option."""
_CHANNELS = "Where to tell it"


def alerts(
    ledger: Annotated[str | None, typer.Option(help="The ledger, a file or postgresql:// address.")] = None,
    check: Annotated[bool, typer.Option("--check", help=f"Remember what rang; exit code {RANG} when it does.")] = False,
    watch: Annotated[
        int | None, typer.Option(min=1, metavar="MINUTES", help="Check again and again, until Ctrl-C.")
    ] = None,
    state: Annotated[Path | None, typer.Option(help="What rang already; by default a file beside the ledger.")] = None,
    at: Annotated[str | None, typer.Option(help="As of then: 2026-11-01T09:00, 12h ago as 12h.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="USD", help="A day's budget, to ring at parts of it.")] = None,
    false_alarms: Annotated[float, typer.Option(metavar="A MONTH", help="How many rings may be noise.")] = 1.0,
    webhook: Annotated[
        str | None,
        typer.Option(envvar="TUPPENCE_ALERTS_WEBHOOK", help="Post JSON there.", rich_help_panel=_CHANNELS),
    ] = None,
    slack: Annotated[
        str | None,
        typer.Option(envvar="TUPPENCE_ALERTS_SLACK", help="A Slack webhook.", rich_help_panel=_CHANNELS),
    ] = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Ring for what costs more than usual: spending, cost a request, tokens, retries, caches, tiers, prices, scores."""
    from tuppence.spend.alerts import AlertRules
    from tuppence.spend.ledger import default_place

    place = ledger or str(default_place())
    rules = AlertRules(daily_budget_usd=budget, false_alarms=false_alarms)
    channels = _channels(webhook, slack)
    held = (state or state_beside(place)) if check or watch else state
    if watch:
        _loop(place, rules, held, channels, watch, format)
    found = _once(place, rules, held, None if at is None else moment(at), channels, format)
    if check and found.new:
        raise typer.Exit(RANG)


def _channels(webhook: str | None, slack: str | None) -> list[Channel]:
    from tuppence.spend import alerts as room

    found: list[Channel] = []
    if webhook:
        found.append(room.Webhook(webhook))
    if slack:
        found.append(room.slack(slack))
    return found


def state_beside(place: str) -> Path:
    """Return where what rang is remembered."""
    from tuppence.spend.ledger.places import file_here

    path = file_here(place)
    return path.with_name(f"{path.name}.alerts.json")


def _loop(
    place: str, rules: AlertRules, state: Path | None, channels: Sequence[Channel], minutes: int, format: TableOrJson  # noqa: A002
) -> None:  # fmt: skip
    while True:
        try:
            _once(place, rules, state, None, channels, format)
        except LedgerError as error:
            # A ledger that is away for a moment must not end the watch.
            terminal.complain(str(error))
        time.sleep(60 * minutes)


def _once(
    place: str, rules: AlertRules, state: Path | None, at: datetime | None, channels: Sequence[Channel],
    format: TableOrJson,  # noqa: A002
) -> Checked:  # fmt: skip
    from tuppence.spend import alerts as room

    found = room.checked(place, at=at, state=state, rules=rules)
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(_fields(found), ensure_ascii=False)}\n")
    else:
        terminal.out(_said(found))
    for channel in channels:
        if not channel(found.new):
            terminal.complain("a channel could not be told; the log says why")
    return found


def _fields(found: Checked) -> dict[str, object]:
    from tuppence.spend.alerts import as_fields

    return {
        "at": found.at.isoformat(),
        "new": [as_fields(one) for one in found.new],
        "on": sorted(found.on),
        "recovered": list(found.recovered),
        "too_new": list(found.too_new),
        "calls": found.calls,
    }


def _said(found: Checked) -> str:
    from tuppence.spend.alerts import sentence
    from tuppence.spend.figures import label

    lines = [f"! {label(sentence(one))}" for one in found.new]
    lines += [f"  recovered: {label(key)}" for key in found.recovered]
    told = {f"{one.rule}/" for one in found.new}
    lines += [
        f"  still on: {label(one.said or key)}"
        for key, one in found.on.items()
        if not key.startswith(tuple(told) or "\0")
    ]
    if not lines:
        lines.append(f"nothing is off ({found.calls:,} requests in the history)")
    if found.too_new:
        lines.append(f"  not enough history yet (a week is needed): {', '.join(map(label, found.too_new))}")
    return "".join(f"{line}\n" for line in lines)
