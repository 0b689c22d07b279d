"""`tuppence experiment`: what an experiment on live traffic says, what to do about it, and scores for its calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson

if TYPE_CHECKING:
    from tuppence.evidence.experiments import Verdict

app = typer.Typer(no_args_is_help=True, help="Look into experiments on live traffic.")


@app.callback()
def experiment() -> None:
    """Look into experiments on live traffic."""


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="The file that ExperimentLog writes.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="One experiment of several.")] = None,
    alpha: Annotated[float, typer.Option(metavar="PART", help="Probability of a wrong verdict, at most.")] = 0.05,
    quality: Annotated[float, typer.Option(metavar="PART", help="Points that the mean score may fall.")] = 0.02,
    errors: Annotated[float, typer.Option(metavar="PART", help="Points that failed calls may rise.")] = 0.01,
    latency: Annotated[float, typer.Option(metavar="PART", help="Part by which the mean latency may rise.")] = 0.25,
    saving: Annotated[float, typer.Option(metavar="PART", help="Part of the cost that must be saved.")] = 0.0,
    max_units: Annotated[int | None, typer.Option(help="Give up after this many units of both arms.")] = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Compare the arms and say what to do. It may be asked as often as you like: no look makes a verdict less sure."""
    from tuppence.evidence import experiments as room

    plan = room.Plan(
        alpha=alpha, quality=quality, errors=errors, latency=latency, saving=saving, max_units=max_units
    )  # fmt: skip
    names = [name] if name is not None else room.experiments_in(file)
    if not names:
        raise room.ExperimentError(f"{file} holds no experiment yet: let one see some traffic first")
    verdicts = [room.verdict(room.read_experiment(file, one), plan) for one in names]
    if format is TableOrJson.json:
        _print_json(verdicts)
    else:
        _print_tables(verdicts)


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="The file that ExperimentLog writes.", show_default=False)],
    source: Annotated[
        str,
        typer.Argument(help="A ledger (a file or postgresql://...), or a file of feedback.", show_default=False),
    ],
) -> None:
    """Take in what users said of calls. It may be done again and again: a call's latest score counts, once."""
    from tuppence.evidence.experiments import take_scores
    from tuppence.spend.ledger.places import shown_place

    terminal.out(f"{take_scores(file, source):,} scores taken from {shown_place(source)}\n")


def _print_json(verdicts: list[Verdict]) -> None:
    from tuppence.evidence.experiments.shown import as_json

    told = {"experiments": [as_json(one) for one in verdicts]}
    terminal.out(f"{json.dumps(told, indent=2, ensure_ascii=False)}\n")


def _print_tables(verdicts: list[Verdict]) -> None:
    from rich.text import Text

    from tuppence.evidence.experiments.shown import as_table, notes

    for one in verdicts:
        terminal.show(as_table(one), *(Text(note) for note in notes(one)), Text(one.words), Text(""))
