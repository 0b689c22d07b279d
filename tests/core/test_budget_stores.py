"""The stores of budgets' counters that need no server: this process's memory, and a file."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tuppence.effects import Refused, Release
from tuppence.errors import BudgetError
from tuppence.spend.budgets.closing import Closer
from tuppence.spend.budgets.counters import Counters
from tuppence.spend.budgets.leases import Leased
from tuppence.spend.budgets.memory import MemoryCounters
from tuppence.spend.budgets.sqlite import SqliteCounters

pytest.register_assert_rewrite(*(f"{__package__}.{suite}" for suite in ("budget_suite", "budget_process_suite")))

# After pytest knows that it holds assertions.
from .budget_process_suite import SharedBudgetSuite  # noqa: E402
from .budget_suite import Ask, BudgetSuite, OpenCounters, charge, is_away, release, reserve, standing  # noqa: E402


class TestMemory(BudgetSuite):
    @pytest.fixture
    def open_counters(self) -> OpenCounters:
        store = MemoryCounters()
        return lambda: store


class _Silent(MemoryCounters):
    """Reserves, and does not answer anything else."""

    @property
    def waiting(self) -> int:
        return 1

    def flush(self, timeout_s: float = 10.0) -> None:
        raise BudgetError("away")


def test_a_refusal_stands_where_no_more_room_can_be_looked_for(caplog: pytest.LogCaptureFixture) -> None:
    """The caller is told of the budget that is used up, the log of the store that went away meanwhile."""
    leased = Leased(_Silent(), lease_s=60)
    assert leased.reserve(reserve(leased, "h1", 101)) == Refused(charge(), 0, 0)
    assert "could not be looked for: away" in caplog.text


def test_what_was_not_counted_is_said_once_and_of_those_that_spent(caplog: pytest.LogCaptureFixture) -> None:
    """Calls that were refused wait to be taken back as well; a program that ends closes more than once."""

    def away(_: object) -> None:
        raise BudgetError("away")

    closer = Closer(away, "the counters")
    for hold, pico in (("refused", 0), ("spent", 4_950_000), ("refused too", 0)):
        closer.put(Release(MemoryCounters(), hold, (charge(),), pico))
    closer.close()
    closer.close()
    (told,) = [one.getMessage() for one in caplog.records if "not counted" in one.getMessage()]
    assert "1 calls that spent $0.00000495 are not counted" in told


class TestSqlite(SharedBudgetSuite):
    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "budgets.sqlite")

    @pytest.fixture
    def open_counters(self, place: str) -> Iterator[OpenCounters]:
        opened: list[SqliteCounters] = []

        def another() -> Counters:
            opened.append(SqliteCounters(place))
            return opened[-1]

        yield another
        for one in opened:
            one.close()

    def test_a_file_that_went_bad_stops_calls_and_loses_nothing(self, tmp_path: Path, ask: Ask) -> None:
        """What calls had spent by then is kept, and counted once the file is back."""
        good, bad, here = tmp_path / "good", tmp_path / "bad", tmp_path / "here"
        good.mkdir()
        bad.mkdir()
        (bad / "budgets.sqlite").write_text("this is no database" * 100)

        def switch_to(folder: Path) -> None:
            # In one step: the file is tried again in the background, and made anew where there is none.
            (tmp_path / "next").symlink_to(folder)
            (tmp_path / "next").replace(here)

        switch_to(good)
        with closing(SqliteCounters(here / "budgets.sqlite")) as store:
            ask(store, reserve(store, "h1", 10))
            store.flush()
            switch_to(bad)
            is_away(store, ask)
            switch_to(good)
            assert standing(store) == (5, 0)
            assert ask(store, reserve(store, "h2", 1))

    def test_the_file_is_for_its_owners_eyes(self, place: str, store: Counters) -> None:
        """Users' names stand in it."""
        assert os.stat(place).st_mode & 0o077 == 0

    def test_a_closed_store_goes_on(self, store: Counters) -> None:
        """As after a release that came late."""
        store.reserve(reserve(store, "h1", 10))
        store.close()
        store.release(release(store, "h1", 4))
        assert standing(store) == (4, 0)

    def test_somebody_elses_file_is_not_touched(self, tmp_path: Path) -> None:
        """Whether it is a database or not."""
        import sqlite3

        other = tmp_path / "other.sqlite"
        rows = sqlite3.connect(other)
        rows.execute("CREATE TABLE mine (x)")
        rows.close()
        before = other.read_bytes()
        with pytest.raises(BudgetError, match=r"other\.sqlite is no file of budgets"):
            SqliteCounters(other)
        assert other.read_bytes() == before
        text = tmp_path / "text.sqlite"
        text.write_text("hello" * 300)
        with pytest.raises(BudgetError, match=r"text\.sqlite cannot be used"):
            SqliteCounters(text)
        with pytest.raises(BudgetError, match="cannot be used"):
            SqliteCounters(tmp_path)

    def test_a_newer_file_is_refused(self, place: str, store: Counters) -> None:
        """An older tuppence would not know what it holds."""
        import sqlite3

        store.close()
        rows = sqlite3.connect(place)
        rows.execute("PRAGMA user_version = 9")
        rows.close()
        with pytest.raises(BudgetError, match=r"newer tuppence \(schema 9, known 1\)"):
            SqliteCounters(place)
