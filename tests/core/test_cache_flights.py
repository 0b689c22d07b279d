"""Equal calls at the same time: in one process, and in many that share a SQLite file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tuppence.cache import SqliteStore, Store

pytest.register_assert_rewrite(f"{__package__}.flight_suite")

# After pytest knows that it holds assertions.
from .flight_suite import CrowdSuite, FlightSuite, OpenShared  # noqa: E402


class TestSqlite(FlightSuite):
    """Processes of one machine, one file."""

    @pytest.fixture
    def cache(self, tmp_path: Path) -> str:
        return str(tmp_path / "answers.sqlite")

    @pytest.fixture
    def open_shared(self, cache: str) -> Iterator[OpenShared]:
        opened: list[Store] = []

        def open_one() -> Store:
            opened.append(SqliteStore(cache))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()


class TestMemory(CrowdSuite):
    """One process, nothing shared."""

    @pytest.fixture
    def cache(self) -> str:
        return "memory"
