"""A program that drives one job and dies on the way: `python batch_process.py FOLDER BASE_URL PROVIDER`.

Each try is a forked child that is ended by SIGKILL at the next of all boundaries: after each transaction of the store,
and after each act at the provider, before its outcome is stored. The job is then finished by a child that lives, with
stores of its own opened anew. Prints one JSON line a boundary, and before them one of a job that nobody killed.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anthropic
import openai

from tuppence import Budget, Budgets, SqliteLedger
from tuppence.batch import AnthropicBatches, BatchJobs, BatchProvider, BatchStore, Line, OpenAIBatches, Pace

QUICK = Pace(0.01, 0.02)
ACTS = ("upload", "create")


class Doom:
    """Counts boundaries down and ends the process at the last."""

    def __init__(self, left: int) -> None:
        self.left = left

    def passes(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DoomedStore(BatchStore):
    """Dies after transactions."""

    def __init__(self, path: Path, doom: Doom) -> None:
        self.doom = doom
        super().__init__(path)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        with super().writing() as rows:
            yield rows
        self.doom.passes()


class DoomedProvider:
    """Dies after acts whose outcome nobody has stored."""

    def __init__(self, provider: BatchProvider, doom: Doom) -> None:
        self._provider = provider
        self._doom = doom

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        return self._dying(found) if name in ACTS else found

    def _dying(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*given: Any) -> Any:
            outcome = act(*given)
            self._doom.passes()
            return outcome

        return dying


def provider_at(base_url: str, kind: str) -> BatchProvider:
    # Nothing is encrypted on the way to this machine, and reading certificates takes longer than all else.
    if kind == "anthropic":
        http = anthropic.DefaultHttpxClient(verify=False)
        address = base_url.removesuffix("/v1")
        return AnthropicBatches(anthropic.Anthropic(base_url=address, api_key="k", http_client=http))
    return OpenAIBatches(
        openai.OpenAI(base_url=base_url, api_key="k", http_client=openai.DefaultHttpxClient(verify=False))
    )


def lines_of(kind: str, boundary: int) -> list[Line]:
    """Four lines, two of them equal; for OpenAI two more, that fail and expire at first, as the server is told."""
    asked = [f"question {boundary} {n}" for n in (0, 1, 2, 1)]
    if kind == "openai":
        asked += [f"fail {boundary}", f"expire {boundary}"]
    return [
        Line(
            f"line {n}",
            {"model": "claude-haiku-4-5" if kind == "anthropic" else "gpt-4o-mini", "max_tokens": 50,
             "messages": [{"role": "user", "content": text}]},
            "/v1/messages" if kind == "anthropic" else "/v1/chat/completions",
        )
        for n, text in enumerate(asked)
    ]  # fmt: skip


def drive(folder: Path, base_url: str, kind: str, boundary: int, doom: Doom) -> dict[str, Any]:
    store = DoomedStore(folder / "jobs.sqlite", doom)
    provider: Any = DoomedProvider(provider_at(base_url, kind), doom)
    ledger = SqliteLedger(folder / "ledger.sqlite")
    budgets = Budgets(Budget(usd="5", per="month"), store=folder / "budgets.sqlite")
    jobs = BatchJobs(store, provider, ledger=ledger, budgets=budgets, pace=QUICK, grace_s=0.0)
    job = jobs.submit(lines_of(kind, boundary), name="the job")
    jobs.wait(job.id)
    answers = [(one.custom_id, one.body is not None) for one in jobs.results(job.id)]
    (standing,) = budgets.standing()
    spent, held = str(standing.spent_usd), str(standing.held_usd)
    ledger.close()
    budgets.close()
    return {"boundary": boundary, "answers": answers, "spent": spent, "held": held}


def in_child(*given: Any) -> tuple[int, str]:
    """Drive a job in a forked child; return how it ended and what it had to say."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writer, json.dumps(drive(*given)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    return os.waitpid(child, 0)[1], said


def main(folder: Path, base_url: str, kind: str) -> None:
    (folder / "0").mkdir()
    # Here, so that all that is loaded when first used is there for every child.
    print(json.dumps({**drive(folder / "0", base_url, kind, 0, Doom(0)), "killed": False}), flush=True)
    for boundary in count(1):
        here = folder / str(boundary)
        here.mkdir()
        ended, said = in_child(here, base_url, kind, boundary, Doom(boundary))
        if os.WIFEXITED(ended):
            # No boundary is left: this one lived.
            print(json.dumps({**json.loads(said), "killed": False}), flush=True)
            return
        assert os.WTERMSIG(ended) == signal.SIGKILL, ended
        ended, said = in_child(here, base_url, kind, boundary, Doom(0))
        assert ended == 0, f"the job killed at boundary {boundary} could not be finished"
        print(json.dumps({**json.loads(said), "killed": True}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
