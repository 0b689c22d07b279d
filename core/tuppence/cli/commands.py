"""The program `tuppence` and how it ends: errors in one line, Ctrl-C quietly, a closed pipe without a word."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tuppence.cli import (
    advise,
    alerts,
    batch,
    bench_models,
    budget,
    cache,
    calibrate,
    digest,
    distill_train,
    estimate,
    experiment,
    export,
    forecast,
    judge,
    ledger,
    prices,
    prompt,
    replay,
    report,
    selfhost,
    terminal,
)
from tuppence.errors import TuppenceError

# What shells report for a program that a signal ended: 128 + SIGINT, 128 + SIGPIPE.
_INTERRUPTED = 130
_PIPE_CLOSED = 141


class Commands(TyperGroup):
    """Runs one command and turns what it raises into an ending that a shell understands."""

    def invoke(self, ctx: Any) -> Any:
        try:
            done = super().invoke(ctx)
            # Here and not at the interpreter's exit, where a closed pipe could no longer be told.
            sys.stdout.flush()
        except TuppenceError as error:
            terminal.complain(str(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            terminal.complain("interrupted")
            raise typer.Exit(_INTERRUPTED) from error
        except BrokenPipeError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_PIPE_CLOSED) from error
        return done


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("report")(report.report)
app.command("prices")(prices.prices)
app.command("estimate")(estimate.estimate)
app.command("forecast")(forecast.forecast)
app.command("alerts")(alerts.alerts)
app.command("digest")(digest.digest)
app.command("advise")(advise.advise)
app.command("calibrate")(calibrate.calibrate)
app.command("replay")(replay.replay)
app.command("bench-models")(bench_models.bench_models)
app.add_typer(batch.app, name="batch")
app.add_typer(budget.app, name="budget")
app.add_typer(cache.app, name="cache")
app.add_typer(distill_train.app, name="distill")
app.add_typer(judge.app, name="judge")
app.add_typer(ledger.app, name="ledger")
app.add_typer(experiment.app, name="experiment")
app.add_typer(prompt.app, name="prompt")
app.add_typer(export.app, name="export")
app.add_typer(selfhost.app, name="selfhost")


def _say_version(asked: bool) -> None:
    if asked:
        terminal.out(f"tuppence {_installed()}\n")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What LLM calls cost, and what they would cost otherwise."""


@app.command("demo")
def demo(
    docs: Annotated[
        Path | None,
        typer.Option("--docs", help="Ask about the documents in this folder.", exists=True, file_okay=False),
    ] = None,
) -> None:
    """Watch a real small model on this machine answer: no key, no network."""
    importlib.import_module("tuppence.demo").run(docs=docs)


def _installed() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tuppence")
    except PackageNotFoundError:
        return "(not installed)"
