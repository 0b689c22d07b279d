"""A batch lane for a test: a queue, a worker in a thread or a process of its own, and the ledger's rows."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai

from tuppence.batch import AnthropicBatches, BatchJobs, BatchStore, OpenAIBatches, Pace
from tuppence.batch.queue import Gathering, Lane, LaneQueue, LaneWorker, endpoint_of
from tuppence.spend import SqliteLedger
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts
from tuppence.testing import ProviderServer

AT_ONCE = Gathering(most=20, gather_s=0.2, takes_s=0.0)


class Lanes:
    """What a test needs of a lane, in one folder."""

    def __init__(self, folder: Path, server: ProviderServer) -> None:
        self._folder = folder
        self._server = server
        self.place = folder / "lane.sqlite"
        self.queue = LaneQueue(self.place)
        self.ledger = SqliteLedger(folder / "ledger.sqlite", window_s=0.01)

    def lane(self, **options: Any) -> Lane:
        return Lane(self.queue, **{"deadline_s": 60.0, "least_s": 0.0, "margin_s": 0.0, "look_s": 0.05, **options})

    def worker(self, *, lease_s: float = 30.0, when: Gathering = AT_ONCE) -> LaneWorker:
        store = BatchStore(self._folder / "jobs.sqlite")
        gpt = openai.OpenAI(base_url=self._server.base_url, api_key="test")
        claude = anthropic.Anthropic(base_url=self._server.anthropic_url, api_key="test")
        batches = ((gpt, OpenAIBatches(gpt)), (claude, AnthropicBatches(claude)))
        pace = Pace(first_s=0.01, most_s=0.05)
        jobs = [(endpoint_of(client), BatchJobs(store, one, pace=pace, grace_s=0.0)) for client, one in batches]
        return LaneWorker(self.queue, jobs, when=when, ledger=self.ledger, lease_s=lease_s, look_s=0.02)

    @contextmanager
    def working(self, **options: Any) -> Iterator[None]:
        """Have a worker at work in a thread."""
        stop = threading.Event()
        thread = threading.Thread(target=self.worker(**options).run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def process(self) -> subprocess.Popen[bytes]:
        """Start a worker in a process of its own, to be killed."""
        program = f"""
            import sys, threading
            from pathlib import Path
            import openai
            from tuppence.batch import BatchJobs, BatchStore, OpenAIBatches, Pace
            from tuppence.batch.queue import Gathering, LaneQueue, LaneWorker, endpoint_of

            folder = Path({str(self._folder)!r})
            client = openai.OpenAI(base_url={self._server.base_url!r}, api_key="test")
            store = BatchStore(folder / "jobs.sqlite")
            jobs = BatchJobs(store, OpenAIBatches(client), pace=Pace(0.01, 0.05), grace_s=0.0)
            when = Gathering(most=20, gather_s=0.2, takes_s=0.0)
            queue = LaneQueue(folder / "lane.sqlite")
            LaneWorker(queue, [(endpoint_of(client), jobs)], when=when, lease_s=0.5, look_s=0.02).run(threading.Event())
        """
        return subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])

    def rows(self) -> list[dict[str, Any]]:
        """Read the ledger: its rows, in the order of writing."""
        self.ledger.flush()
        with reading(self._folder / "ledger.sqlite") as connection:
            return [dict(row) for row in connection.execute(attempts.select().order_by(attempts.c.id)).mappings()]

    def fates(self) -> dict[str, int]:
        """Count what became of requests."""
        found: dict[str, int] = {}
        for (_, fate), count in self.queue.standing().items():
            found[fate] = found.get(fate, 0) + count
        return found


def until(met: Callable[[], Any]) -> None:
    """Wait for what others do; a test that hangs here has failed."""
    deadline = time.monotonic() + 300
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)
