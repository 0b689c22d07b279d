"""What every store promises, whatever it is made of."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuppence.cache import MemoryStore, SqliteStore
from tuppence.errors import ConfigError

AnyStore = MemoryStore | SqliteStore
OpenStore = Callable[..., AnyStore]


class Clock:
    """Unix seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


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

    def put(self, key: str, value: bytes, ttl_s: float | None) -> None:
        super().put(key, value, ttl_s)
        self.flush()

    def delete(self, key: str) -> None:
        super().delete(key)
        self.flush()

    def get(self, key: str) -> tuple[bytes, float] | None:
        found = super().get(key)
        self.flush()
        return found


def test_a_value_comes_back_with_its_age(open_store: OpenStore, clock: Clock) -> None:
    """Put, wait, get: the bytes as they were and the seconds since."""
    store = open_store()
    store.put("a1", b'{"x": 1}', 60)
    clock.now += 12.5
    assert store.get("a1") == (b'{"x": 1}', 12.5)


def test_a_cleared_store_holds_nothing_and_goes_on(open_store: OpenStore) -> None:
    """What was kept and what still waited to be written are both gone; what comes after stays."""
    store = open_store()
    store.put("a1", b"1", None)
    store.get("a1")
    store.put("b2", b"2", None)
    store.clear()
    assert (store.get("a1"), store.get("b2")) == (None, None)
    store.put("a1", b"3", None)
    assert store.get("a1") == (b"3", 0.0)


def test_an_unknown_key_is_none(open_store: OpenStore) -> None:
    """A miss is not an error."""
    assert open_store().get("a1") is None


def test_the_last_put_wins_and_starts_a_new_age(open_store: OpenStore, clock: Clock) -> None:
    """A value may be replaced."""
    store = open_store()
    store.put("a1", b"old", 60)
    clock.now += 50
    store.put("a1", b"new", 60)
    clock.now += 20
    assert store.get("a1") == (b"new", 20.0)


@pytest.mark.parametrize(
    ("ttl_s", "after_s", "served"),
    [(10, 9.9, True), (10, 10, False), (10, 1e6, False), (None, 1e9, True), (0.5, 0.5, False)],
)
def test_expiry(open_store: OpenStore, clock: Clock, ttl_s: float | None, after_s: float, served: bool) -> None:
    """An entry is served until its time is up, and not a moment longer; without a time to live it stays."""
    store = open_store()
    store.put("a1", b"v", ttl_s)
    clock.now += after_s
    assert (store.get("a1") is not None) == served


def test_a_clock_set_back_gives_no_negative_age(open_store: OpenStore, clock: Clock) -> None:
    """Machines correct their clocks."""
    store = open_store()
    store.put("a1", b"v", 60)
    clock.now -= 3600
    assert store.get("a1") == (b"v", 0.0)


def test_delete_forgets_and_may_be_repeated(open_store: OpenStore) -> None:
    """Deleting what is not there is no error."""
    store = open_store()
    store.put("a1", b"v", None)
    store.delete("a1")
    store.delete("a1")
    assert store.get("a1") is None


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
    if isinstance(store, SqliteStore):
        store.flush()
    assert [key for key in "abcd" if store.get(key)] == ["a", "c", "d"]


def test_close_may_be_repeated(open_store: OpenStore) -> None:
    """Whoever closes last does no harm."""
    store = open_store()
    store.put("a1", b"v", None)
    store.close()
    store.close()


def test_no_room_for_a_single_entry_is_refused(open_store: OpenStore) -> None:
    """A store that could hold nothing is a mistake."""
    with pytest.raises(ConfigError, match="max_entries is 0"):
        open_store(max_entries=0)


def test_threads_share_a_store(open_store: OpenStore) -> None:
    """Whatever was put by a thread is whole for every other."""
    store = open_store()
    start = threading.Barrier(8)

    def work(worker: int) -> None:
        start.wait()
        for i in range(50):
            key = f"{i:x}"
            store.put(key, f"{worker}:{i}".encode() * 100, None)
            found = store.get(key)
            assert found is not None
            assert found[0] in {f"{w}:{i}".encode() * 100 for w in range(8)}

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, worker) for worker in range(8)]:
            done.result()


_keys = st.sampled_from("abcde")
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _keys, st.binary(max_size=8), st.none() | st.integers(1, 20)),
        st.tuples(st.just("delete"), _keys),
        st.tuples(st.just("clear")),
        st.tuples(st.just("pass"), st.integers(1, 10)),
        st.tuples(st.just("get"), _keys),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(steps=_steps)
def test_a_store_is_a_dict_whose_entries_expire(open_store: OpenStore, clock: Clock, steps: list[tuple]) -> None:
    """Any history gives what a plain dict with expiry times would give."""
    store = open_store()
    model: dict[str, tuple[bytes, float, float | None]] = {}
    for step in steps:
        match step:
            case ("put", key, value, ttl_s):
                store.put(key, value, ttl_s)
                model[key] = (value, clock.now, None if ttl_s is None else clock.now + ttl_s)
            case ("delete", key):
                store.delete(key)
                model.pop(key, None)
            case ("clear",):
                store.clear()
                model.clear()
            case ("pass", seconds):
                clock.now += seconds
            case ("get", key):
                value, stored_at, expires_at = model.get(key, (b"", 0.0, 0.0))
                alive = expires_at is None or clock.now < expires_at
                assert store.get(key) == ((value, clock.now - stored_at) if alive else None)


def test_memory_is_bounded_in_bytes(clock: Clock) -> None:
    """Large values push out small ones, and one too large for the whole store is not kept."""
    store = MemoryStore(max_bytes=100, clock=clock)
    for key in ("a", "b", "c"):
        store.put(key, b"x" * 40, None)
    assert [key for key in "abc" if store.get(key)] == ["b", "c"]
    store.put("d", b"x" * 101, None)
    assert [key for key in "abcd" if store.get(key)] == ["b", "c"]
    store.put("b", b"x" * 60, None)
    assert [key for key in "abcd" if store.get(key)] == ["b", "c"]
