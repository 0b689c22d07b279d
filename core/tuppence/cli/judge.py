"""`tuppence judge report`: what judges say of live traffic, and how far they can be trusted."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson

if TYPE_CHECKING:
    from tuppence.evidence.judging.report import JudgeReport, WeekLine

app = typer.Typer(no_args_is_help=True, help="See what judges say of live traffic.")


class Aspect(StrEnum):
    """What of a rated answer is watched."""

    accuracy = "accuracy"
    fluency = "fluency"


@app.callback()
def judge() -> None:
    """See what judges say of live traffic."""


@app.command()
def report(
    judgements: Annotated[Path, typer.Argument(help="The file that a Judge keeps its judgements in.")],
    labels: Annotated[
        Path | None, typer.Option(help="People's scores, JSON lines or CSV with call_id and score.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Worst and best label; 1,5 unless answers were compared.")
    ] = None,
    aspect: Annotated[Aspect, typer.Option(help="What to watch and compare.")] = Aspect.accuracy,
    tenant: Annotated[str | None, typer.Option(help="Only calls of this tenant.")] = None,
    reference_weeks: Annotated[int, typer.Option(help="First weeks, which say what is normal.")] = 4,
    alpha: Annotated[float, typer.Option(metavar="PART", help="Probability of a false alarm, for each series.")] = 0.05,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Show scores by week and tier, alarms, agreement with people, and what judging cost."""
    from tuppence.evidence.judging.report import judge_report
    from tuppence.evidence.judging.sqlite import open_judgements
    from tuppence.evidence.judging.words import as_json

    log = open_judgements(judgements)
    try:
        known = [one for one in log.read() if tenant is None or one.tenant == tenant]
    finally:
        log.close()
    compared = any(one.mode == "pairwise" for one in known) and all(one.mode == "pairwise" for one in known)
    told = {} if labels is None else _labels(labels, _scale(scale, (0.0, 1.0) if compared else (1.0, 5.0)))
    found = judge_report(
        known, labels=told, aspect=aspect.value, reference_weeks=reference_weeks, alpha=alpha,
    )  # fmt: skip
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(as_json(found), indent=2, ensure_ascii=False)}\n")
    else:
        _show(found)


def _scale(text: str | None, usual: tuple[float, float]) -> tuple[float, float]:
    if text is None:
        return usual
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no scale: give the worst and the best label, such as 1,5") from None
    if not low < high:
        raise typer.BadParameter(f"{text!r} is no scale: the worst label comes first, such as 1,5")
    return low, high


def _labels(path: Path, scale: tuple[float, float]) -> dict[str, float]:
    """Read people's scores; of two for one call the later one counts."""
    from tuppence.evidence.outcomes.reading import read_feedback

    return {one.call_id: one.score for one in sorted(read_feedback(path, scale=scale), key=lambda one: one.at)}


def _show(found: JudgeReport) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tuppence.evidence.judging.words import agreement_words, bias_words, drift_words

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    rows = [_row(line) for line in found.lines]
    told = [
        name for place, name in enumerate(_COLUMNS) if name in _ALWAYS or any(r[place] not in _NOTHING for r in rows)
    ]
    for name in told:
        table.add_column(name, justify="left" if name in ("week", "tier") else "right")
    for row in rows:
        table.add_row(*(cell for name, cell in zip(_COLUMNS, row, strict=True) if name in told))
    shown: list[Any] = [table]
    if found.series:
        shown.append(Text(f"drift of {_watched(found)}:"))
    shown += [Text(f"  {one.tier} (judged by {one.judge}): {drift_words(one, found)}") for one in found.series]
    for one in found.judges:
        shown.append(Text(f"{one.judge} ({one.mode}): {agreement_words(one)}"))
        if one.compared:
            shown.append(Text(f"  {bias_words(one)}"))
    terminal.show(*shown)


def _watched(found: JudgeReport) -> str:
    return found.aspect if any(one.mode == "rated" for one in found.series) else "preference"


_COLUMNS = (
    "week", "tier", "scored", "accuracy", "fluency", "preferred", "95 % interval", "unreadable", "failed", "withheld",
    "unsuited", "dropped", "cost",
)  # fmt: skip
# Shown whatever they hold; others only where there is something to say.
_ALWAYS = ("week", "tier", "scored", "95 % interval", "unreadable", "dropped", "cost")
_NOTHING = ("", "0")


def _row(line: WeekLine) -> list[str]:
    from tuppence.spend.figures import dollars

    means = [f"{line.means[name]:.2f}" if name in line.means else "" for name in ("accuracy", "fluency", "preference")]
    between = "" if line.interval is None else f"{line.interval[0]:.2f} to {line.interval[1]:.2f}"
    count = {name: f"{line.counts.get(name, 0):,}" for name in _COLUMNS}
    cost = dollars(line.cost_usd) + (f" (+ {line.unpriced:,} unpriced)" if line.unpriced else "")
    return [
        line.week, line.tier or "-", count["scored"], *means, between,
        *(count[name] for name in ("unreadable", "failed", "withheld", "unsuited", "dropped")), cost,
    ]  # fmt: skip
