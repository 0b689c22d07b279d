"""Advice as a person reads it, and as a program does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tuppence.evidence.advice.advice import Advice, Advised, Range
from tuppence.prices import PicoUSD, usd
from tuppence.spend.figures import dollars, label

if TYPE_CHECKING:
    from rich.console import RenderableType


def as_json(found: Advised) -> str:
    """Spell it in JSON; money is decimal text in USD."""
    told = {
        "calls": found.calls, "days": found.days, "month_usd": _text(found.month_pico),
        "together_usd": _text(found.together_pico), "advice": [_fields(one) for one in found.advice],
        "unknown": [{"lever": one.lever, "needs": one.needs} for one in found.unknown],
    }  # fmt: skip
    return json.dumps(told, indent=2, ensure_ascii=False)


def as_table(found: Advised) -> list[RenderableType]:
    """Lay it out: a table of what to do, then the evidence and the lines for each."""
    from rich.table import Table
    from rich.text import Text

    shown: list[RenderableType] = []
    if found.advice:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name, justify in (("", "right"), ("do", "left"), ("where", "left"), ("$ a month", "right"),
                              ("range", "right"), ("effort", "left")):  # fmt: skip
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for number, one in enumerate(found.advice, 1):
            table.add_row(str(number), Text(one.do), Text(label(one.site or None) if one.site else "all"),
                          dollars(one.usd), _interval(one.saves), one.effort)  # fmt: skip
        shown += [table, Text()]
    for number, one in enumerate(found.advice, 1):
        shown.append(Text("\n".join(_told(number, one)) + "\n"))
    shown += [Text(f"not known: {one.lever}: {one.needs}") for one in found.unknown]
    shown.append(Text(_sum(found)))
    return shown


def _told(number: int, one: Advice) -> list[str]:
    lines = [f"{number}. {one.lever}", *(f"   {line}" for line in one.evidence)]
    if one.overlaps:
        lines.append(f"   counts on the same money as: {', '.join(one.overlaps)}")
    return [*lines, *(f"     {line}" for line in one.config.splitlines())]


def _sum(found: Advised) -> str:
    spent = f"{found.calls:,} calls in {found.days} days; a month costs ${dollars(usd(found.month_pico))} at this rate"
    if not found.advice:
        return spent
    return (
        f"{spent}. All together would save about ${dollars(usd(found.together_pico))} of it, not the sum: they overlap."
    )


def _interval(saves: Range) -> str:
    return f"{dollars(usd(saves.low_pico))} to {dollars(usd(saves.high_pico))}"


def _fields(one: Advice) -> dict[str, Any]:
    saves = one.saves
    return {
        "lever": one.lever, "do": one.do, "site": one.site, "usd_a_month": _text(saves.expected_pico),
        "low_usd": _text(saves.low_pico), "high_usd": _text(saves.high_pico), "effort": one.effort,
        "evidence": list(one.evidence), "overlaps": list(one.overlaps), "config": one.config,
    }  # fmt: skip


def _text(pico: PicoUSD) -> str:
    return f"{usd(pico):f}"
