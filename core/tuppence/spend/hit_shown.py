"""The report's section on answer caches, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tuppence.spend.figures import dollars, label

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tuppence.spend.hit_savings import HitLine, HitReport, WrongHits


def hit_section(found: HitReport | None) -> Iterator[RenderableType]:
    """Lay out what the caches gave, exact and similar; nothing where no cache was asked."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if found is None:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("answer cache", min_width=12)
    for name in ("hits", "of calls", "saved $", "median", "asked", "time saved"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in found.lines:
        table.add_row(line.kind, *_figures(found, line))
    yield table
    yield from (Text(note) for note in _notes(found))


def hit_fields(found: HitReport | None) -> dict[str, Any] | None:
    """Spell the section for JSON; money is text, so that no reader rounds it."""
    if found is None:
        return None
    return {
        "calls": found.calls,
        "kinds": [
            {
                "kind": line.kind,
                "hits": line.hits,
                "hit_rate": round(found.rate(line), 6),
                "saved_usd": None if line.saved_usd is None else f"{line.saved_usd:f}",
                "compared_hits": line.compared,
                "median_ms": round(line.median_ms, 3) if line.hits else None,
                "saved_s": None if (saved := found.saved_s(line)) is None else round(saved, 3),
            }
            for line in found.lines
        ],
        "asked_median_ms": None if found.asked_median_ms is None else round(found.asked_median_ms, 3),
        "missed": [{"why": why, "calls": calls} for why, calls in found.missed],
        "audited": _audited(found.wrong),
    }


def _audited(wrong: WrongHits | None) -> dict[str, Any] | None:
    if wrong is None:
        return None
    return {"audits": wrong.audits, "wrong": wrong.wrong, "wrong_share": wrong.share, "wilson95": wrong.interval}


def _figures(found: HitReport, line: HitLine) -> list[str]:
    asked, saved = found.asked_median_ms, found.saved_s(line)
    return [
        f"{line.hits:,}",
        f"{found.rate(line):.1%}",
        "-" if line.saved_usd is None else dollars(line.saved_usd),
        _span(line.median_ms / 1000) if line.hits else "-",
        "-" if asked is None else _span(asked / 1000),
        "-" if saved is None or not line.hits else _span(saved),
    ]


def _notes(found: HitReport) -> Iterator[str]:
    """Say what the figures mean, how far hits can be trusted, and what keeps more calls from being served."""
    yield (
        f"answer caches: shares are of {found.calls:,} calls through a policy; time saved is each hit against the "
        "median of calls that models answered"
    )
    if found.wrong is not None:
        yield _wrong(found.wrong)
    if found.missed:
        reasons = ", ".join(f"{label(why)} {calls:,}" for why, calls in found.missed)
        yield f"why calls were not served: {reasons}"


def _wrong(wrong: WrongHits) -> str:
    if wrong.share is None:
        return "wrong hits: not known, nothing that would be served has been audited"
    low, high = wrong.interval
    return f"wrong hits: {wrong.share:.1%} of {wrong.audits:,} audited (95 % interval {low:.1%} to {high:.1%})"


def _span(seconds: float) -> str:
    """Show a time in the unit that it is long in."""
    if abs(seconds) < 0.001:
        return f"{seconds * 1e6:,.0f} us"
    if abs(seconds) < 1:
        return f"{seconds * 1e3:,.1f} ms"
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.1f} s"
