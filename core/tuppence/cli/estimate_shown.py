"""How an estimate is shown: a table for people, JSON for programs, and in both the notes on what its figures rest on.

It rounds and spells; it never reckons.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson

if TYPE_CHECKING:
    from rich.table import Table

    from tuppence.estimate import Estimate, Traffic


def show(
    result: Estimate,
    traffic: Traffic | None,
    format: TableOrJson,  # noqa: A002 - the option's name
    *,
    said: Sequence[str] = (),
) -> None:
    """Print an estimate, with its working and its notes, and what else is `said`."""
    from rich.text import Text

    notes = [*_notes(result, traffic), *said]
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(_as_json(result, notes), indent=2)}\n")
    else:
        terminal.show(_table(result), *(Text(note) for note in notes))


def _notes(result: Estimate, traffic: Traffic | None) -> list[str]:
    from tuppence.prices import usd
    from tuppence.prices.spelling import dollars, percent

    said = []
    if result.baseline_per_month != result.per_month:
        said.append(f"saved against: {result.baseline}")
    if traffic is None:
        return said
    paid = dollars(Fraction(usd(traffic.paid_pico)))
    said.append(
        f"traffic: {traffic.calls:,} answered calls and {traffic.hits:,} cache hits ({percent(traffic.hit_rate)}) in "
        f"{traffic.days} days, for which {paid} was paid, drafts and judges included"
    )
    said.append("tokens as the answering models counted them: another model's tokenizer counts otherwise")
    if traffic.unpriced:
        said.append(f"{traffic.unpriced:,} attempts have no known price and are missing from what was paid")
    if traffic.left_out:
        said.append(f"{traffic.left_out:,} calls with images or the like are left out: their kinds are not on record")
    if traffic.first is not None and traffic.span < timedelta(days=traffic.days - 1):
        said.append(
            f"the first recorded call of these {traffic.days} days was on {traffic.first:%Y-%m-%d}: with a smaller "
            "--days the daily figures rise"
        )
    return said


def _as_json(result: Estimate, notes: list[str]) -> dict[str, Any]:
    from tuppence.prices.spelling import exact_usd

    return {
        "per_request_usd": f"{result.per_request_usd:f}",
        "per_day_usd": f"{result.per_day_usd:f}",
        "per_month_usd": f"{result.per_month_usd:f}",
        "baseline": result.baseline,
        "baseline_per_month_usd": f"{result.baseline_per_month_usd:f}",
        "saved_per_month_usd": f"{result.saved_per_month_usd:f}",
        "steps": [
            {"label": step.label, "formula": step.formula, "usd": f"{exact_usd(step.usd):f}"} for step in result.steps
        ],
        "notes": notes,
    }


def _table(result: Estimate) -> Table:
    """Lay the working out, a line for each step."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tuppence.prices.spelling import dollars

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
    table.add_column("what", overflow="fold")
    table.add_column("formula", overflow="fold")
    table.add_column("dollars", no_wrap=True)
    amounts = _aligned([dollars(step.usd) for step in result.steps])
    totals = ("a day", "a month", "saved")
    for step, amount in zip(result.steps, amounts, strict=True):
        style = "bold" if step.label.startswith(totals) else ""
        table.add_row(Text(step.label), Text(step.formula), Text(amount), style=style)
    return table


def _aligned(amounts: list[str]) -> list[str]:
    """Pad amounts so that their decimal points stand under each other."""
    whole = max(len(amount.partition(".")[0]) for amount in amounts)
    return [f"= {amount.partition('.')[0]:>{whole}}.{amount.partition('.')[2]}" for amount in amounts]
