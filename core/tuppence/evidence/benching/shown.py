"""A benchmark run as a table for people, and as the report that a later run is compared with."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tuppence.evidence.benching.comparing import FORMAT, Scores, compared
from tuppence.evidence.benching.results import ModelResult
from tuppence.prices import usd
from tuppence.spend.figures import dollars, label

if TYPE_CHECKING:
    from rich.table import Table

_UNKNOWN = "unknown"


def as_json(found: Sequence[ModelResult], *, grader: str) -> dict[str, Any]:
    """Describe a run in plain JSON, its scores question by question; money is exact decimal text."""
    return {"format": FORMAT, "grader": grader, "models": [_told(one) for one in found]}


def as_table(found: Sequence[ModelResult]) -> Table:
    """Show a line a model; a star marks those that no other beats on quality and cost."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("model")
    for name in ("quality", "95 %", "USD a question", "USD a right answer", "p50 ms", "p95 ms", "failed"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in found:
        table.add_row(
            label(one.name), f"{one.quality:.1%}", f"{one.low:.1%} to {one.high:.1%}", _money(one.usd_per_question),
            _money(one.usd_per_correct), _ms(one.p50_ms), _ms(one.p95_ms),
            f"{one.failed:,} of {one.questions:,}" if one.failed else "0", "*" if one.pareto else "",
        )  # fmt: skip
    return table


def notes(found: Sequence[ModelResult]) -> list[str]:
    """Say what a reader must know beside the figures: failures, missing prices, answers of before."""
    said = ["* no other model is as good for less, or better for as much"] if any(one.pareto for one in found) else []
    for one in found:
        for reason, count in sorted(one.failures.items(), key=operator.itemgetter(1), reverse=True):
            said.append(f"{one.name}: {count:,} of {one.questions:,} not answered, counted as wrong: {reason}")
        if one.no_answer:
            said.append(f"{one.name}: {one.no_answer:,} answers had nothing in them to grade")
        if one.pico_usd is None:
            said.append(f"{one.name}: no price is known: give its tier one in the policy")
        if one.resumed:
            said.append(f"{one.name}: {one.resumed:,} answers were there already")
    return said


def comparisons(found: Sequence[ModelResult], baseline: Mapping[str, Scores], name: str) -> list[str]:
    """Say how each model did against the report of before."""
    said = []
    for one in found:
        paired = compared(one, baseline[one.name]) if one.name in baseline else None
        if paired is None:
            said.append(f"{one.name}: nothing in {name} to compare with")
            continue
        said.append(
            f"{one.name}: {100 * paired.difference:+.1f} points against {name} on {paired.questions:,} questions "
            f"({paired.worse:,} worse, {paired.better:,} better; {paired.method}, p of worse {paired.p_worse:.2g})"
        )
    return said


def _told(one: ModelResult) -> dict[str, Any]:
    return {
        "model": one.name, "questions": one.questions, "quality": one.quality, "quality95": [one.low, one.high],
        "cost_usd": None if one.pico_usd is None else f"{usd(one.pico_usd):f}",
        "cost_usd_per_question": _digits(one.usd_per_question), "cost_usd_per_correct": _digits(one.usd_per_correct),
        "p50_ms": one.p50_ms, "p95_ms": one.p95_ms, "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens, "failed": one.failed, "failures": dict(one.failures),
        "no_answer": one.no_answer, "pareto": one.pareto, "scores": dict(one.scores),
    }  # fmt: skip


def _digits(amount: Decimal | None) -> str | None:
    """Spell a quotient of dollars to the pico-dollar."""
    return None if amount is None else f"{round(amount, 12):f}"


def _money(amount: Decimal | None) -> str:
    return _UNKNOWN if amount is None else dollars(amount)


def _ms(wait: float | None) -> str:
    return "-" if wait is None else f"{wait:,.0f}"
