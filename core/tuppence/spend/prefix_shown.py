"""The report's section on providers' prompt caches, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tuppence.spend.figures import dollars, label, short

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tuppence.spend.prefix_savings import PrefixLine


def prefix_section(lines: Sequence[PrefixLine]) -> Iterator[RenderableType]:
    """Lay out what the caches gave by tier; nothing where none was used."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not lines:
        return
    from tuppence.spend.prefix_savings import total_of

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("prompt cache", min_width=12)
    for name in ("in", "read", "share", "written", "saved $", "unread $", "unpr"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(Text(label(line.tier), no_wrap=True, overflow="ellipsis"), *_figures(line))
    total = total_of(lines)
    if len(lines) > 1:
        table.add_section()
        table.add_row("total", *_figures(total), style="bold")
    yield table
    yield Text(
        f"prompt caches: {float(total.cached_share):.1%} of the input was read from providers' caches; saved is what "
        "that took off the cost less what writes put on it, unread what was paid for writes that nobody read in time"
    )


def prefix_fields(lines: Sequence[PrefixLine]) -> list[dict[str, Any]]:
    """Spell the section for JSON; money is text, so that no reader rounds it."""
    return [
        {
            "tier": line.tier,
            "input_tokens": line.input_tokens,
            "read_tokens": line.read_tokens,
            "written_tokens": line.written_tokens,
            "cached_share": round(float(line.cached_share), 6),
            "saved_usd": f"{line.saved_usd:f}",
            "unread_usd": f"{line.unread_usd:f}",
            "unpriced": line.unpriced,
        }
        for line in lines
    ]


def _figures(line: PrefixLine) -> list[str]:
    return [
        short(line.input_tokens),
        short(line.read_tokens),
        f"{float(line.cached_share):.1%}",
        short(line.written_tokens),
        dollars(line.saved_usd),
        dollars(line.unread_usd),
        f"{line.unpriced:,}",
    ]
