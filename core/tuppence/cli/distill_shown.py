"""Data sets and plans as tables for a person, and as JSON for a program."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from tuppence.distill import Dataset, Datasets, Exported, Plan, Statistics
from tuppence.distill.planning import Figure

Facts = Sequence[tuple[Dataset, Statistics]]


def datasets_as_table(found: Datasets, facts: Facts, written: Sequence[Exported]) -> list[Any]:
    table = _table("call site", "calls", "train", "validation", "calibration", "test", "answers", "tokens", "changes")
    for data, stats in facts:
        sides = [f"{rows:,}" for rows in stats.rows.values()]
        table.add_row(
            data.name, f"{data.traffic.calls:,}", *sides, f"{stats.answers.different:,}",
            f"{stats.training_tokens:,}", str(data.template.changes),
        )  # fmt: skip
    items: list[Any] = [table] if facts else [Text("no row to learn from")]
    for data, stats in facts:
        left = ", ".join(f"{calls:,} {reason}" for reason, calls in data.dropped.items())
        items.append(Text(f"{data.name}: left out {left or 'nothing'}"))
        items += [Text(f"{data.name}: {warning}", style="yellow") for warning in stats.warnings]
    others = [one for one in found if not len(one)]
    if others:
        items.append(Text(f"{len(others):,} call sites have no row to learn from"))
    items += [Text(f"written to {one.folder}: {', '.join(p.name for p in one.files.values())}") for one in written]
    return items


def datasets_as_json(found: Datasets, facts: Facts, written: Sequence[Exported]) -> dict[str, Any]:
    folders = {one.folder.name: one for one in written}
    return {
        "calls": found.calls, "repeated": found.repeated,
        "sites": [
            {
                "site": data.name, "calls": data.traffic.calls, **_statistics(stats), "dropped": dict(data.dropped),
                "template": {
                    "hash": data.template.name, "question": data.template.question.text,
                    "changes": data.template.changes,
                    "versions": [{"hash": v.name, "text": v.text, "calls": v.calls} for v in data.template.versions],
                },
                "folder": str(folders[data.name].folder) if data.name in folders else None,
                "data_hash": folders[data.name].data_hash if data.name in folders else None,
            }
            for data, stats in facts
        ],
    }  # fmt: skip


def plan_as_table(made: Plan) -> list[Any]:
    table = _table(made.site, "", "formula", left=2)
    for name, one in made.figures.items():
        table.add_row(name, _shown(one), one.formula)
    verdict = Text(f"{made.verdict}: {made.reasons[0]}", style="bold")
    return [table, verdict, *(Text(reason) for reason in made.reasons[1:])]


def plan_as_json(made: Plan) -> dict[str, Any]:
    return {
        "site": made.site, "verdict": made.verdict, "reasons": list(made.reasons),
        "figures": {
            name: {"value": None if one.value is None else f"{one.value:f}", "unit": one.unit, "formula": one.formula}
            for name, one in made.figures.items()
        },
        **_statistics(made.statistics),
    }  # fmt: skip


def _statistics(stats: Statistics) -> dict[str, Any]:
    return {
        "rows": dict(stats.rows), "tokens": dict(stats.tokens), "exact_tokens": stats.exact_tokens,
        "prompt_tokens": {f"p{p}": tokens for p, tokens in stats.prompt_tokens.items()},
        "answer_tokens": {f"p{p}": tokens for p, tokens in stats.answer_tokens.items()},
        "answers": {
            "different": stats.answers.different, "bits": round(stats.answers.bits, 4),
            "commonest": dict(stats.answers.commonest),
        },
        "prompts": stats.prompts, "contradicted": stats.contradicted, "warnings": list(stats.warnings),
    }  # fmt: skip


def _shown(one: Figure) -> str:
    if one.value is None:
        return "not known"
    if one.unit == "USD":
        # Prices of single calls are small: four figures that say something, whatever their size.
        return f"${one.value:,.2f}" if abs(one.value) >= 1 or not one.value else f"${_four_figures(one.value)}"
    places = 0 if one.unit in ("calls", "rows", "answers", "tokens") else 2
    return f"{one.value:,.{places}f} {one.unit}".rstrip()


def _four_figures(value: Decimal) -> str:
    return f"{round(value, 3 - value.adjusted()):f}"


def _table(*columns: str, left: int = 0) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for n, name in enumerate(columns):
        table.add_column(name, justify="left" if n in (0, left) else "right", no_wrap=n != left or not left)
    return table
