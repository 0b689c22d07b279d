"""Calls of one small model, written down as results."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from tuppence.attempts import Attempt, Decision, Result
from tuppence.spend import SqliteLedger
from tuppence.usage import Usage


def small_call(call_id: str, at: datetime, usage: Usage, *, dearer: int = 1, **tags: str) -> Result:
    """One call, answered at once by the one tier there is, at so many times its price."""
    cost = (usage.input * 150_000 + usage.output * 600_000) * dearer
    attempt = Attempt(
        "small", "gpt-4o-mini", "draft", "accepted", usage, cost, "exact", "v", at.timestamp(), 5.0,
        baseline_pico=cost,
    )  # fmt: skip
    return Result(call_id, None, [attempt], Decision("optimise", baseline="small"), tags)


def written(path: Path, results: Iterable[Result]) -> Path:
    """Write a ledger of these, and return its place."""
    with closing(SqliteLedger(path)) as ledger:
        for result in results:
            ledger.write(result)
    return path
