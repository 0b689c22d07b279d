"""Two readers of one ledger see the same rows, whatever is written meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select

from tuppence.spend.ledger.tables import attempts
from tuppence.spend.selection import Selection
from tuppence.spend.side_by_side import side_by_side

from .ledger_rows import Store, fill, numbered, row, sqlite_engine, sqlite_store

pytest.register_assert_rewrite(f"{__package__}.cells_suite")

from .cells_suite import rolled_up  # noqa: E402


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return sqlite_store(tmp_path)


def counted(reader: Connection, chosen: Selection) -> int:
    return int(reader.execute(select(func.count()).select_from(attempts).where(chosen.met_by(attempts))).scalar_one())


def test_both_see_the_same_rows_while_others_write(store: Store) -> None:
    place = store(numbered([row("a")]))
    done = threading.Event()

    def write() -> None:
        number = 1
        while not done.is_set():
            number += 1
            with sqlite_engine(Path(place)).begin() as connection:
                connection.execute(insert(attempts), [row(f"b{number}")])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [side_by_side(place, Selection(), counted, counted) for _ in range(30)]
    finally:
        done.set()
        writer.join()
    assert all(one == other for one, other in seen)
    assert seen[-1][0] > seen[0][0]


def test_days_that_are_rolled_up_in_between_are_seen_by_both_or_by_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second reader opens a ledger that has changed: only the first is asked."""
    place = store(numbered([row("a")]))
    opened = []

    def changing(where: str) -> object:
        from tuppence.spend.ledger import reading

        opened.append(where)
        if len(opened) == 2:
            fill(sqlite_engine(Path(place)), [], [rolled_up()])
        return reading(where)

    monkeypatch.setattr("tuppence.spend.side_by_side.reading", changing)
    readers = side_by_side(place, Selection(), lambda reader, _: reader, lambda reader, _: reader)
    assert readers[0] is readers[1]


def test_an_empty_ledger_has_nothing_for_either(store: Store) -> None:
    assert side_by_side(store([]), Selection(), counted, counted) == (0, 0)
