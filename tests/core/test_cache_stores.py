"""What every store promises, whatever it is made of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tuppence.cache import MemoryStore, SqliteStore

pytest.register_assert_rewrite(f"{__package__}.store_suite", f"{__package__}.cache_room_suite")

# After pytest knows that they hold assertions.
from .cache_room_suite import HitsSuite, RoomSuite  # noqa: E402
from .store_suite import Clock, OpenStore, StoreSuite  # noqa: E402

AnyStore = MemoryStore | SqliteStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "sqlite, committed"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[OpenStore]:
    """Open a store; the third kind reads everything back from its file, none of it from what waits to be written."""
    opened: list[AnyStore] = []

    def open_one(**options: Any) -> AnyStore:
        if request.param == "memory":
            store: AnyStore = MemoryStore(clock=clock, **options)
        elif request.param == "sqlite":
            store = SqliteStore(tmp_path / f"{len(opened)}.sqlite", clock=clock, **options)
        else:
            store = Committed(tmp_path / f"{len(opened)}.sqlite", clock=clock, **options)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


class Committed(SqliteStore):
    """A SQLite store whose every change is in the file before the next step."""

    def put(self, *what: Any, **about: Any) -> None:
        super().put(*what, **about)
        self.flush()

    def delete(self, key: str) -> None:
        super().delete(key)
        self.flush()

    def get(self, key: str) -> tuple[bytes, float] | None:
        found = super().get(key)
        self.flush()
        return found


class TestStores(StoreSuite):
    """All of them."""


class TestRoom(RoomSuite):
    """Who goes, and whose room it is."""


class TestHits(HitsSuite):
    """How often each was served."""
