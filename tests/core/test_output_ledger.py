"""What the ledger says of past answers, and limits learned from it."""

from pathlib import Path
from typing import Any

import pytest

from tuppence.attempts import Attempt, Decision, Result
from tuppence.errors import LedgerError
from tuppence.prune.output import OutputLengths
from tuppence.spend import SqliteLedger
from tuppence.spend.output_lengths import PastOutput, past_outputs
from tuppence.usage import Usage


def attempt(outcome: str, output: int, at: float, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {
        "tier": "small", "model": "small-1", "cause": "draft", "outcome": outcome,
        "usage": Usage(input=10, output=output, reasoning=3), "pico_usd": 1, "status": "exact", "price_version": "v",
        "started_at": at, "latency_ms": 1.0,
    }  # fmt: skip
    return Attempt(**(fields | changes))


def written(folder: Path, *results: Result) -> Path:
    path = folder / "ledger.sqlite"
    ledger = SqliteLedger(path)
    for one in results:
        ledger.write(one)
    ledger.close()
    return path


def result(call_id: str, *attempts: Attempt, **tags: str) -> Result:
    return Result(call_id, None, list(attempts), Decision("optimise"), tags)


def test_answers_are_read_oldest_first_with_their_task(tmp_path: Path) -> None:
    """Drafts that were rejected are answers too; hits, failures and empty ones are not."""
    path = written(
        tmp_path,
        result("b", attempt("accepted", 30, 200.0), task="faq", endpoint="/ask"),
        result("a", attempt("rejected", 20, 100.0), attempt("accepted", 25, 101.0, model="large-1"), endpoint="/ask"),
        result("c", attempt("hit", 0, 300.0, cause="hit", usage=Usage())),
        result("d", attempt("failed", 0, 301.0, usage=Usage(input=5))),
        result("e", attempt("abandoned", 7, 302.0)),
        result("f", attempt("rejected", 64, 303.0, finish="length")),
    )
    assert list(past_outputs(path)) == [
        PastOutput("/ask", "small-1", 20, 3, None),
        PastOutput("/ask", "large-1", 25, 3, None),
        PastOutput("faq", "small-1", 30, 3, None),
        PastOutput("", "small-1", 7, 3, "abandoned"),
        PastOutput("", "small-1", 64, 3, "length"),
    ]
    assert [one.output_tokens for one in past_outputs(path, since=200.0)] == [30, 7, 64]


def test_a_limit_is_learned_from_them(tmp_path: Path) -> None:
    """Rows go in as they come out."""
    calls = [result(str(n), attempt("accepted", 100 + n * 37 % 50, float(n)), task="faq") for n in range(120)]
    lengths = OutputLengths()
    lengths.learn(past_outputs(written(tmp_path, *calls)))
    assert lengths.plan("faq", "small-1").max_tokens == 160


def test_what_is_no_ledger_is_named(tmp_path: Path) -> None:
    """Where it is first read."""
    with pytest.raises(LedgerError, match="there is no ledger"):
        list(past_outputs(tmp_path / "none.sqlite"))
