"""Twenty questions that can wait, through a model's batch lane, before a scripted provider: no key, no network."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import openai
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, spend
from tuppence.batch import BatchJobs, BatchStore, OpenAIBatches, Pace
from tuppence.batch.queue import Gathering, Lane, LaneWorker, endpoint_of
from tuppence.testing import ProviderServer

QUESTIONS = [f"Which team is ticket {number} for?" for number in range(20)]


def main() -> None:
    with ProviderServer() as provider, tempfile.TemporaryDirectory() as folder:
        lane = Lane(Path(folder) / "lane.sqlite", look_s=0.1)
        model = ChatOpenAI(base_url=provider.base_url, api_key="not-a-key", model="gpt-4o-mini")
        llm = ChatTuppence(tiers=[model], lane=lane, ledger=None)
        with spend() as at_once:
            llm.batch(QUESTIONS)
        with spend() as waited, working(lane, provider, Path(folder)):
            answers = llm.batch(QUESTIONS, lane="batch", deadline_s=3600)
        print(f"first and last: {answers[0].text!r}, {answers[-1].text!r}")
        print(f"which way: {answers[0].response_metadata['tuppence']['lane']}")
        print(f"at once ${at_once.usd:f}, by batch ${waited.usd:f}: {share(waited.usd, at_once.usd)} of the price")
        late = llm.invoke("And this one, in a second?", lane="batch", deadline_s=1)
        print(f"nobody works any more: {late.response_metadata['tuppence']['lane']}")


@contextmanager
def working(lane: Lane, provider: ProviderServer, folder: Path) -> Iterator[None]:
    """Have a worker at work; in earnest it is a program of its own, `tuppence batch work`."""
    client = openai.OpenAI(base_url=provider.base_url, api_key="not-a-key")
    jobs = BatchJobs(BatchStore(folder / "jobs.sqlite"), OpenAIBatches(client), pace=Pace(first_s=0.01, most_s=0.1))
    worker = LaneWorker(lane.queue, [(endpoint_of(client), jobs)], when=Gathering(gather_s=0.5), look_s=0.1)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def share(part: Decimal, whole: Decimal) -> str:
    return f"{part / whole:.0%}"


if __name__ == "__main__":
    main()
