"""`tuppence batch`: files of requests as jobs at the providers' batch prices, and how they stand.

All that is known stands in the store: any command may be interrupted, killed and given again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import batch_work, terminal
from tuppence.cli.batch_provider import Provider, batches_of, client_of
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from tuppence.batch import BatchJobs, BatchStore, JobStatus

app = typer.Typer(no_args_is_help=True, help="Jobs that may wait, at batch prices.")

Stored = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where jobs are kept; by default this user's own place.")
]
Ledgered = Annotated[
    str | None, typer.Option(metavar="PLACE", help="A ledger's file or postgresql:// address; by default this user's.")
]
Configured = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A configuration whose budgets apply.")
]
Job = Annotated[str | None, typer.Option(metavar="ID", help="Which job; by default the newest.")]
Spelt = Annotated[TableOrJson, typer.Option(help="How to spell it.")]


@app.callback()
def batch() -> None:
    """Jobs that may wait, at batch prices."""


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Requests, one JSON object a line.")],
    model: Annotated[str | None, typer.Option(help="For lines that name none.")] = None,
    url: Annotated[str | None, typer.Option(help="For lines that do not say, such as /v1/responses.")] = None,
    provider: Annotated[Provider | None, typer.Option(help="Whose; by default the model's name says.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the job; by default its content: the same is sent once.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="For the ledger and budgets.")] = None,
    store: Stored = None, ledger: Ledgered = None, config: Configured = None,
) -> None:  # fmt: skip
    """Take a file of requests in and send it; then `tuppence batch fetch` waits for the answers."""
    from tuppence.batch.files import name_of, read_lines

    whose = provider or (Provider.anthropic if (model or "").startswith("claude") else Provider.openai)
    address = url or ("/v1/messages" if whose is Provider.anthropic else None)
    jobs = _jobs(_store(store), whose, ledger, config)
    job = jobs.submit(
        read_lines(file, model=model, url=address), name=name or name_of(file, model, url), tags=_tags(tag or [])
    )
    status = jobs.advance(job.id)
    terminal.out(f"job {job.id}: {job.lines:,} lines, {job.requests:,} of them different, at most {_worst(status)}\n")
    if status.blocked or status.note:
        terminal.complain(status.blocked or status.note)


@app.command()
def status(store: Stored = None, format: Spelt = TableOrJson.table) -> None:  # noqa: A002
    """Show how all jobs stand, as far as the store knows; asks no provider."""
    from tuppence.batch.reading import statuses

    found = statuses(_store(store, must_exist=True))
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps([_as_json(one) for one in found], indent=2)}\n")
    elif found:
        terminal.show(_table(found))
    else:
        terminal.complain("no job was submitted yet: `tuppence batch submit FILE`")


@app.command()
def fetch(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Where the answers go, in the order of the lines.")],
    job: Job = None, store: Stored = None, ledger: Ledgered = None, config: Configured = None,
) -> None:  # fmt: skip
    """Wait for a job and write its answers; on another machine too, once the store's file is there."""
    from tuppence.batch.files import write_answers

    place = _store(store, must_exist=True)
    chosen = _chosen(place, job)
    jobs = _jobs(place, Provider(chosen["provider"]), ledger, config)
    with _progress() as told:
        ended = jobs.wait(chosen["id"], on_progress=told)
    written = write_answers(output, jobs.results(ended.id))
    failed = f", {ended.failed:,} requests without an answer" if ended.failed else ""
    terminal.out(f"{output}: {written:,} lines for ${ended.usd.normalize():f}{failed}\n")


@app.command()
def cancel(job: Job = None, store: Stored = None, ledger: Ledgered = None, config: Configured = None) -> None:
    """End a job early; `tuppence batch fetch` then brings what was answered, which is billed."""
    place = _store(store, must_exist=True)
    chosen = _chosen(place, job)
    _jobs(place, Provider(chosen["provider"]), ledger, config).cancel(chosen["id"])
    terminal.out(f"job {chosen['id']} is being cancelled: what is answered by then can be fetched\n")


app.command("work")(batch_work.work)


# -- what the options name


def _store(path: Path | None, *, must_exist: bool = False) -> BatchStore:
    from platformdirs import user_data_path

    from tuppence.batch import BatchStore

    place = path or user_data_path("tuppence") / "batches.sqlite"
    if must_exist and not place.exists():
        raise ConfigError(f"there is no store of jobs {place}: submit one first, or name the file by --store")
    return BatchStore(place)


def _chosen(store: BatchStore, job: str | None) -> Any:
    """Return the row of the job that is meant."""
    from tuppence.batch.reading import found, statuses

    if job is not None:
        return found(store, job)
    newest = statuses(store)
    if not newest:
        raise ConfigError(f"{store.path} holds no job: submit one first")
    return found(store, newest[0].id)


def _jobs(store: BatchStore, provider: Provider, ledger: str | None, config: Path | None) -> BatchJobs:
    from tuppence.assembly import open_ledger
    from tuppence.batch import BatchJobs
    from tuppence.config import load_config

    runner = batches_of(provider, client_of(provider))
    budgets = None if config is None else load_config(config).budgets()
    return BatchJobs(store, runner, ledger=open_ledger(True if ledger is None else ledger), budgets=budgets)


def _tags(given: list[str]) -> dict[str, str]:
    for one in given:
        if "=" not in one:
            raise ConfigError(f"--tag is {one!r}: write it as NAME=VALUE, such as --tag tenant=acme")
    return dict(one.split("=", 1) for one in given)


# -- how it is shown


@contextmanager
def _progress() -> Iterator[Callable[[JobStatus], None]]:
    """Show a bar with what was spent and how long it may take yet, where standard error is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("answered", total=None, told="")

        def told(status: JobStatus) -> None:
            left = "" if status.eta_s is None else f", {_duration(status.eta_s)} to go"
            said = f"${status.usd.normalize():f}{left}{'; ' + status.note if status.note else ''}"
            progress.update(bar, total=status.requests, completed=status.ended_there, told=said)

        yield told


def _table(found: list[JobStatus]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for title in ("job", "name", "state", "requests", "answered", "failed", "spent", "at most", "note"):
        table.add_column(title, justify="right" if title in ("requests", "answered", "failed", "spent") else "left")
    for one in found:
        table.add_row(
            one.id, one.name, one.state, f"{one.requests:,}", f"{one.answered:,}", f"{one.failed:,}",
            f"${one.usd.normalize():f}", _worst(one), one.blocked or one.note,
        )  # fmt: skip
    return table


def _as_json(status: JobStatus) -> dict[str, Any]:
    return {
        "id": status.id, "name": status.name, "state": status.state, "lines": status.lines,
        "requests": status.requests, "answered": status.answered, "failed": status.failed,
        "ended_there": status.ended_there, "batches": status.parts, "in_flight": status.in_flight,
        "usd": f"{status.usd:f}", "worst_usd": None if status.worst_usd is None else f"{status.worst_usd:f}",
        "eta_s": status.eta_s, "note": status.note, "blocked": status.blocked,
    }  # fmt: skip


def _worst(status: JobStatus) -> str:
    return "a price that is not known" if status.worst_usd is None else f"${status.worst_usd.normalize():f}"


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {int(seconds % 60)} s"
