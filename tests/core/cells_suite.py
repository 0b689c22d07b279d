"""What cells promise of every ledger, whichever database it lies in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import LedgerError
from tuppence.spend.cells import KEYS, Cell, cells

from .ledger_rows import DAY_US, HOUR_US, START_US, Row, Store, answered_by, manyfold, numbered, random_rows, row

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def plainly(rows: list[Row], by: tuple[str, ...], width: int) -> list[Cell]:
    """Add rows up one by one."""
    found: dict[tuple[Any, ...], Cell] = {}
    answers = answered_by(rows)
    for one in rows:
        start, key = one["started_us"] // width * width, tuple(one[name] for name in by)
        cell = found.setdefault((start, key), Cell(start, key))
        cell.calls += one["n"] == 1 and one["again"] == 0
        cell.pico_usd += one["pico_usd"] or 0
        cell.unpriced += one["pico_usd"] is None
        tried_again = one["n"] == 1 and one["again"] and one["cause"] != "judge"
        cell.retries += one["cause"] in ("retry", "validation_retry") or tried_again
        if one["outcome"] == "hit":
            cell.hits += 1
        else:
            cell.attempts += 1
            cell.failures += one["outcome"] == "failed"
            fresh = one["input"] + one["cache_write_5m"] + one["cache_write_1h"]
            cell.input_tokens += fresh + one["cache_read"]
            cell.cached_tokens += one["cache_read"]
            cell.cache_write_5m += one["cache_write_5m"]
            cell.cache_write_1h += one["cache_write_1h"]
            cell.output_tokens += one["output"]
            if one["processing"] in ("batch", "flex"):
                cell.discounted_fresh += fresh
                cell.discounted_cached += one["cache_read"]
                cell.discounted_output += one["output"]
            cell.latency_ms += one["latency_ms"]
        if one["call_id"] in answers:
            cell.compared_pico += one["pico_usd"]
        if one["id"] in answers.values():
            cell.compared += 1
            cell.baseline_pico += one["baseline_pico"]
    return sorted(found.values(), key=lambda cell: (cell.start_us, tuple(value or "" for value in cell.key)))


into_the_cache = st.sampled_from([0, 5, 11])


class CellsSuite:
    """Inherit it, and give it a fixture `store`."""

    @manyfold
    @given(
        rows=random_rows(put=into_the_cache),
        by=st.sampled_from([(), ("tier",), ("user", "cause"), ("outcome", "mode")]),
    )
    def test_cells_are_what_adding_row_by_row_gives(self, store: Store, rows: list[Row], by: tuple[str, ...]) -> None:
        """Calls torn apart, tried again, judged, watched and unpriced among them, and sums far beyond int64."""
        place = store(rows)
        assert cells(place, by=by) == plainly(rows, by, HOUR_US)
        assert cells(place, by=by, every="day") == plainly(rows, by, DAY_US)

    @manyfold
    @given(rows=random_rows(put=into_the_cache), start=st.integers(0, 50), hours=st.integers(0, 30))
    def test_a_span_of_time_and_a_tag_give_what_the_ledger_of_these_rows_gives(
        self, store: Store, rows: list[Row], start: int, hours: int
    ) -> None:
        since = MONDAY + timedelta(hours=start)
        until = since + timedelta(hours=hours)
        first, last = START_US + start * HOUR_US, START_US + (start + hours) * HOUR_US
        chosen = [one for one in rows if first <= one["started_us"] < last]
        place = store(rows)
        assert cells(place, since=since, until=until) == plainly(chosen, ("tier",), HOUR_US)
        of_ann = [one for one in rows if one["user"] == "ann"]
        assert cells(place, where={"user": "ann"}) == plainly(of_ann, ("tier",), HOUR_US)

    def test_a_cascade_in_two_hours(self, store: Store) -> None:
        """The draft's cost lies in its own hour and tier, the saving where the answer is."""
        rows = [
            row("a", "rejected", 5, started_us=START_US + HOUR_US - 1),
            row("a", "accepted", 30, n=2, tier="large", started_us=START_US + HOUR_US, baseline_pico=50),
        ]
        early, late = cells(store(numbered(rows)))
        assert (early.start_us, early.key, late.start_us, late.key) == (
            START_US, ("small",), START_US + HOUR_US, ("large",),
        )  # fmt: skip
        assert (early.calls, early.compared, early.compared_pico, late.calls, late.compared) == (1, 0, 5, 0, 1)
        assert early.baseline_pico + late.baseline_pico - early.compared_pico - late.compared_pico == 15

    def test_a_further_try_under_another_user_answers_nothing_of_the_first(self, store: Store) -> None:
        """Asked for one user, the rows of the other are not there, though they stand next to it."""
        rows = numbered(
            [row("a", "rejected", user="ann"), row("a", again=1, tier="large", user="bob", baseline_pico=50)]
        )
        place = store(rows)
        (ann,) = cells(place, where={"user": "ann"})
        assert (ann.calls, ann.compared, ann.compared_pico) == (1, 0, 0)
        assert sum(cell.compared_pico for cell in cells(place)) == 20

    def test_any_two_keys_keep_cells_apart(self, store: Store) -> None:
        place = store(numbered([row("a", user="ann"), row("b", endpoint="/x", session="s")]))
        for by in combinations(KEYS, 2):
            assert sum(cell.calls for cell in cells(place, by=by)) == 2

    def test_a_tag_without_a_column_selects(self, store: Store) -> None:
        """Whatever its name is; values that are no text, too."""
        odd = "a\"b'c.$[0]"
        place = store(numbered([row("a", tags={odd: "x", "ab": "y"}), row("b", tags={"ab": "x"}), row("c")]))
        assert [cell.calls for cell in cells(place, where={odd: "x"})] == [1]
        assert [cell.calls for cell in cells(place, where={"ab": "x"})] == [1]
        assert cells(place, where={"none": "x' OR 1=1 --"}) == []

    def test_rolled_up_days_are_days_and_no_hours(self, store: Store) -> None:
        """And stay away where a session is asked for, which a rolled-up day does not know."""
        rolled = rolled_up(
            calls=3, attempts=4, cache_write_5m=2, cache_write_1h=1, pico_usd=70, unpriced=1, compared=2,
            baseline_pico=90, compared_pico=60,
        )  # fmt: skip
        place = store(numbered([row("a", baseline_pico=20, started_us=START_US + DAY_US)]), [rolled])
        early, late = cells(place, every="day")
        assert (early.start_us, early.calls, early.attempts, early.pico_usd, early.unpriced) == (START_US, 3, 4, 70, 1)
        assert (early.compared, early.baseline_pico, early.compared_pico, early.input_tokens) == (2, 90, 60, 10)
        assert (early.cache_write_5m, early.cache_write_1h) == (2, 1)
        assert (late.calls, late.baseline_pico) == (1, 20)
        assert [cell.start_us for cell in cells(place)] == [START_US + DAY_US]
        assert len(cells(place, by=("session",), every="day")) == 1
        assert len(cells(place, every="day", since=MONDAY + timedelta(hours=1))) == 1
        assert len(cells(place, every="day", until=MONDAY + timedelta(hours=1))) == 1

    def test_an_empty_ledger_has_no_cells(self, store: Store) -> None:
        assert cells(store([])) == []

    def test_an_unknown_key_names_the_known_ones(self, store: Store) -> None:
        with pytest.raises(LedgerError, match=r"by \['colour'\].*'tier', 'model'"):
            cells(store([]), by=("colour",))


def rolled_up(**changes: Any) -> Row:
    """One row of a day that has been rolled up."""
    from tuppence.spend.ledger.tables import DAY_KEYS, DAY_SUMS

    made: Row = {
        "day_us": START_US, **dict.fromkeys(DAY_KEYS), "tier": "small", "model": "small-1", "cause": "draft",
        "outcome": "accepted", "status": "exact", "baseline": "large", **dict.fromkeys(DAY_SUMS, 0), "input": 7,
        "latency_ms": 2.5,
    }  # fmt: skip
    return made | changes
