"""The waterfall for people, as a table and as a picture, and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuppence.errors import LedgerError
from tuppence.prices import PicoUSD, usd
from tuppence.spend.figures import dollars, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import RenderableType

    from tuppence.spend.waterfall import Waterfall

NAMES = {
    "cache": "answered from the cache", "prune": "prompt shortened", "route": "a cheaper tier answered",
    "output": "answer kept short", "batch": "batch or flex lane", "self_host": "own machines",
}  # fmt: skip
OVERHEADS = {
    "draft": "drafts not used", "retry": "retries", "validation_retry": "asked again, invalid",
    "escalation": "escalations not used", "fallback": "fallbacks not used", "spill_over": "spilled over, not used",
    "agreement": "second opinions",
    "judge": "judges and verifiers", "condense": "shortening itself", "hit": "serving hits",
}  # fmt: skip
FORMATS = ("svg", "png", "pdf")


def bars(found: Waterfall) -> Iterator[tuple[str, PicoUSD, PicoUSD, str]]:
    """Yield each bar from the top down: its name, where it begins, where it ends, and its kind (`total`, `saved`,
    `estimated` or `cost`); steps of nothing are left out.
    """
    level = found.full_baseline
    yield "full baseline", 0, level, "total"
    for step in found.steps:
        if step.pico_usd:
            kind = "cost" if step.pico_usd < 0 else "estimated" if step.estimated else "saved"
            yield NAMES[step.name], level, level - step.pico_usd, kind
            level -= step.pico_usd
    for cause, pico in found.overhead.items():
        yield OVERHEADS.get(cause, cause), level, level + pico, "cost"
        level += pico
    if found.not_compared:
        yield "not compared", level, level + found.not_compared, "cost"
    yield "paid", 0, found.paid, "total"


def as_table(found: Waterfall) -> RenderableType:
    """Lay the waterfall out for a terminal of 100 columns, as something that `rich.print` prints."""
    from rich.console import Group
    from rich.text import Text

    missing = f"{found.unpriced:,} attempts have no known price and are missing from what was paid"
    return Group(*waterfall_section(found), *([Text(missing)] if found.unpriced else []))


def waterfall_section(found: Waterfall) -> Iterator[RenderableType]:
    """Lay it out as a section of the report."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("where the saving comes from", min_width=28)
    table.add_column("$", justify="right", no_wrap=True)
    table.add_column("of baseline", justify="right", no_wrap=True)
    for name, begin, end, kind in bars(found):
        whole = kind == "total"
        amount = end if whole else end - begin
        spelt = dollars(usd(amount)) if whole else f"{'+' if amount > 0 else '-'}{dollars(usd(abs(amount)))}"
        told = f"{label(name)} (estimate)" if _estimated(found, name) else label(name)
        table.add_row(Text(told), spelt, _share(amount, found), style="bold" if whole else None)
    yield table
    yield from (Text(note) for note in _notes(found))


def _notes(found: Waterfall) -> Iterator[str]:
    """Say what it is measured against, and what of it is not billed by anybody."""
    tiers = " or ".join(map(repr, found.baselines))
    against = f"tier {tiers}" if tiers else "the strongest tier"
    yield f"full baseline: every call on {against} alone, as it was asked ({found.compared:,} of {found.calls:,} calls)"
    if any(step.estimated and step.pico_usd for step in found.steps):
        yield "estimate: what prompts and answers were spared, at list prices; nobody was asked without it"


def as_fields(found: Waterfall) -> dict[str, Any]:
    """Spell the waterfall for JSON; money is text, so that no reader rounds it."""
    return {
        "full_baseline_usd": _exact(found.full_baseline),
        "steps": [
            {"name": step.name, "saved_usd": _exact(step.pico_usd), "estimated": step.estimated} for step in found.steps
        ],
        "overhead_usd": {cause: _exact(pico) for cause, pico in found.overhead.items()},
        "not_compared_usd": _exact(found.not_compared),
        "paid_usd": _exact(found.paid),
        "saved_usd": None if found.saved_usd is None else _exact(found.saved),
        "saved_share": None if found.saved_share is None else round(found.saved_share, 6),
        "calls": found.calls,
        "compared_calls": found.compared,
        "unpriced": found.unpriced,
        "baselines": list(found.baselines),
    }


def plot(found: Waterfall, path: str | Path) -> None:
    """Draw the waterfall into a file, by its ending: .svg, .png or .pdf.

    Raises `LedgerError` for another ending, and where matplotlib (extra `report`) is missing.
    """
    path = Path(path)
    if path.suffix.lstrip(".").lower() not in FORMATS:
        raise LedgerError(
            f"a waterfall cannot be drawn into {path.name!r}: name a file that ends in .svg, .png or .pdf"
        )
    try:
        # Not pyplot, which looks for a screen and keeps every figure.
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LedgerError(f"drawing needs matplotlib ({error}): pip install 'tuppence[report]'") from error
    drawn = list(bars(found))
    # Text stays text, names are taken as they are, and equal figures give equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tuppence", "text.parse_math": False}):
        figure = Figure(figsize=(9, 1.2 + 0.42 * len(drawn)), layout="constrained")
        _draw(figure.add_subplot(), found, drawn)
        try:
            figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
        except OSError as error:
            raise LedgerError(
                f"{path} cannot be written ({error.strerror}): name a file in a writable folder"
            ) from error


COLOURS = {"total": "#44546a", "saved": "#2a7f62", "estimated": "#8fc1ab", "cost": "#c0504d"}


def _draw(axes: Axes, found: Waterfall, drawn: list[tuple[str, PicoUSD, PicoUSD, str]]) -> None:
    reach = float(usd(max(max(abs(begin), abs(end)) for _, begin, end, _ in drawn) or 1))
    for place, (_, begin, end, kind) in enumerate(drawn):
        start, stop = float(usd(begin)), float(usd(end))
        hatch = "///" if kind == "estimated" else None
        axes.barh(place, stop - start, left=start, color=COLOURS[kind], hatch=hatch, edgecolor="white", height=0.62)
        amount = end if kind == "total" else end - begin
        sign = "" if kind == "total" else "+" if amount > 0 else "\N{MINUS SIGN}"
        told = f"{sign}${dollars(usd(abs(amount)))}" + (" (estimate)" if kind == "estimated" else "")
        axes.text(max(start, stop) + reach * 0.012, place, told, va="center", fontsize=9, color="#222222")
    axes.set_yticks(range(len(drawn)), [label(name) for name, *_ in drawn])
    axes.invert_yaxis()
    axes.set_xlim(right=reach * 1.24)
    axes.set_xlabel("US dollars")
    axes.spines[["top", "right"]].set_visible(False)
    share = "" if found.saved_share is None else f": {found.saved_share:.1%} of the baseline"
    axes.set_title(f"Where the saving comes from{share}", loc="left", fontsize=12)


def _estimated(found: Waterfall, name: str) -> bool:
    return any(step.estimated and NAMES[step.name] == name for step in found.steps)


def _share(amount: PicoUSD, found: Waterfall) -> str:
    return f"{amount / found.full_baseline:.1%}" if found.full_baseline else "-"


def _exact(pico: PicoUSD) -> str:
    return f"{usd(pico):f}"
