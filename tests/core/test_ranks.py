"""Ranks that are looked for with the help of a sample are those of a full sort, however the sample falls out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from tuppence.spend import ranks
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.ranks import Rank, ranked

from .ledger_rows import Store, manyfold, row, sqlite_store

SHARES = (Rank(0.5), Rank(0.5, above=True), Rank(0.95))
ROWS = select(attempts.c.tier.label("of"), attempts.c.latency_ms.label("ms"))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Ledgers in which a sample is drawn of two hundred rows, as it is of a million otherwise."""
    monkeypatch.setattr(ranks, "SAMPLE", 40)
    monkeypatch.setattr(ranks, "_LEAST", 8)
    return sqlite_store(tmp_path)


def place_of(store: Store, figures: Sequence[float], tiers: Sequence[str]) -> str:
    return store(
        [row(f"c{n}", id=n, latency_ms=ms, tier=tiers[n % len(tiers)], started_us=n) for n, ms in enumerate(figures, 1)]
    )


def sorted_out(figures: Sequence[float], tiers: Sequence[str]) -> dict[str, tuple[float, ...]]:
    groups: dict[str, list[float]] = {}
    for n, ms in enumerate(figures, 1):
        groups.setdefault(tiers[n % len(tiers)], []).append(ms)
    return {of: _ranks_of(sorted(some)) for of, some in groups.items()}


def _ranks_of(some: list[float]) -> tuple[float, ...]:
    half = len(some) / 2
    return some[math.ceil(half) - 1], some[math.floor(half)], some[math.ceil(0.95 * len(some)) - 1]


@manyfold
@given(
    figures=st.lists(st.integers(0, 30).map(float) | st.floats(0, 1e6), min_size=1, max_size=300),
    tiers=st.sampled_from([("a",), ("a", "b"), ("a", "a", "a", "a", "a", "b")]),
)
def test_they_are_those_of_a_sort(store: Store, figures: list[float], tiers: tuple[str, ...]) -> None:
    with reading(place_of(store, figures, tiers)) as connection:
        assert ranked(connection, ROWS, SHARES) == sorted_out(figures, tiers)


def test_a_sample_that_saw_only_one_side_is_made_good(store: Store) -> None:
    """Every fifth row, which is those that are looked at, took no time."""
    figures = [0.0 if n % 5 == 0 else 100.0 + n for n in range(201)]
    with reading(place_of(store, figures, ("a",))) as connection:
        assert ranked(connection, ROWS, SHARES) == sorted_out(figures, ("a",))


def test_few_figures_are_handed_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what a sample is for: of ten thousand rows in no order, a part comes back."""
    monkeypatch.setattr(ranks, "SAMPLE", 1_000)
    figures = [float(n * 7919 % 10_007) for n in range(10_000)]
    with reading(place_of(store, figures, ("a",))) as connection:
        asked: list[str] = []
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        assert ranked(connection, ROWS, (Rank(0.5),)) == {"a": (sorted(figures)[4_999],)}
        # The ends of the ledger, the sample, the count, and what lies between: no second look at everything.
        assert len(asked) == 5


def test_nothing_has_no_ranks(store: Store) -> None:
    with reading(store([])) as connection:
        assert ranked(connection, ROWS, SHARES) == {}
