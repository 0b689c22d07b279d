"""Rows of a ledger as plain dicts, random and hand-made, and the simplest reading of them to hold SQL against."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, NullPool, create_engine, insert, null

from tuppence.spend.ledger.schema import bring_up
from tuppence.spend.ledger.sums_kept import follow
from tuppence.spend.ledger.tables import LEVER_COLUMNS, TOKEN_COLUMNS, attempts, days

Row = dict[str, Any]
Store = Callable[..., str]
"""Makes a ledger of these rows, and of these rolled-up days, alone; returns its place."""
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
START_US = 1_772_409_600_000_000
"""2026-03-02, 0 h, a Monday."""
INT64 = 2**63 - 1

manyfold = settings(
    max_examples=40, deadline=None,
    # Each example has a ledger of its own, and each suite runs over two databases.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)  # fmt: skip


def row(call_id: str, outcome: str = "accepted", pico: int | None = 10, **changes: Any) -> Row:
    """One attempt; what is not named is what plain calls have."""
    made: Row = {
        "call_id": call_id, "n": 1, "again": 0, "started_us": START_US, "latency_ms": 1.0, "tier": "small",
        "model": "small-1", "cause": "hit" if outcome == "hit" else "draft", "outcome": outcome,
        "status": "unpriced" if pico is None else "exact", "pico_usd": pico, "price_version": "v",
        **dict.fromkeys(TOKEN_COLUMNS, 0), "input": 100, "output": 10, "processing": "standard", "baseline_pico": None,
        "would_pico": None,
        **dict.fromkeys(LEVER_COLUMNS), "mode": "optimise", "policy_version": "p", "baseline": "large",
        **dict.fromkeys(("user", "endpoint", "task", "tenant", "session", "workflow", "score")),
        "tags": null(), "extra": null(),
    }  # fmt: skip
    return made | changes


def numbered(rows: Iterable[Row]) -> list[Row]:
    """Put rows in the order of writing, and let none be taken for another's copy."""
    return [one | {"id": number, "latency_ms": one["latency_ms"] + number} for number, one in enumerate(rows, 1)]


def fill(engine: Engine, rows: Sequence[Row], rolled_up: Sequence[Row] = ()) -> None:
    """Write rows as they are, past the writer, which would mend some of them; the sums of rows follow, sometimes all
    the way, sometimes a part of it.
    """
    with engine.begin() as connection:
        for table, ones in ((attempts, rows), (days, rolled_up)):
            if ones:
                connection.execute(insert(table), list(ones))
        some = sum(one["n"] for one in rows) % (len(rows) + 1)
        if some:
            follow(connection, newest=len(rows), rows=some)


_money = st.none() | st.integers(0, 1000) | st.sampled_from([INT64, INT64 - 1, 2**32, 2**32 - 1, 2**61])
_nothing = st.just(0)
_outcomes = st.sampled_from(["accepted", "hit", "rejected", "failed", "abandoned", "consulted", "declined"])
_causes = st.sampled_from(["draft", "retry", "validation_retry", "escalation", "judge"])


@st.composite
def random_rows(
    draw: st.DrawFn, *, money: st.SearchStrategy[int | None] = _money, put: st.SearchStrategy[int] = _nothing
) -> list[Row]:
    """Calls of all kinds in any order of writing: broken off, tried again, judged later, watched, unpriced, torn.

    `put` are tokens put into the provider's prompt cache.
    """
    results = []
    for number in range(draw(st.integers(0, 8))):
        call = f"c{number}"
        for again in range(draw(st.sampled_from([1, 1, 1, 2]))):
            results.append(_tried(draw, call, again, money, put))
    order = draw(st.permutations(results))
    flat = [one for result in order for one in result]
    if draw(st.booleans()):
        # Two programs that write at the same time.
        flat = draw(st.permutations(flat))
    return numbered(flat)


def _tried(
    draw: st.DrawFn, call: str, again: int, money: st.SearchStrategy[int | None], put: st.SearchStrategy[int]
) -> list[Row]:
    user = draw(st.sampled_from([None, "ann", "bob"]))
    if draw(st.integers(0, 9)) == 0:
        return [row(f"{call}-watched-{again}", "observed", draw(money), cause="observed", mode=None, user=user)]
    start = START_US + draw(st.integers(0, 50)) * HOUR_US
    size = draw(st.sampled_from([1, 1, 2, 3]))
    return [
        row(
            call, draw(_outcomes), draw(money), n=n, again=again, cause=draw(_causes), user=user,
            tier=draw(st.sampled_from(["small", "large"])), started_us=start + (n - 1) * draw(st.integers(0, HOUR_US)),
            baseline_pico=draw(money), would_pico=draw(money), input=draw(st.sampled_from([0, 7, 2**53])),
            cache_read=draw(st.sampled_from([0, 3])), cache_write_5m=draw(put), cache_write_1h=draw(put),
            processing=draw(st.sampled_from(["standard", "batch", "flex", "priority", None])),
            mode=draw(st.sampled_from(["optimise", "judged"])),
            **{name: draw(st.none() | st.integers(-5, 1000)) for name in LEVER_COLUMNS},
        )
        for n in range(1, size + 1)
    ]  # fmt: skip


def answered_by(rows: Iterable[Row]) -> Mapping[str, int]:
    """Return the calls that can be compared, each with the id of the row that answered it."""
    calls: dict[str, list[Row]] = defaultdict(list)
    for one in rows:
        calls[one["call_id"]].append(one)
    found = {}
    for call_id, ones in calls.items():
        answers = [one for one in ones if one["outcome"] in ("accepted", "hit")]
        priced = all(one["pico_usd"] is not None for one in ones)
        if priced and answers and max(answers, key=_id)["baseline_pico"] is not None and ones[0]["cause"] != "observed":
            found[call_id] = _id(max(answers, key=_id))
    return found


def _id(one: Row) -> int:
    return int(one["id"])


def sqlite_store(folder: Path) -> Store:
    """Make each ledger a file of its own in this folder."""
    counter, empty = count(), folder / "empty.sqlite"
    with sqlite_engine(empty).connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        bring_up(connection, 0)
        connection.commit()

    def store(rows: Sequence[Row], rolled_up: Sequence[Row] = ()) -> str:
        path = folder / f"{next(counter)}.sqlite"
        shutil.copyfile(empty, path)
        fill(sqlite_engine(path), rows, rolled_up)
        return str(path)

    return store


def sqlite_engine(path: Path) -> Engine:
    return create_engine(f"sqlite:///{path}", poolclass=NullPool)
