"""`tuppence replay`: recorded traffic through one policy or two, beside the controls. No model is called."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.scales import scale_of
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from tuppence.evidence.replay import Replaying, Report
    from tuppence.policy import Policy

# What shells report for a program that Ctrl-C ended: 128 + SIGINT.
_INTERRUPTED = 130
# Drawing the screen costs more than a row.
_ROWS_A_STEP = 500


def replay(
    traffic: Annotated[
        Path, typer.Argument(help="Recorded traffic, or outcomes: JSON lines, CSV, a LangSmith or Langfuse export.")
    ],
    policy: Annotated[Path, typer.Option(help="The policy to replay, a YAML file.")],
    against: Annotated[Path | None, typer.Option(help="A second policy, to compare with.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw cost against quality: a .png, .svg or .html file. Needs the extra report.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="A file of feedback, which grades the answers.")] = None,
    scale: Annotated[str, typer.Option(metavar="WORST,BEST", help="The scale of the scores in the file.")] = "0,1",
    dataset: Annotated[str | None, typer.Option(help="Only rows of this data set.")] = None,
    rows: Annotated[int | None, typer.Option(help="Only so many rows, from the first.", min=1)] = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Say what recorded traffic would have cost under a policy, and how good its answers would have been.

    No model is called and no key is needed. Ctrl-C shows what the rows so far gave.
    """
    _check_extras(plot)
    from tuppence.evidence.replay import Replaying, read_rows
    from tuppence.evidence.replay.sweeping import GRID

    first, second = _policy(policy), None if against is None else _policy(against)
    replaying = Replaying(first, against=second, thresholds=GRID if plot is not None else ())
    found = read_rows(traffic, scale=scale_of(scale), dataset=dataset, labels=labels)
    whole = _play(replaying, found, traffic, rows)
    report = replace(replaying.report(), names=_names(policy, against))
    _show(report, whole, format, output)
    if plot is not None:
        _draw(report, plot)
    if not whole:
        raise typer.Exit(_INTERRUPTED)


def _policy(path: Path) -> Policy:
    """Read a policy without its cache, which a replay leaves out, and which may lie on a server."""
    from tuppence.config import load_config

    config = load_config(path)
    return replace(config, settings=config.settings.model_copy(update={"cache": None})).policy()


def _play(replaying: Replaying, found: Iterable[Any], traffic: Path, most: int | None) -> bool:
    """Play the rows; False if somebody had enough before the end."""
    try:
        with _progress(traffic, most) as advance:
            for row in found:
                if replaying.rows == most:
                    break
                replaying.add(row)
                if replaying.rows % _ROWS_A_STEP == 0:
                    advance(replaying.rows)
    except KeyboardInterrupt:
        terminal.complain(f"interrupted: these are the first {replaying.rows:,} rows")
        return False
    return True


@contextmanager
def _progress(traffic: Path, most: int | None) -> Iterator[Any]:
    """Show a bar on the standard error where somebody watches; yields what takes the number of rows so far."""
    if not sys.stderr.isatty():
        yield lambda _rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from tuppence.evidence.replay import count_lines

    lines = count_lines(traffic)
    columns = TextColumn("{task.completed:,} rows"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=lines if most is None else min(lines, most))
        yield lambda rows: bar.update(task, completed=rows)


def _names(policy: Path, against: Path | None) -> tuple[str, ...]:
    """Call the policies by their files, with their folders where the files are called alike."""
    if against is None:
        return (policy.name,)
    return (policy.name, against.name) if policy.name != against.name else (str(policy), str(against))


def _check_extras(plot: Path | None) -> None:
    """Refuse what could not be counted or drawn before a million rows have been played for it."""
    from importlib.util import find_spec

    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".html"):
        raise ConfigError(f"--plot is {plot}: name a file that ends in .png, .svg or .html")
    for library, purpose in (("numpy", "a replay"), ("matplotlib", "--plot")):
        if (library == "numpy" or plot is not None) and find_spec(library) is None:
            raise ConfigError(f"{purpose} needs {library}, which is not installed: pip install 'tuppence[report]'")


def _draw(report: Report, plot: Path) -> None:
    from tuppence.evidence.replay.page import as_html
    from tuppence.evidence.replay.plot import save_plot

    if plot.suffix.lower() == ".html":
        terminal.out(as_html(report, title=f"Replay of {' against '.join(report.names)}"), plot)
    else:
        save_plot(report, plot)


def _show(report: Report, whole: bool, format: TableOrJson, output: Path | None) -> None:  # noqa: A002
    if format is TableOrJson.json:
        told = {"names": report.names, "whole": whole, **report.as_dict()}
        terminal.out(f"{json.dumps(told, indent=2, ensure_ascii=False)}\n", output)
        return
    from rich.text import Text

    from tuppence.evidence.replay.telling import sentences

    on_screen = output is None and sys.stdout.isatty()
    terminal.show(_table(report, on_screen=on_screen), *map(Text, sentences(report)), file=output)


def _table(report: Report, *, on_screen: bool) -> Table:
    """Put the figures into a table, without columns that say nothing; on a screen each interval has its own line."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tuppence.evidence.replay.telling import HEADINGS, NONE, table

    rows = table(report)
    told = [place for place in range(len(HEADINGS)) if any(cells[place] != NONE for cells in rows)]
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for place in told:
        shown.add_column(HEADINGS[place], no_wrap=place == 0)
    for cells in rows:
        said = [cells[place].replace(" (", "\n(") if on_screen else cells[place] for place in told]
        shown.add_row(*map(Text, said))
    return shown
