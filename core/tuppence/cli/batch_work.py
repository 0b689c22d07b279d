"""`tuppence batch work`: make batches of the live requests that wait in a queue, until stopped."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.batch_provider import Provider, batches_of, client_of

if TYPE_CHECKING:
    from tuppence.batch import BatchJobs
    from tuppence.spend import Ledger


def work(
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's file, or its postgresql:// address.")],
    provider: Annotated[list[Provider], typer.Option(help="Whose batches; keys come from the environment.")],
    store: Annotated[Path, typer.Option(metavar="FILE", help="Where this worker's jobs are kept.")],
    ledger: Annotated[
        str | None, typer.Option(metavar="PLACE", help="For answers whose callers have gone; by default this user's.")
    ] = None,
    most: Annotated[int, typer.Option(metavar="N", help="Make a batch at the latest of so many.", min=1)] = 50_000,
    gather: Annotated[float, typer.Option(metavar="SECONDS", help="And when one has waited so long.", min=0)] = 60.0,
    takes: Annotated[
        float, typer.Option(metavar="SECONDS", help="And so long before the nearest deadline.", min=0)
    ] = 3600.0,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="Stop when nothing waits any more.")] = False,
) -> None:
    """Send what waits in a queue as batches, and hand the answers back; several may work on one queue."""
    from tuppence.assembly import open_ledger
    from tuppence.batch.queue import Gathering, LaneQueue, LaneWorker

    logging.basicConfig(format="tuppence: %(message)s", level=logging.WARNING)
    opened: Ledger | None = open_ledger(True if ledger is None else ledger)
    waiting = LaneQueue(queue)
    jobs = [_jobs(one, store) for one in provider]
    worker = LaneWorker(waiting, jobs, when=Gathering(most, gather, takes), ledger=opened)
    terminal.complain(
        f"works on {waiting.name} for {', '.join(endpoint for endpoint, _ in jobs)}; Ctrl-C stops, and loses nothing"
    )
    with _stopped_by_signals() as stop:
        worker.run(stop, until_empty=until_empty)
    if opened is not None:
        opened.flush()


def _jobs(provider: Provider, store: Path) -> tuple[str, BatchJobs]:
    """Open the jobs of a provider, and name the endpoint whose requests they take."""
    from tuppence.batch import BatchJobs, BatchStore
    from tuppence.batch.queue import endpoint_of

    client = client_of(provider)
    return endpoint_of(client), BatchJobs(BatchStore(store), batches_of(provider, client))


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or a supervisor's SIGTERM sets, so that a step is ended before the program is."""
    stop = threading.Event()
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
