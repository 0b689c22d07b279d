"""What every store of the exact cache promises, whatever it is made of and wherever it lies."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuppence.cache import Store

OpenStore = Callable[..., Store]


class Clock:
    """Unix seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


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


class StoreSuite:
    """Inherit it, and give it two fixtures: `clock`, and `open_store`, which opens a new store that goes by it."""

    def test_a_value_comes_back_with_its_age(self, open_store: OpenStore, clock: Clock) -> None:
        """Put, wait, get: the bytes as they were and the seconds since."""
        store = open_store()
        store.put("a1", b'{"x": 1}', 60)
        clock.now += 12.5
        assert store.get("a1") == (b'{"x": 1}', 12.5)

    def test_a_cleared_store_holds_nothing_and_goes_on(self, open_store: OpenStore) -> None:
        """What was kept and what still waited to be written are both gone; what comes after stays."""
        store = open_store()
        store.put("a1", b"1", None)
        store.get("a1")
        store.put("b2", b"2", None)
        store.clear()
        assert (store.get("a1"), store.get("b2")) == (None, None)
        store.put("a1", b"3", None)
        assert store.get("a1") == (b"3", 0.0)

    def test_an_unknown_key_is_none(self, open_store: OpenStore) -> None:
        """A miss is not an error."""
        assert open_store().get("a1") is None

    def test_the_last_put_wins_and_starts_a_new_age(self, open_store: OpenStore, clock: Clock) -> None:
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
    def test_expiry(
        self, open_store: OpenStore, clock: Clock, ttl_s: float | None, after_s: float, served: bool
    ) -> None:
        """An entry is served until its time is up, and not a moment longer; without a time to live it stays."""
        store = open_store()
        store.put("a1", b"v", ttl_s)
        clock.now += after_s
        assert (store.get("a1") is not None) == served

    def test_a_clock_set_back_gives_no_negative_age(self, open_store: OpenStore, clock: Clock) -> None:
        """Machines correct their clocks."""
        store = open_store()
        store.put("a1", b"v", 60)
        clock.now -= 3600
        assert store.get("a1") == (b"v", 0.0)

    def test_delete_forgets_and_may_be_repeated(self, open_store: OpenStore) -> None:
        """Deleting what is not there is no error."""
        store = open_store()
        store.put("a1", b"v", None)
        store.delete("a1")
        store.delete("a1")
        assert store.get("a1") is None

    def test_close_may_be_repeated(self, open_store: OpenStore) -> None:
        """Whoever closes last does no harm."""
        store = open_store()
        store.put("a1", b"v", None)
        store.close()
        store.close()

    def test_threads_share_a_store(self, open_store: OpenStore) -> None:
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

    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors], max_examples=30
    )
    @given(steps=_steps)
    def test_a_store_is_a_dict_whose_entries_expire(
        self, open_store: OpenStore, clock: Clock, steps: list[tuple]
    ) -> None:
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

    def test_a_tag_takes_its_entries_with_it(self, open_store: OpenStore) -> None:
        """Whatever was put with it, and nothing else; the count says how many there were."""
        store = open_store()
        store.put("a1", b"1", None, frozenset({"prices", "page-7"}))
        store.put("b2", b"2", 60, frozenset({"prices"}))
        store.put("c3", b"3", None, frozenset({"page-7"}))
        store.put("d4", b"4", None)
        assert store.invalidate("prices") == 2
        assert [key for key in ("a1", "b2", "c3", "d4") if store.get(key)] == ["c3", "d4"]
        assert store.invalidate("prices") == 0
        assert store.invalidate("never seen") == 0
        assert store.invalidate("page-7") == 1

    def test_the_last_put_says_which_tags_count(self, open_store: OpenStore) -> None:
        """An entry that was replaced or deleted has lost its tags; an invalidated one may come back."""
        store = open_store()
        store.put("a1", b"old", None, frozenset({"x", "y"}))
        store.put("a1", b"new", None, frozenset({"y"}))
        assert store.invalidate("x") == 0
        assert store.get("a1") is not None
        store.delete("a1")
        assert store.invalidate("y") == 0
        store.put("a1", b"again", None, frozenset({"y"}))
        assert store.invalidate("y") == 1

    def test_what_has_expired_is_not_counted(self, open_store: OpenStore, clock: Clock) -> None:
        """The count is of answers that could still have been served."""
        store = open_store()
        store.put("a1", b"1", 10, frozenset({"x"}))
        store.put("b2", b"2", 30, frozenset({"x"}))
        clock.now += 20
        assert store.invalidate("x") == 1
        assert store.get("b2") is None

    def test_a_cleared_store_knows_no_tags(self, open_store: OpenStore) -> None:
        """Nor do tags that name the same keys later."""
        store = open_store()
        store.put("a1", b"1", None, frozenset({"x"}))
        store.clear()
        store.put("a1", b"2", None)
        assert store.invalidate("x") == 0
        assert store.get("a1") is not None

    def test_any_text_is_a_tag(self, open_store: OpenStore) -> None:
        """Blanks, commas, other scripts, half a surrogate pair, and one that begins another."""
        store = open_store()
        tags = ["a b", "a,b", "a", "", "Preise für Öl", "\ud800", "x" * 1000, "%s {a} *"]
        for number, tag in enumerate(tags):
            store.put(f"{number:x}", b"v", None, frozenset({tag}))
        assert [store.invalidate(tag) for tag in tags] == [1] * len(tags)
