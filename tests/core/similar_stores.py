"""What a store of a semantic cache owes, as tests that any `SimilarStore` can be held against.

Subclass `SimilarStoreSuite` in a test module and give the fixture `store`: an empty store with the suite's `clock` and
no bound that a few hundred entries would reach. A store that evicts by cost under bounds of its own also passes
`EvictionSuite`. The suite looks at nothing but the protocol, and flushes before it reads, so a store may write behind.
"""

import asyncio
import functools
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuppence.cache.entries import Entry, Neighbour, SimilarStore
from tuppence.embed import Vector
from tuppence.errors import ConfigError

DIMENSIONS = 16
HOUR = 3600.0

Nearest = Callable[[str, Vector, int], list[Neighbour]]


class Clock:
    """Unix seconds that pass when told to; they start at the true ones, since a server may expire by its own clock."""

    def __init__(self) -> None:
        self.now = float(math.floor(time.time()))

    def __call__(self) -> float:
        return self.now


@functools.cache
def direction(seed: int) -> Vector:
    """One of endlessly many unit vectors, the same for every store."""
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


AXIS: Vector = np.eye(DIMENSIONS, dtype=np.float32)[0]


def apart(similarity: float, axis: int = 1) -> Vector:
    """A unit vector whose cosine with `AXIS` is `similarity`."""
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[0], vector[axis] = similarity, math.sqrt(1 - similarity**2)
    return vector


def entry(id: str, vector: Vector = AXIS, **fields: Any) -> Entry:  # noqa: A002 (the entry's own word)
    """An entry of scope "50" that never expires, unless told otherwise; its texts follow from its id."""
    words = {"question": f"What is {id}?", "value": json.dumps({"text": id}).encode(), "answer": f"{id}ee"}
    return Entry(**({"id": id, "scope": "50", "vector": vector} | words | fields))


def fields(one: Entry) -> tuple[Any, ...]:
    """All that an entry holds, comparable."""
    rest = (one.question, one.value, one.answer, one.tags, one.pico_usd, one.stored_at, one.expires_at)
    return (one.id, one.scope, one.vector.tobytes(), *rest)


def ids(found: Sequence[Neighbour]) -> list[str]:
    return [one.entry.id for one in found]


def keep(store: SimilarStore, *several: Entry) -> None:
    """Add entries so that every reader finds them."""
    for one in several:
        store.add(one)
    store.flush()


def hits(store: SimilarStore) -> dict[str, int]:
    return {one.id: count for one, count in store.entries()}


def brute_force(entries: Sequence[Entry], scope: str, vector: Vector, k: int, now: float) -> list[str]:
    """The ids that any store must find: those alive in the scope, nearest first, equally near ones by id."""
    alive = [one for one in entries if one.scope == scope and (one.expires_at is None or now < one.expires_at)]
    cosines = {one.id: float(np.dot(one.vector.astype(np.float64), vector.astype(np.float64))) for one in alive}
    return sorted(cosines, key=lambda one: (-cosines[one], one))[:k]


_ids = st.integers(0, 7)
_scopes = st.sampled_from(["50", "51"])
_variants = st.integers(0, 2)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), _ids, _scopes, _variants, st.none() | st.integers(100, 2000)),
        st.tuples(st.just("remove"), st.lists(_ids, max_size=3)),
        st.tuples(st.just("invalidate"), _variants),
        st.tuples(st.just("used"), _ids),
        st.tuples(st.just("pass"), st.integers(100, 1000)),
        st.tuples(st.just("nearest"), _scopes, st.integers(0, 3), st.integers(1, 9)),
        st.tuples(st.just("clear")),
    ),
    max_size=30,
)


class Model:
    """What a store is, without any of what makes it fast."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.kept: dict[str, tuple[Entry, int]] = {}

    def alive(self) -> dict[str, tuple[Entry, int]]:
        now = self.clock.now
        return {key: kept for key, kept in self.kept.items() if kept[0].expires_at is None or now < kept[0].expires_at}

    def remove(self, wanted: Callable[[Entry], bool]) -> int:
        gone = [key for key, (one, _) in self.alive().items() if wanted(one)]
        for key in gone:
            del self.kept[key]
        return len(gone)


class SimilarStoreSuite:
    """Subclass it and give the fixture `store`."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def store(self, clock: Clock) -> SimilarStore:
        raise NotImplementedError("give the store under test, made with `clock`")

    @pytest.fixture(params=["sync", "async"])
    def nearest(self, request: pytest.FixtureRequest, store: SimilarStore) -> Iterator[Nearest]:
        """Look up as a sync program does and as an async one does."""
        if request.param == "sync":
            yield store.nearest
            return
        with asyncio.Runner() as runner:
            yield lambda scope, vector, k: runner.run(store.anearest(scope, vector, k))

    # -- what comes back

    def test_an_entry_comes_back_whole(self, store: SimilarStore, nearest: Nearest, clock: Clock) -> None:
        """Every field is as it was, the vector to the last bit."""
        value = json.dumps({"text": "Größe: 5 €\n", "parts": ["\u2028", "\x00"] * 1000}, ensure_ascii=False).encode()
        kept = entry(
            "a1", direction(1), question="Wie groß?\n\t{1}|2", value=value, tags=frozenset({"prices", "v 2,{x}|é"}),
            pico_usd=3_000_000_123_457, stored_at=clock.now - 0.25, expires_at=clock.now + HOUR,
        )  # fmt: skip
        keep(store, kept)
        (found,) = nearest("50", direction(1), 1)
        assert fields(found.entry) == fields(kept)
        assert found.entry.vector.dtype == np.float32
        assert found.similarity == pytest.approx(1.0, abs=1e-5)

    def test_an_entry_with_nothing_but_an_answer_comes_back(self, store: SimilarStore, nearest: Nearest) -> None:
        """No tags, no price, no expiry and an empty question are values like any other."""
        kept = entry("a1", question="", answer="")
        keep(store, kept)
        (found,) = nearest("50", AXIS, 1)
        assert fields(found.entry) == fields(kept)

    def test_the_nearest_come_first(self, store: SimilarStore, nearest: Nearest) -> None:
        """In order of the cosine, which is told, down to the opposite direction."""
        cosines = {"a1": 0.2, "a2": 0.9, "a3": -1.0, "a4": 0.55, "a5": 1.0}
        keep(store, *(entry(key, apart(cosine)) for key, cosine in cosines.items()))
        found = nearest("50", AXIS, 16)
        assert ids(found) == ["a5", "a2", "a4", "a1", "a3"]
        assert [one.similarity for one in found] == pytest.approx([1.0, 0.9, 0.55, 0.2, -1.0], abs=1e-5)

    @pytest.mark.parametrize(("k", "expected"), [(0, []), (1, ["a2"]), (2, ["a2", "a1"]), (9, ["a2", "a1", "a3"])])
    def test_no_more_than_k(self, store: SimilarStore, nearest: Nearest, k: int, expected: list[str]) -> None:
        """As many as asked for, or as many as there are."""
        keep(store, entry("a1", apart(0.8)), entry("a2", apart(0.9)), entry("a3", apart(0.7)))
        assert ids(nearest("50", AXIS, k)) == expected

    def test_equally_near_entries_come_by_id(self, store: SimilarStore, nearest: Nearest) -> None:
        """Paraphrases that embed alike come in one order, whichever was added first and in every store."""
        keep(store, *(entry(key, direction(1)) for key in ("c0", "09", "f1", "a1", "10", "b2", "7e")))
        keep(store, entry("ff", direction(2)))
        assert ids(nearest("50", direction(1), 8)) == ["09", "10", "7e", "a1", "b2", "c0", "f1", "ff"]

    def test_order_among_many(self, store: SimilarStore, nearest: Nearest, clock: Clock) -> None:
        """Of hundreds in two scopes it finds those that comparing with each one finds."""
        kept = [entry(f"{n:x}", direction(n), scope=f"5{n % 3 // 2}") for n in range(600)]
        keep(store, *kept)
        for seed in range(1000, 1020):
            for scope in ("50", "51"):
                expected = brute_force(kept, scope, direction(seed), 5, clock.now)
                assert ids(nearest(scope, direction(seed), 5)) == expected

    def test_an_empty_store_finds_nothing(self, store: SimilarStore, nearest: Nearest) -> None:
        """A miss is no error."""
        assert nearest("50", AXIS, 16) == []
        assert list(store.entries()) == []

    def test_what_a_caller_does_to_its_vector_later_changes_nothing(
        self, store: SimilarStore, nearest: Nearest
    ) -> None:
        """The store keeps a copy, and hands out copies."""
        mine = direction(1).copy()
        store.add(entry("a1", mine))
        mine[:] = direction(2)
        store.flush()
        (found,) = nearest("50", direction(1), 1)
        if found.entry.vector.flags.writeable:
            found.entry.vector[:] = 0
        assert nearest("50", direction(1), 1)[0].similarity == pytest.approx(1.0, abs=1e-5)

    @pytest.mark.parametrize(
        "vector", [np.zeros(DIMENSIONS, np.float32), AXIS * 3, AXIS * np.float32("nan"), np.stack([AXIS, AXIS])]
    )
    def test_a_vector_without_direction_is_refused(self, store: SimilarStore, vector: Vector) -> None:
        """An embedder that does not normalise is a mistake, told at once; nothing is kept of it."""
        with pytest.raises(ConfigError, match="length"):
            store.add(entry("a1", vector))
        store.flush()
        assert list(store.entries()) == []

    def test_vectors_of_other_lengths_are_no_neighbours(self, store: SimilarStore, nearest: Nearest) -> None:
        """Two models may share a store; one's vectors say nothing about the other's."""
        keep(store, entry("a1"), entry("a2", np.eye(8, dtype=np.float32)[0]))
        assert ids(nearest("50", AXIS, 16)) == ["a1"]
        assert ids(nearest("50", np.eye(8, dtype=np.float32)[0], 16)) == ["a2"]

    # -- scopes

    def test_scopes_never_mix(self, store: SimilarStore, nearest: Nearest) -> None:
        """Not even for the very same question, nor where one scope's name begins with the other's."""
        keep(store, entry("a1"), entry("a2", scope="5050"), entry("a3", scope="51"))
        assert ids(nearest("50", AXIS, 16)) == ["a1"]
        assert ids(nearest("5050", AXIS, 16)) == ["a2"]
        assert ids(nearest("51", AXIS, 16)) == ["a3"]
        assert nearest("5", AXIS, 16) == []

    def test_a_crowded_scope_hides_no_other(self, store: SimilarStore, nearest: Nearest) -> None:
        """Hundreds of better matches next door do not use up the k of a scope with one poor match."""
        keep(store, *(entry(f"{n:x}", apart(0.99, 1 + n % 15), scope="51") for n in range(300)))
        keep(store, entry("fff", apart(0.1)))
        assert ids(nearest("50", AXIS, 4)) == ["fff"]

    # -- replacing and removing

    def test_the_same_id_replaces(self, store: SimilarStore, nearest: Nearest) -> None:
        """One entry an id: the old vector, the old answer and the old hits are gone."""
        keep(store, entry("a1", direction(1), value=b'"old"'))
        store.used("a1")
        keep(store, entry("a1", direction(2), value=b'"new"'))
        (found,) = nearest("50", direction(1), 16)
        assert found.entry.value == b'"new"'
        assert found.similarity == pytest.approx(float(direction(1) @ direction(2)), abs=1e-5)
        assert hits(store) == {"a1": 0}

    def test_the_same_id_in_another_scope_moves(self, store: SimilarStore, nearest: Nearest) -> None:
        """Ids are unique over all scopes."""
        keep(store, entry("a1"))
        keep(store, entry("a1", scope="51"))
        assert nearest("50", AXIS, 16) == []
        assert ids(nearest("51", AXIS, 16)) == ["a1"]

    def test_removed_entries_are_gone(self, store: SimilarStore, nearest: Nearest) -> None:
        """It tells how many there were; unknown ones and repeats count for nothing."""
        keep(store, entry("a1", apart(0.9)), entry("a2", apart(0.8)), entry("a3", apart(0.7)))
        assert store.remove(["a1", "a3", "ff", "a1"]) == 2
        assert ids(nearest("50", AXIS, 16)) == ["a2"]
        assert store.remove(["a1"]) == 0
        assert store.remove([]) == 0

    def test_a_removed_entry_may_come_back(self, store: SimilarStore, nearest: Nearest) -> None:
        """Removing is no ban."""
        keep(store, entry("a1"))
        store.remove(["a1"])
        keep(store, entry("a1"))
        assert ids(nearest("50", AXIS, 16)) == ["a1"]

    def test_invalidating_a_tag_removes_all_that_have_it(self, store: SimilarStore, nearest: Nearest) -> None:
        """In every scope, whatever else they are tagged with; entries without it stay."""
        both = frozenset({"prices", "terms"})
        keep(
            store,
            entry("a1", apart(0.9), tags=frozenset({"prices"})), entry("a2", apart(0.8), tags=both),
            entry("a3", apart(0.7), tags=frozenset({"terms"})), entry("a4", apart(0.6)),
            entry("a5", scope="51", tags=both),
        )  # fmt: skip
        assert store.invalidate("prices") == 3
        assert ids(nearest("50", AXIS, 16)) == ["a3", "a4"]
        assert nearest("51", AXIS, 16) == []
        assert store.invalidate("prices") == 0
        keep(store, entry("a1", apart(0.9), tags=frozenset({"prices"})))
        assert ids(nearest("50", AXIS, 16)) == ["a1", "a3", "a4"]

    @pytest.mark.parametrize(
        "tag", ["price", "a b", "a,b", "x|y", "{x}", "v1.2-rc*", "größe", "100%", "a'b\"c", "@t:[1]"]
    )
    def test_tags_are_plain_text(self, store: SimilarStore, tag: str) -> None:
        """A tag means itself, whatever its characters mean to the store; no part of it matches."""
        keep(store, entry("a1", tags=frozenset({tag})), entry("a2", tags=frozenset({tag + "s", "a", "b", "x", "y"})))
        assert store.invalidate(tag) == 1
        assert [one.id for one, _ in store.entries()] == ["a2"]

    def test_a_cleared_store_is_empty_and_goes_on(self, store: SimilarStore, nearest: Nearest) -> None:
        """What was kept and what still waited to be written are both gone; what comes after stays."""
        keep(store, entry("a1"))
        store.used("a1")
        store.add(entry("a2", scope="51"))
        store.clear()
        assert (nearest("50", AXIS, 16), nearest("51", AXIS, 16), list(store.entries())) == ([], [], [])
        keep(store, entry("a1"))
        assert hits(store) == {"a1": 0}

    # -- time

    @pytest.mark.parametrize(
        ("lives_s", "after_s", "served"),
        [(100, 99.5, True), (100, 100, False), (100, 1e6, False), (None, 1e8, True)],
    )
    def test_expiry(
        self, store: SimilarStore, nearest: Nearest, clock: Clock, lives_s: float | None, after_s: float, served: bool
    ) -> None:
        """An entry is found until its time is up and not a moment longer; without a time it stays."""
        keep(store, entry("a1", expires_at=None if lives_s is None else clock.now + lives_s))
        clock.now += after_s
        assert (nearest("50", AXIS, 1) != []) == served
        assert (list(store.entries()) != []) == served
        assert store.remove(["a1"]) == served

    def test_an_expired_entry_takes_nobodys_place(self, store: SimilarStore, nearest: Nearest, clock: Clock) -> None:
        """The one nearest that is alive is found, though closer ones have expired."""
        keep(store, *(entry(f"a{n}", apart(0.9, n), expires_at=clock.now + 100 + n) for n in range(1, 9)))
        keep(store, entry("b1", apart(0.5), expires_at=clock.now + HOUR))
        clock.now += 150
        assert ids(nearest("50", AXIS, 1)) == ["b1"]

    def test_an_entry_that_comes_too_late_is_never_found(
        self, store: SimilarStore, nearest: Nearest, clock: Clock
    ) -> None:
        """Expired when added is expired."""
        keep(store, entry("a1", expires_at=clock.now), entry("a2", apart(0.5)))
        assert ids(nearest("50", AXIS, 16)) == ["a2"]

    def test_adding_again_starts_a_new_life(self, store: SimilarStore, nearest: Nearest, clock: Clock) -> None:
        """The last expiry counts, be it earlier, later or none."""
        keep(store, entry("a1", apart(0.9), expires_at=clock.now + 100))
        keep(store, entry("a2", apart(0.8), expires_at=clock.now + HOUR))
        keep(store, entry("a3", apart(0.7), expires_at=clock.now + 100))
        keep(store, entry("a1", apart(0.9), expires_at=clock.now + HOUR))
        keep(store, entry("a2", apart(0.8), expires_at=clock.now + 100))
        keep(store, entry("a3", apart(0.7)))
        clock.now += 200
        assert ids(nearest("50", AXIS, 16)) == ["a1", "a3"]

    # -- hits and listing

    def test_hits_are_counted(self, store: SimilarStore) -> None:
        """Serving is counted by entry; finding alone is not, and an unknown id is no error."""
        keep(store, entry("a1"), entry("a2", scope="51"), entry("a3"))
        for key in ("a1", "a2", "a1", "ff", "a1"):
            store.used(key)
        store.nearest("50", AXIS, 16)
        store.flush()
        assert hits(store) == {"a1": 3, "a2": 1, "a3": 0}

    def test_entries_are_listed_by_scope_or_all(self, store: SimilarStore) -> None:
        """Whole ones."""
        kept = [entry("a1", direction(1)), entry("a2", direction(2), scope="51", tags=frozenset({"t"}))]
        keep(store, *kept)
        assert [fields(one) for one, _ in store.entries("51")] == [fields(kept[1])]
        assert sorted(fields(one) for one, _ in store.entries()) == sorted(map(fields, kept))
        assert list(store.entries("52")) == []

    # -- together

    def test_threads_share_a_store(self, store: SimilarStore) -> None:
        """Whatever a thread finds is whole: the vector, the question and the value are of one entry."""
        start = threading.Barrier(8)

        def work(worker: int) -> None:
            start.wait()
            for n in range(40):
                seed = worker * 1000 + n
                store.add(entry(f"{n:x}", direction(seed), question=str(seed), value=json.dumps(seed).encode()))
                store.used(f"{n:x}")
                if n % 10 == 9:
                    store.remove([f"{n:x}"])
                for found in store.nearest("50", direction(seed), 4):
                    seen = int(found.entry.question)
                    assert json.loads(found.entry.value) == seen
                    assert found.entry.vector.tobytes() == direction(seen).tobytes()

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(work, worker) for worker in range(8)]:
                done.result()
        store.flush()
        assert {one.id for one, _ in store.entries()} <= {f"{n:x}" for n in range(40)}

    async def test_tasks_share_a_store(self, store: SimilarStore) -> None:
        """Concurrent lookups get each their own neighbours."""
        keep(store, *(entry(f"{n:x}", direction(n)) for n in range(50)))
        found = await asyncio.gather(*(store.anearest("50", direction(n), 1) for n in range(50)))
        assert [ids(one) for one in found] == [[f"{n:x}"] for n in range(50)]

    def test_event_loops_share_a_store(self, store: SimilarStore) -> None:
        """Loops of several threads, one after another too: a store belongs to none."""
        keep(store, *(entry(f"{n:x}", direction(n)) for n in range(8)))

        async def ask(seed: int) -> list[str]:
            return ids(await store.anearest("50", direction(seed), 1))

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda n: asyncio.run(ask(n)), [*range(8), *range(8)]))
        assert found == [[f"{n % 8:x}"] for n in range(16)]

    def test_close_may_be_repeated(self, store: SimilarStore) -> None:
        """Whoever closes last does no harm, and flushing nothing returns."""
        store.flush()
        keep(store, entry("a1"))
        store.close()
        store.close()

    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors], max_examples=30
    )
    @given(steps=_steps)
    def test_any_history_gives_what_comparing_with_each_gives(
        self, store: SimilarStore, clock: Clock, steps: list[tuple[Any, ...]]
    ) -> None:
        """Additions, removals, expiries and lookups in any order agree with a list that is searched from end to end."""
        store.clear()
        model = Model(clock)
        for step in [*steps, ("nearest", "50", 0, 9), ("nearest", "51", 1, 9)]:
            self._take(step, store, model)
        store.flush()
        listed = {one.id: (fields(one), count) for one, count in store.entries()}
        assert listed == {key: (fields(one), count) for key, (one, count) in model.alive().items()}

    def _take(self, step: tuple[Any, ...], store: SimilarStore, model: Model) -> None:
        now = model.clock.now
        match step:
            case ("add", n, scope, variant, lives_s):
                expires_at = None if lives_s is None else now + lives_s
                vector, tags = direction(10 * n + variant), frozenset({f"t{variant}"})
                one = entry(f"{n:x}", vector, scope=scope, tags=tags, stored_at=now, expires_at=expires_at)
                store.add(one)
                model.kept[one.id] = (one, 0)
            case ("remove", several):
                store.flush()
                gone = {f"{n:x}" for n in several}
                assert store.remove(sorted(gone)) == model.remove(lambda one: one.id in gone)
            case ("invalidate", variant):
                store.flush()
                assert store.invalidate(f"t{variant}") == model.remove(lambda one: f"t{variant}" in one.tags)
            case ("used", n):
                store.flush()
                store.used(f"{n:x}")
                for one, count in [kept for kept in model.alive().values() if kept[0].id == f"{n:x}"]:
                    model.kept[one.id] = (one, count + 1)
            case ("pass", seconds):
                model.clock.now += seconds
            case ("clear",):
                store.clear()
                model.kept.clear()
            case ("nearest", scope, seed, k):
                store.flush()
                expected = brute_force([one for one, _ in model.kept.values()], scope, direction(500 + seed), k, now)
                assert ids(store.nearest(scope, direction(500 + seed), k)) == expected


class EvictionSuite:
    """Subclass it and give the fixture `open_store`, which opens a store with the suite's `clock` and given bounds."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def open_store(self, clock: Clock) -> Callable[..., SimilarStore]:
        raise NotImplementedError("give what opens the store under test with `max_entries` or `max_bytes`")

    def kept(self, store: SimilarStore) -> str:
        store.flush()
        # A store may learn of what had to go at its next lookup.
        assert {one.entry.id for one in store.nearest("50", AXIS, 99)} == {one.id for one, _ in store.entries()}
        return " ".join(sorted(one.id for one, _ in store.entries()))

    def test_of_equal_entries_the_oldest_goes(self, open_store: Callable[..., SimilarStore]) -> None:
        """Same price, same size, never served: first in, first out."""
        store = open_store(max_entries=3)
        for n in range(1, 6):
            keep(store, entry(f"a{n}", pico_usd=1000))
        assert self.kept(store) == "a3 a4 a5"

    def test_the_cheaper_goes(self, open_store: Callable[..., SimilarStore]) -> None:
        """An answer that cost more stays longer, whenever it came."""
        store = open_store(max_entries=2)
        for key, pico_usd in (("a1", 9_000_000_000), ("a2", 5_000_000), ("a3", 7_000_000_000)):
            keep(store, entry(key, pico_usd=pico_usd))
        assert self.kept(store) == "a1 a3"

    def test_the_larger_goes(self, open_store: Callable[..., SimilarStore]) -> None:
        """At one price the one that takes more room goes."""
        store = open_store(max_entries=2)
        for key, letters in (("a1", 10), ("a2", 50_000), ("a3", 10)):
            keep(store, entry(key, pico_usd=10**9, value=json.dumps("x" * letters).encode()))
        assert self.kept(store) == "a1 a3"

    def test_what_is_served_stays(self, open_store: Callable[..., SimilarStore]) -> None:
        """Each hit counts as another time that the answer would have been paid for, unpriced answers included."""
        for pico_usd in (0, 10**9):
            store = open_store(max_entries=2)
            keep(store, entry("a1", pico_usd=pico_usd), entry("a2", pico_usd=pico_usd))
            store.used("a1")
            store.flush()
            keep(store, entry("a3", pico_usd=pico_usd))
            assert self.kept(store) == "a1 a3"

    def test_old_fame_fades(self, open_store: Callable[..., SimilarStore]) -> None:
        """What was served often and is no more goes in the end: the clock rises with everything that goes."""
        store = open_store(max_entries=2)
        keep(store, entry("a1", pico_usd=10**9))
        for _ in range(3):
            store.used("a1")
        store.flush()
        for n in range(10):
            keep(store, entry(f"b{n}", pico_usd=10**9))
        assert self.kept(store) == "b8 b9"

    def test_the_byte_bound_holds(self, open_store: Callable[..., SimilarStore]) -> None:
        """Vectors, values and questions together never take more than `max_bytes`."""
        store = open_store(max_bytes=40_000)
        for n in range(200):
            keep(store, entry(f"{n:x}", direction(n), question="q" * 100, value=json.dumps("v" * (n * 7)).encode()))
        sizes = [one.vector.nbytes + len(one.value) + len(one.question) for one, _ in store.entries()]
        assert sum(sizes) <= 40_000
        assert sum(sizes) >= 20_000
        assert len(store.nearest("50", AXIS, 200)) == len(sizes)

    def test_one_entry_cannot_push_out_all(self, open_store: Callable[..., SimilarStore]) -> None:
        """An entry that would take half of the room is not admitted, however dear, and nobody goes for it."""
        store = open_store(max_bytes=100_000)
        small = [entry(f"a{n}", apart(0.9, n), pico_usd=1) for n in range(1, 9)]
        keep(store, *small, entry("ff", value=json.dumps("x" * 50_000).encode(), pico_usd=10**15))
        assert self.kept(store) == " ".join(one.id for one in small)

    def test_a_replacement_that_is_not_admitted_still_replaces(self, open_store: Callable[..., SimilarStore]) -> None:
        """The old answer is out of date either way."""
        store = open_store(max_bytes=100_000)
        keep(store, entry("a1"), entry("a2"))
        keep(store, entry("a1", value=json.dumps("x" * 50_000).encode()))
        assert self.kept(store) == "a2"

    def test_the_expired_go_before_the_living(self, open_store: Callable[..., SimilarStore], clock: Clock) -> None:
        """No room is taken from a cheap entry while a dear one has expired."""
        store = open_store(max_entries=2)
        keep(store, entry("a1", pico_usd=10**12, expires_at=clock.now + 100), entry("a2", pico_usd=1))
        clock.now += 100
        keep(store, entry("a3", pico_usd=1))
        assert self.kept(store) == "a2 a3"

    @pytest.mark.parametrize("bound", ["max_entries", "max_bytes"])
    def test_no_room_at_all_is_refused(self, open_store: Callable[..., SimilarStore], bound: str) -> None:
        """A store that could hold nothing is a mistake."""
        with pytest.raises(ConfigError, match=f"{bound} is 0"):
            open_store(**{bound: 0})
