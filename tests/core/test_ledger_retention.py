"""Rolling old rows up changes no sum, cuts no call in two, and can be interrupted and repeated."""

import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.attempts import Attempt, Decision, Levers, Result
from tuppence.errors import LedgerError
from tuppence.spend.cells import Cell, cells
from tuppence.spend.ledger import SqliteLedger, reading
from tuppence.spend.ledger.retention import roll_up
from tuppence.spend.ledger.tables import DAY_SUMS, TOKEN_COLUMNS, attempts, days
from tuppence.usage import Usage

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def attempt(day: float, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {
        "tier": "small", "model": "m", "cause": "draft", "outcome": "accepted", "usage": Usage(input=7, output=3),
        "pico_usd": 5, "status": "exact", "price_version": "v", "started_at": (START + day * DAY).timestamp(),
        "latency_ms": 1.5,
    }  # fmt: skip
    return Attempt(**(fields | changes))


def call(call_id: str, *made: Attempt, again: bool = False, **tags: str) -> Result:
    return Result(call_id, None, list(made), Decision("optimise", again=again, policy_version="p", baseline="l"), tags)


def ledger_of(results: list[Result]) -> Path:
    path = Path(tempfile.mkdtemp()) / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        for result in results:
            ledger.write(result)
    return path


def left(path: Path) -> list[str]:
    with reading(path) as connection:
        return [row.call_id for row in connection.execute(attempts.select().order_by(attempts.c.id))]


def rolled(path: Path) -> list[dict[str, Any]]:
    with reading(path) as connection:
        return [dict(row) for row in connection.execute(days.select().order_by(days.c.id)).mappings()]


def test_a_day_becomes_a_row_for_each_combination_of_labels(tmp_path: Path) -> None:
    """All figures of two calls of one day, one with a rejected draft; the rows are gone, the younger ones are not."""
    levers = Levers(prune=1, output=2, batch=3, self_host=4)
    answer = {"tier": "large", "cause": "escalation", "pico_usd": 50, "baseline_pico": 60, "levers": levers}
    escalated = call("a", attempt(0.5, outcome="rejected"), attempt(0.5, **answer), user="ann", session="s")
    hit = call("b", attempt(0.6, tier="cache", cause="hit", outcome="hit", pico_usd=0, baseline_pico=40), user="ann")
    path = ledger_of([escalated, hit, call("c", attempt(3))])

    done = roll_up(path, before=START + 2.7 * DAY)

    assert (done.rows, done.days, left(path)) == (3, 1, ["c"])
    zero = dict.fromkeys((*DAY_SUMS, "calls"), 0) | {"attempts": 1, "latency_ms": 1.5, "input": 7, "output": 3}
    shared = {"day_us": int(START.timestamp()) * 1_000_000, "user": "ann", "mode": "optimise", "baseline": "l"}
    expected = {
        "cache": shared | zero | {"calls": 1, "compared": 1, "baseline_pico": 40, "outcome": "hit"},
        "large": shared | zero | {
            "pico_usd": 50, "compared": 1, "baseline_pico": 60, "prune_pico": 1, "output_pico": 2, "batch_pico": 3,
            "self_host_pico": 4, "answer_pico": 50, "compared_pico": 50,
        },
        "small": shared | zero | {"calls": 1, "pico_usd": 5, "compared_pico": 5, "outcome": "rejected"},
    }  # fmt: skip
    found = {row["tier"]: row for row in rolled(path)}
    for tier, figures in expected.items():
        assert {name: found[tier][name] for name in figures} == figures


def test_a_call_that_goes_on_later_stays_whole(tmp_path: Path) -> None:
    """Rows before midnight wait for the last of their call; each then counts in its own day."""
    over_midnight = call("night", attempt(0.99, outcome="failed"), attempt(1.01, baseline_pico=9))
    path = ledger_of([over_midnight, call("open", attempt(0.2)), call("open", attempt(5), again=True)])
    assert roll_up(path, before=START + DAY).rows == 0
    assert left(path) == ["night", "night", "open", "open"]
    assert roll_up(path, before=START + 2 * DAY).rows == 2
    assert left(path) == ["open", "open"]
    assert sorted(row["day_us"] // 86_400_000_000 - 20_513 for row in rolled(path)) == [0, 1]
    assert roll_up(path, before=START + 6 * DAY).rows == 2
    assert sum(row["further_tries"] for row in rolled(path)) == 1


def test_what_is_not_known_stays_unknown() -> None:
    """An attempt without a price is counted, and its call is compared with nothing."""
    unpriced = call("a", attempt(0, pico_usd=None, status="unpriced"), attempt(0, tier="large", baseline_pico=9))
    path = ledger_of([unpriced, call("b", attempt(0, would_pico=2)), call("c", attempt(0, outcome="failed"))])
    roll_up(path, before=START + DAY)
    sums = Counter[str]()
    for row in rolled(path):
        sums.update({name: row[name] for name in DAY_SUMS})
    assert (sums["unpriced"], sums["pico_usd"], sums["compared"], sums["compared_pico"]) == (1, 15, 0, 0)
    assert (sums["observed"], sums["would_pico"], sums["observed_pico"]) == (1, 2, 5)


outcomes = st.sampled_from(["accepted", "rejected", "failed", "hit", "abandoned", "consulted"])
causes = st.sampled_from(["draft", "retry", "escalation", "judge", "hit"])
amounts = st.none() | st.integers(0, 10**12)


@st.composite
def traffic(draw: st.DrawFn) -> list[Result]:
    results = []
    for k in range(draw(st.integers(1, 12))):
        made = [
            attempt(
                draw(st.floats(0, 4)), tier=draw(st.sampled_from(["small", "large"])), outcome=draw(outcomes),
                cause=draw(causes), pico_usd=draw(amounts), baseline_pico=draw(amounts), would_pico=draw(amounts),
                usage=Usage(input=draw(st.integers(0, 2**53)), output=draw(st.integers(0, 9))),
                levers=draw(st.none() | st.builds(Levers, st.integers(0, 99), st.integers(0, 99))),
                latency_ms=float(draw(st.integers(0, 99))),
            )
            for _ in range(draw(st.integers(1, 3)))
        ]  # fmt: skip
        call_id = f"c{draw(st.integers(0, 8))}" if draw(st.booleans()) else f"own{k}"
        tags = draw(st.dictionaries(st.sampled_from(["user", "task", "tenant"]), st.sampled_from("ab")))
        if draw(st.integers(0, 4)) == 0:
            # A model that was only watched: such a call stands alone.
            call_id, made = f"watched{k}", [replace(made[0], cause="observed")]
        again = any(result.call_id == call_id for result in results)
        results.append(call(call_id, *made, again=again, **tags))
    return results


@settings(max_examples=40)
@given(results=traffic(), cuts=st.lists(st.floats(0, 6), min_size=1, max_size=3))
def test_sums_before_are_sums_after(results: list[Result], cuts: list[float]) -> None:
    """However the ledger is pruned, in whatever order: each day and label comes to the same, savings included."""
    path = ledger_of(results)
    before = _cells(path)
    tokens = _tokens(path)
    for cut in cuts:
        roll_up(path, before=START + cut * DAY)
        assert _cells(path) == before
        assert _tokens(path) == tokens
        assert roll_up(path, before=START + cut * DAY).rows == 0


def _cells(path: Path) -> list[Cell]:
    return cells(path, by=("tier", "cause", "outcome", "user", "task"), every="day")


def _tokens(path: Path) -> Counter[str]:
    found = Counter[str]()
    with reading(path) as connection:
        for table in (attempts, days):
            for row in connection.execute(table.select()).mappings():
                found.update({name: row[name] for name in TOKEN_COLUMNS})
    return found


def test_a_day_that_cannot_be_done_is_left_as_it_was() -> None:
    """Sums beyond what a column holds: the message says how far it came, and no row is gone."""
    dear = [call(f"d{k}", attempt(1, pico_usd=2**62)) for k in range(3)]
    path = ledger_of([call("a", attempt(0)), *dear])
    with pytest.raises(LedgerError, match=r"cannot be pruned further .integer overflow.*: 1 rows are done"):
        roll_up(path, before=START + 2 * DAY)
    assert left(path) == ["d0", "d1", "d2"]
    assert len(rolled(path)) == 1


def test_a_busy_ledger_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuppence.spend.ledger.retention.PATIENCE_S", 0.01)
    path = ledger_of([call("a", attempt(0))])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=r"locked.*try again later"):
            roll_up(path, before=START + DAY)
        other.execute("COMMIT")
    assert roll_up(path, before=START + DAY).rows == 1
