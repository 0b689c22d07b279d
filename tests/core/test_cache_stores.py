"""What every store promises, whatever it is made of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tuppence.cache import MemoryStore, SqliteStore
from tuppence.errors import ConfigError

pytest.register_assert_rewrite(f"{__package__}.store_suite")

from .store_suite import Clock, OpenStore, StoreSuite  # noqa: E402 - after pytest knows that it holds assertions

AnyStore = MemoryStore | SqliteStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "sqlite, committed"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[OpenStore]:
    """Open a store; the third kind reads everything back from its file, none of it from what waits to be written."""
    opened: list[AnyStore] = []

    def open_one(**options: int) -> AnyStore:
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

    def put(self, key: str, value: bytes, ttl_s: float | None, tags: frozenset[str] = frozenset()) -> None:
        super().put(key, value, ttl_s, tags)
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


def test_the_least_recently_used_goes_first(open_store: OpenStore, clock: Clock) -> None:
    """Reading counts as use."""
    store = open_store(max_entries=3)
    for key in ("a", "b", "c"):
        clock.now += 1
        store.put(key, b"v", None)
    clock.now += 1
    store.get("a")
    clock.now += 1
    store.put("d", b"v", None)
    store.flush()
    assert [key for key in "abcd" if store.get(key)] == ["a", "c", "d"]


@pytest.mark.parametrize("bound", ["max_entries", "max_bytes"])
def test_no_room_for_a_single_entry_is_refused(open_store: OpenStore, bound: str) -> None:
    """A store that could hold nothing is a mistake."""
    with pytest.raises(ConfigError, match=f"{bound} is 0"):
        open_store(**{bound: 0})


def test_a_store_is_bounded_in_bytes(open_store: OpenStore) -> None:
    """Large values push out small ones, and one too large for the whole store is not kept."""
    store = open_store(max_bytes=100)
    for key, size, left in (("a", 40, "a"), ("b", 40, "ab"), ("c", 40, "bc"), ("d", 101, "bc"), ("b", 60, "bc")):
        store.put(key, b"x" * size, None)
        store.flush()
        assert "".join(key for key in "abcd" if store.get(key)) == left
    store.put("b", b"x" * 101, None)
    assert store.get("b") is None
