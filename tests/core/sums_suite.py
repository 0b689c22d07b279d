"""What the sums of a ledger's rows must hold to, whatever happened to the rows; each database inherits it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from tuppence.spend.cells import cells_of
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.opening import Opened
from tuppence.spend.ledger.retention import roll_up
from tuppence.spend.ledger.sums_kept import MAY_LACK, follow, reached
from tuppence.spend.ledger.tables import attempts, columns, hours, marks, user_days
from tuppence.spend.lines import lines_of
from tuppence.spend.selection import Selection
from tuppence.spend.waterfall import waterfall_of

from .ledger_rows import DAY_US, HOUR_US, INT64, START_US, Row, Store, manyfold, random_rows, row

# Each example opens its ledger many times.
fewfold = settings(manyfold, max_examples=12)
# A day that is rolled up must fit into int64 with all its rows; `retention` says so where it does not.
money_of_a_day = st.none() | st.integers(0, 1000) | st.integers(2**32 - 1, 2**55)
into_the_cache = st.sampled_from([0, 5, 11])
MONDAY = datetime.fromtimestamp(START_US / 1e6, UTC)


def plain_sums(found: list[Any], keys: tuple[str, ...], width: int) -> dict[tuple[Any, ...], Counter[str]]:
    """Add rows up one by one, in Python's integers."""
    sums: dict[tuple[Any, ...], Counter[str]] = {}
    for one in found:
        values = {**one, "first": int(one["n"] == 1)}
        key = tuple((values[name] or "") if name in MAY_LACK else values[name] for name in keys)
        observed = one["would_pico"] is not None and one["pico_usd"] is not None
        later = one["processing"] in ("batch", "flex")
        sums.setdefault((one["started_us"] // width * width, *key), Counter()).update(
            attempts=1, unpriced=one["pico_usd"] is None, pico_usd=one["pico_usd"] or 0,
            **{name: one[name] or 0 for name in ("baseline_pico", "prune_pico", "self_host_pico", "input")},
            discounted_fresh=later and one["input"] + one["cache_write_5m"] + one["cache_write_1h"],
            discounted_cached=later and one["cache_read"], discounted_output=later and one["output"],
            observed=observed, would_pico=one["would_pico"] if observed else 0,
            observed_pico=one["pico_usd"] if observed else 0,
            prefix_used=one["cache_read"] + one["cache_write_5m"] + one["cache_write_1h"] > 0,
        )  # fmt: skip
    return sums


def hold_what_the_rows_say(connection: Connection) -> None:
    """Check the sums against all rows up to where they reach, but for those that are marked as astray."""
    astray = set(connection.execute(select(marks.c.id).where(marks.c.astray == 1)).scalars())
    rows = connection.execute(select(attempts).where(attempts.c.id <= reached(connection))).mappings().all()
    ids = {one["id"] for one in rows}
    assert astray <= ids
    for table, width in ((hours, HOUR_US), (user_days, DAY_US)):
        keys = tuple(column.name for column in table.primary_key)[1:]
        told = plain_sums([one for one in rows if one["id"] not in astray], keys, width)
        there = connection.execute(select(table)).mappings()
        kept = {tuple(one[name] for name in ("start_us", *keys)): one for one in there}
        assert kept.keys() == told.keys()
        for key, sums in told.items():
            known = {name: int(sum_) for name, sum_ in sums.items() if name in table.c}
            assert {name: int(kept[key][name]) for name in known} == known


def answers(connection: Connection, selection: Selection) -> list[Any]:
    by = ("tier", "endpoint")
    found = cells_of(connection, selection, by=by, every="hour")
    lines = lines_of(connection, selection, ("tier",))
    return [found, lines.by_key, lines.calls, waterfall_of(connection, selection)]


def in_turn(place: str, rows: list[Row], steps: list[int]) -> Iterator[None]:
    """Store the rows in handfuls as the writer does, some of them twice, and let the sums follow some way each time."""
    names = [column.name for column in columns("attempts")]
    for number, size in enumerate(steps):
        some = [tuple(None if name in ("tags", "extra") else one.get(name) for name in names) for one in rows[:size]]
        with closing(Opened(place)) as ledger:
            with ledger.connection.begin():
                ledger._database.claim(ledger.connection, 5.0)
                if some:
                    ledger._database.insert(ledger.connection, "attempts", some)
            newest = ledger._database.settled(ledger.connection, 5.0)
            with ledger.writing(5.0):
                follow(ledger.connection, newest, 1 + number % 4)
        # The last of them is handed over once more.
        del rows[: max(0, size - 1)]
        yield


class SumsSuite:
    """Inherit it, and give it a fixture `store`."""

    @fewfold
    @given(
        rows=random_rows(money=money_of_a_day, put=into_the_cache),
        steps=st.lists(st.integers(0, 6), max_size=6),
        pruned=st.integers(0, 3),
    )
    def test_they_hold_what_the_rows_say_after_any_batches_copies_and_prunings(
        self, store: Store, rows: list[Row], steps: list[int], pruned: int
    ) -> None:
        place = store([])
        for done, _ in enumerate(in_turn(place, list(rows), steps)):
            if done == pruned:
                roll_up(place, before=MONDAY + timedelta(days=pruned))
            with reading(place) as connection:
                hold_what_the_rows_say(connection)

    @fewfold
    @given(
        rows=random_rows(put=into_the_cache),
        begin=st.integers(0, 60),
        minutes=st.integers(1, 4000),
        reach=st.integers(1, 30),
    )
    def test_an_answer_does_not_hang_on_how_far_they_are(
        self, store: Store, rows: list[Row], begin: int, minutes: int, reach: int
    ) -> None:
        place = store(rows)
        since = MONDAY + timedelta(minutes=37 * begin)
        selections = [Selection(), Selection(since), Selection(since, since + timedelta(minutes=minutes))]
        with reading(place) as connection:
            before = [answers(connection, one) for one in selections]
        with closing(Opened(place)) as ledger, ledger.writing(5.0):
            follow(ledger.connection, len(rows), min(reach, max(1, len(rows) - reached(ledger.connection))))
        with reading(place) as connection:
            assert [answers(connection, one) for one in selections] == before

    def test_what_they_cannot_hold_is_read_from_the_rows(self, store: Store) -> None:
        """Amounts near the end of int64, a label as long as a book, and one that is empty."""
        odd = [{"pico_usd": INT64}, {"baseline_pico": INT64}, {"input": 2**60}, {"endpoint": "x" * 5000}, {"task": ""}]
        rows = [row(f"c{n}", **{"id": n, **changes}) for n, changes in enumerate([{}, *odd, {}], 1)]
        place = store(rows)
        with closing(Opened(place)) as ledger, ledger.writing(5.0):
            follow(ledger.connection, len(rows), len(rows) - reached(ledger.connection))
        with reading(place) as connection:
            assert connection.execute(select(marks.c.id).where(marks.c.astray == 1)).scalars().all() == [2, 3, 4, 5, 6]
            hold_what_the_rows_say(connection)
            (cell,) = cells_of(connection, Selection(where={"task": ""}), by=("task",), every="hour")
            assert (cell.key, cell.calls) == (("",), 1)
            assert sum(one.pico_usd for one in cells_of(connection, Selection(), by=(), every="day")) == INT64 + 60

    def test_a_negative_clock_has_its_own_hour(self, store: Store) -> None:
        """Hours before 1970 are not taken for the first one after it."""
        place = store([row("a", id=1, started_us=-1), row("b", id=2, started_us=1)])
        with closing(Opened(place)) as ledger, ledger.writing(5.0):
            follow(ledger.connection, 2, max(1, 2 - reached(ledger.connection)))
        with reading(place) as connection:
            after = Selection(datetime(1970, 1, 1, tzinfo=UTC))
            assert [one.start_us for one in cells_of(connection, after, by=(), every="hour")] == [0]
            assert [one.start_us for one in cells_of(connection, Selection(), by=(), every="hour")] == [-HOUR_US, 0]
