"""A report for people (a table), for spreadsheets (CSV) and for programs (JSON).

CSV and JSON hold every digit; only the table rounds.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from tuppence.spend.figures import dollars, label, short
from tuppence.spend.hit_shown import hit_fields, hit_section
from tuppence.spend.prefix_shown import prefix_fields, prefix_section
from tuppence.spend.report import Line, Report
from tuppence.spend.waterfall_shown import as_fields, waterfall_section

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tuppence.spend.rolled_up import RolledUp


def as_table(report: Report) -> RenderableType:
    """Lay the report out for a terminal of 100 columns, as something that `rich.print` prints."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in report.by or ("",):
        table.add_column(name, min_width=10 if name == "day" else 5)
    for name in ("calls", "tries", "amp", "hits", "in", "out", "cost $", "saved $", "est", "unpr", "err"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in report.lines:
        # The cell does not wrap but its column may shrink: long labels give way to figures.
        labels = (Text(label(value), no_wrap=True, overflow="ellipsis") for value in line.key)
        table.add_row(*labels, *_figures(line))
    table.add_section()
    table.add_row("total", *[""] * (len(report.by) - 1), *_figures(report.total), style="bold")
    falls = report.waterfall
    return Group(
        table, *(Text(note) for note in notes(report)),
        *(waterfall_section(falls) if falls is not None and falls.compared else ()),
        *hit_section(report.hits), *prefix_section(report.prefix),
    )  # fmt: skip


def notes(report: Report) -> list[str]:
    """Say what the figures mean and what is missing from them."""
    total = report.total
    said = [f"saved against: {report.baseline} ({total.compared} of {total.calls} calls could be compared)"]
    if total.would_save_usd is not None:
        said.append(
            f"observed only: {total.observed} calls, which would have cost about ${total.would_save_usd:.6f} less "
            "(an estimate: cheap answers were not asked for, so none was checked)"
        )
    if total.unpriced:
        said.append(f"{total.unpriced} attempts have no known price and are missing from the cost")
    if total.estimated:
        said.append(f"{total.estimated} attempts are estimates: the provider did not say what it used")
    if report.rolled_up is not None:
        said.append(_days(report.rolled_up))
    if report.unread:
        said.append(f"not counted yet, read when the ledger is next written: {', '.join(map(str, report.unread))}")
    return said


def _days(days: RolledUp) -> str:
    if not days.counted:
        return f"days before {days.until:%Y-%m-%d} are only sums, which know no such tag: they are left out"
    return (
        f"days before {days.until:%Y-%m-%d} are only sums: a line counts those of their calls that began in it, and "
        "what is said of caches begins then"
    )


def as_csv(report: Report) -> str:
    """Spell the report as CSV, the total in a last line whose keys are `total`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*report.by, *_fields(report.total)])
    for line in report.lines:
        writer.writerow([*("" if value is None else value for value in line.key), *_fields(line).values()])
    writer.writerow([*["total"] * len(report.by), *_fields(report.total).values()])
    return out.getvalue()


def as_json(report: Report) -> str:
    """Spell the report as a JSON object; money is text, so that no reader rounds it."""
    lines = [{**dict(zip(report.by, line.key, strict=True)), **_fields(line)} for line in report.lines]
    return json.dumps(
        {
            "by": report.by,
            "lines": lines,
            "total": _fields(report.total),
            "saved_against": report.baseline,
            "waterfall": None if report.waterfall is None else as_fields(report.waterfall),
            "answer_cache": hit_fields(report.hits),
            "prompt_cache": prefix_fields(report.prefix),
            "rolled_up_until": None if report.rolled_up is None else report.rolled_up.until.isoformat(),
            "unread_files": [str(path) for path in report.unread],
        },
        indent=2,
    )


def _fields(line: Line) -> dict[str, Any]:
    return {
        "calls": line.calls,
        "attempts": line.attempts,
        "amplification": round(line.amplification, 4),
        "hits": line.hits,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "cost_usd": f"{line.cost_usd:f}",
        "saved_usd": None if line.saved_usd is None else f"{line.saved_usd:f}",
        "compared_calls": line.compared,
        "observed_calls": line.observed,
        "would_save_usd": None if line.would_save_usd is None else f"{line.would_save_usd:f}",
        "estimated": line.estimated,
        "unpriced": line.unpriced,
        "errors": line.errors,
    }


def _figures(line: Line) -> list[str]:
    return [
        f"{line.calls:,}",
        f"{line.attempts:,}",
        f"{line.amplification:.2f}",
        f"{line.hits:,}",
        short(line.input_tokens),
        short(line.output_tokens),
        dollars(line.cost_usd),
        "-" if line.saved_usd is None else dollars(line.saved_usd),
        f"{line.estimated:,}",
        f"{line.unpriced:,}",
        f"{line.errors:,}",
    ]
