"""The client that is killed: `python client.py FOLDER BASE_URL REQUESTS [DIE]`. Says where it is, and its peak memory.

`DIE` is where it ends itself by SIGKILL: after `upload` or `create`, before it could store what came of it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai

from tuppence import Budget, Budgets, SqliteLedger
from tuppence.batch import BatchJobs, BatchStore, JobStatus, Line, OpenAIBatches, Pace
from tuppence.batch.files import write_answers

MODEL = "gpt-4o-mini"


def lines(count: int) -> Iterator[Line]:
    """Make requests that differ, each with its number in its text."""
    for number in range(count):
        asked = [{"role": "user", "content": f"In one word, what is the colour of item {number}"}]
        yield Line(f"item-{number}", {"model": MODEL, "messages": asked, "max_tokens": 20})


def main(folder: Path, base_url: str, count: int, die_after: str) -> None:
    provider = OpenAIBatches(openai.OpenAI(base_url=base_url, api_key="k"))
    if die_after:
        setattr(provider, die_after, _dying(getattr(provider, die_after)))
    ledger = SqliteLedger(folder / "ledger.sqlite")
    budgets = Budgets(Budget(usd="100", per="month"), store=folder / "budgets.sqlite")
    jobs = BatchJobs(
        BatchStore(folder / "jobs.sqlite"), provider, ledger=ledger, budgets=budgets, pace=Pace(0.1, 1.0), grace_s=1.0
    )
    job = jobs.submit(lines(count), name="the benchmark")
    _say("submitted", 0)
    status = jobs.wait(job.id, on_progress=_tell)
    write_answers(folder / "out.jsonl", jobs.results(job.id))
    ledger.close()
    budgets.close()
    _say("done", status.answered)


def _tell(status: JobStatus) -> None:
    _say("advanced", status.ended_there)


def _say(what: str, done: int) -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"at": what, "done": done, "peak_mb": peak_mb}), flush=True)


def _dying(act: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*given: Any) -> Any:
        act(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
