"""What every store of the exact cache does where there is too little room: who goes, whose room it is, and what it was
worth.

Inherit `RoomSuite` and `HitsSuite`, and give them the fixtures of `StoreSuite`: `open_store` takes the bounds.
"""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuppence.cache import Store
from tuppence.errors import ConfigError

from .store_suite import Clock, OpenStore

CENT = 10**10
"""In pico-USD."""


def keep(store: Store, key: str, *, size: int = 10, ttl_s: float | None = None, **about: object) -> None:
    """Put a value of so many bytes, so that every reader finds it."""
    store.put(key, b"x" * size, ttl_s, **about)
    store.flush()


def serve(store: Store, key: str, times: int = 1) -> None:
    for _ in range(times):
        assert store.get(key) is not None
    store.flush()


def kept(store: Store, keys: str) -> str:
    return "".join(key for key in keys if store.get(key) is not None)


class RoomSuite:
    """Who goes."""

    def test_of_equal_answers_the_oldest_goes(self, open_store: OpenStore) -> None:
        """Same price, same size, never served: first in, first out, of priced ones and of others."""
        for pico_usd in (0, CENT):
            store = open_store(max_entries=3)
            for key in "abcde":
                keep(store, key, pico_usd=pico_usd)
            assert kept(store, "abcde") == "cde"

    def test_a_cheap_answer_does_not_stay_for_being_young(self, open_store: OpenStore) -> None:
        """The newest may be the one to go."""
        store = open_store(max_entries=2)
        for key, pico_usd in (("a", 9 * CENT), ("b", 7 * CENT), ("c", CENT // 100)):
            keep(store, key, pico_usd=pico_usd)
        assert kept(store, "abc") == "ab"

    def test_a_dear_answer_that_is_served_does_not_go_for_being_old(self, open_store: OpenStore) -> None:
        """A hundred cheap ones come and go meanwhile."""
        store = open_store(max_entries=3)
        keep(store, "dea1", pico_usd=9 * CENT)
        serve(store, "dea1")
        for number in range(100):
            keep(store, f"{number:x}", pico_usd=CENT // 100)
        assert store.get("dea1") is not None

    def test_the_larger_goes(self, open_store: OpenStore) -> None:
        """At one price the one that takes more room goes."""
        store = open_store(max_entries=2)
        for key, size in (("a", 10), ("b", 5000), ("c", 20)):
            keep(store, key, size=size, pico_usd=CENT)
        assert kept(store, "abc") == "ac"

    def test_what_is_served_stays(self, open_store: OpenStore) -> None:
        """Each hit counts as another time that the answer would have been paid for, unpriced answers included."""
        for pico_usd in (0, CENT):
            store = open_store(max_entries=3)
            for key in "abc":
                keep(store, key, pico_usd=pico_usd)
            store.get("a")
            store.used("b")
            keep(store, "d", pico_usd=pico_usd)
            assert kept(store, "abcd") == "abd"

    @pytest.mark.parametrize(("came", "stays"), [(9, True), (40, False)])
    def test_old_fame_fades(self, open_store: OpenStore, came: int, stays: bool) -> None:
        """What was dear, and served, and is no more goes in the end: the clock rises with everything that goes."""
        store = open_store(max_entries=2)
        keep(store, "dea1", pico_usd=5 * CENT)
        serve(store, "dea1", 2)
        for number in range(came):
            keep(store, f"{number:x}", pico_usd=CENT)
        assert (store.get("dea1") is not None) == stays

    def test_being_served_makes_young_again(self, open_store: OpenStore) -> None:
        """What a hit is worth counts from where the clock stands by then, not from where it stood at first."""
        store = open_store(max_entries=2)
        keep(store, "dea1", pico_usd=5 * CENT)
        for number in range(8):
            keep(store, f"{number:x}", pico_usd=CENT)
        serve(store, "dea1")
        for number in range(17):
            keep(store, f"a{number:x}", pico_usd=CENT)
        assert store.get("dea1") is not None

    def test_the_bytes_are_bounded(self, open_store: OpenStore) -> None:
        """Values together never take more than `max_bytes`, and no more go than must."""
        store = open_store(max_bytes=1600)
        for number in range(100):
            keep(store, f"{number:x}", size=number)
        sizes = [number for number in range(100) if store.get(f"{number:x}") is not None]
        assert 1400 < sum(sizes) <= 1600

    def test_one_value_cannot_push_out_all(self, open_store: OpenStore) -> None:
        """One of more than a sixteenth of the room is not kept, however dear; what it replaces is out of date."""
        store = open_store(max_bytes=160)
        for key in "abcd":
            keep(store, key, size=10)
        keep(store, "e", size=11, pico_usd=10**15)
        keep(store, "a", size=11)
        assert kept(store, "abcde") == "bcd"

    def test_the_expired_go_before_the_living(self, open_store: OpenStore, clock: Clock) -> None:
        """No room is taken from a cheap answer while a dear one has expired."""
        store = open_store(max_entries=2)
        keep(store, "a", pico_usd=9 * CENT, ttl_s=100)
        keep(store, "b", pico_usd=CENT)
        clock.now += 100
        keep(store, "c", pico_usd=CENT)
        assert kept(store, "abc") == "bc"

    def test_room_is_given_back(self, open_store: OpenStore) -> None:
        """By deleting, invalidating, replacing and clearing: what is gone takes nobody's place."""
        store = open_store(max_entries=3, max_bytes=480)
        for key in "abc":
            keep(store, key, size=30, tags=frozenset({"page"}))
        store.delete("a")
        assert store.invalidate("page") == 2
        for key in "defdef":
            keep(store, key, size=30)
        assert kept(store, "abcdef") == "def"
        store.clear()
        for key in "ghi":
            keep(store, key, size=30)
        assert kept(store, "ghi") == "ghi"

    @pytest.mark.parametrize(
        ("bounds", "said"),
        [
            ({"max_entries": 0}, "max_entries is 0: it must be 1 or more"),
            ({"max_bytes": 0}, "max_bytes is 0: it must be 1 or more"),
            (
                {"max_entries": 9, "max_share_per_tenant": 0.0},
                "max_share_per_tenant is 0.0: it must be above 0 and below",
            ),
            (
                {"max_entries": 9, "max_share_per_tenant": 1.0},
                "max_share_per_tenant is 1.0: it must be above 0 and below",
            ),
        ],
    )
    def test_bounds_that_cannot_hold_are_refused(
        self, open_store: OpenStore, bounds: dict[str, float], said: str
    ) -> None:
        """A store that could hold nothing is a mistake."""
        with pytest.raises(ConfigError, match=said):
            open_store(**bounds)

    # -- whose room

    @pytest.mark.parametrize("bound", [{"max_entries": 8}, {"max_bytes": 160}], ids=["entries", "bytes"])
    def test_a_tenant_cannot_push_out_the_others(self, open_store: OpenStore, bound: dict[str, int]) -> None:
        """However many and however dear its answers are, they push out their own kind."""
        store = open_store(**bound, max_share_per_tenant=0.5)
        for key in "abcd":
            keep(store, key, tenant="quiet")
        for number in range(50):
            keep(store, f"b{number:x}", pico_usd=CENT * (1 + number), tenant="noisy")
        assert kept(store, "abcd") == "abcd"
        left = [number for number in range(50) if store.get(f"b{number:x}") is not None]
        assert len(left) == (4 if "max_entries" in bound else 8)

    def test_within_its_part_a_tenants_cheapest_goes(self, open_store: OpenStore) -> None:
        """The same order as where there is no room at all; a hit counts."""
        store = open_store(max_entries=100, max_share_per_tenant=0.03)
        for key, pico_usd in (("a", 5 * CENT), ("b", CENT), ("c", 2 * CENT)):
            keep(store, key, pico_usd=pico_usd, tenant="ann")
        serve(store, "b", 2)
        keep(store, "d", pico_usd=4 * CENT, tenant="ann")
        assert kept(store, "abcd") == "abd"

    def test_those_of_no_tenant_share_one_part(self, open_store: OpenStore) -> None:
        """They cannot push out a tenant's answers either."""
        store = open_store(max_entries=4, max_share_per_tenant=0.5)
        keep(store, "a", tenant="ann")
        for key in "bcd":
            keep(store, key, pico_usd=CENT)
        assert kept(store, "abcd") == "acd"

    def test_a_tenant_gets_its_room_back(self, open_store: OpenStore, clock: Clock) -> None:
        """By deleting, invalidating, by expiry, and where another tenant's answer takes the key."""
        store = open_store(max_entries=8, max_share_per_tenant=0.5)
        keep(store, "a", tenant="ann")
        keep(store, "b", tenant="ann", tags=frozenset({"page"}))
        keep(store, "c", tenant="ann", ttl_s=10)
        keep(store, "d", tenant="ann")
        store.delete("a")
        store.invalidate("page")
        clock.now += 10
        keep(store, "d", tenant="bob")
        for key in "efgh":
            keep(store, key, tenant="ann")
        assert kept(store, "abcdefgh") == "defgh"

    def test_without_a_quota_a_tenant_may_take_all(self, open_store: OpenStore) -> None:
        """Whose answer it is makes no difference then."""
        store = open_store(max_entries=2)
        keep(store, "a", tenant="ann")
        keep(store, "b", tenant="bob")
        keep(store, "c", tenant="bob")
        assert kept(store, "abc") == "bc"

    # -- any history

    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
        max_examples=60,
        deadline=None,
    )
    @given(
        steps=st.lists(
            st.one_of(
                st.tuples(
                    st.just("put"), st.sampled_from("abcdefghij"), st.sampled_from([0, 1, 10, 20, 40, 45]),
                    # Near enough to each other for the clock to pass from one to the next.
                    st.sampled_from([0, 10, 20, 70, 1000]), st.sampled_from([None, "ann", "bob"]),
                    st.sampled_from([None, None, None, 5]),
                ),
                st.tuples(st.just("get"), st.sampled_from("abcdefghij")),
                st.tuples(st.just("used"), st.sampled_from("abcdefghij")),
                st.tuples(st.just("delete"), st.sampled_from("abcdefghij")),
                st.tuples(st.just("pass"), st.integers(1, 10)),
            ),
            max_size=60,
        ),
        share=st.sampled_from([None, 0.4]),
    )  # fmt: skip
    def test_any_history_ends_as_its_definition_says(
        self, open_store: OpenStore, clock: Clock, steps: list[tuple], share: float | None
    ) -> None:
        """No bound is ever passed; who goes is who Greedy-Dual-Size-Frequency says, looking at all each time; and of
        one tenant's answers none stays that is worth less than one that went, unless it was used after that one.
        """
        store = open_store(max_entries=6, max_bytes=640, max_share_per_tenant=share)
        model = Model(clock, 6, 640, share)
        for step in steps:
            match step:
                case ("put", key, size, pico_usd, tenant, ttl_s):
                    store.put(key, b"x" * size, ttl_s, pico_usd=pico_usd, tenant=tenant)
                    model.put(key, size, pico_usd, tenant, ttl_s)
                case ("get", key):
                    store.get(key)
                    model.used(key)
                case ("used", key):
                    if model.is_alive(key):
                        store.used(key)
                        model.used(key)
                case ("delete", key):
                    store.delete(key)
                    model.kept.pop(key, None)
                case ("pass", seconds):
                    clock.now += seconds
            store.flush()
        assert {one.key: one.hits for one in store.most_hit(99)} == {
            key: one.hits for key, one in model.kept.items() if one.hits and model.is_alive(key)
        }
        assert kept(store, "abcdefghij") == "".join(sorted(key for key in model.kept if model.is_alive(key)))
        model.check()


@dataclass
class Kept:
    """One answer of the model."""

    size: int
    cost: float
    tenant: str | None
    expires_at: float | None
    used_at: int
    clock: float
    hits: int = 0

    @property
    def worth(self) -> float:
        return (1 + self.hits) * self.cost / max(self.size, 1)

    @property
    def rank(self) -> float:
        return self.clock + self.worth


class Model:
    """Greedy-Dual-Size-Frequency as it is defined, without any of what makes it fast."""

    def __init__(self, now: Clock, max_entries: int, max_bytes: int, share: float | None) -> None:
        self.now = now
        self.all = (max_entries, max_bytes)
        self.part = None if share is None else (int(max_entries * share), int(max_bytes * share))
        self.kept: dict[str, Kept] = {}
        self.gone: list[Kept] = []
        self.clock = 0.0
        self.steps = 0

    def is_alive(self, key: str) -> bool:
        one = self.kept.get(key)
        return one is not None and (one.expires_at is None or self.now.now < one.expires_at)

    def put(self, key: str, size: int, pico_usd: int, tenant: str | None, ttl_s: float | None) -> None:
        self.kept.pop(key, None)
        if size > self.all[1] / 16:
            return
        ends = None if ttl_s is None else self.now.now + ttl_s
        self.steps += 1
        self.kept[key] = Kept(size, float(max(pico_usd, 1)), tenant, ends, self.steps, self.clock)
        self.kept = {one: self.kept[one] for one in self.kept if self.is_alive(one)}
        if self.part is not None:
            self.make_room(self.part, tenant, is_all=False)
        self.make_room(self.all, None, is_all=True)

    def make_room(self, bounds: tuple[int, int], tenant: str | None, *, is_all: bool) -> None:
        while True:
            ours = {key: one for key, one in self.kept.items() if is_all or one.tenant == tenant}
            if len(ours) <= bounds[0] and sum(one.size for one in ours.values()) <= bounds[1]:
                return
            key = min(ours, key=lambda one: ours[one].rank)
            self.clock = max(self.clock, ours[key].rank)
            self.gone.append(self.kept.pop(key))

    def used(self, key: str) -> None:
        if self.is_alive(key):
            self.steps += 1
            one = self.kept[key]
            one.hits, one.used_at, one.clock = one.hits + 1, self.steps, self.clock

    def check(self) -> None:
        """Assert what is promised, without the clock."""
        stay = list(self.kept.values())
        parts = {one.tenant for one in stay} if self.part is not None else set()
        for bounds, ours in [
            (self.all, stay),
            *((self.part, [one for one in stay if one.tenant == tenant]) for tenant in parts),
        ]:
            assert len(ours) <= bounds[0]
            assert sum(one.size for one in ours) <= bounds[1]
        for gone in self.gone:
            for one in stay:
                assert one.tenant != gone.tenant or one.worth >= gone.worth or one.used_at > gone.used_at


class HitsSuite:
    """What was served, and how often."""

    def test_hits_are_counted(self, open_store: OpenStore, clock: Clock) -> None:
        """Most first, with what they saved; what was never served is left out."""
        store = open_store()
        for key, pico_usd in (("a", CENT), ("b", 3 * CENT), ("c", CENT), ("d", 0)):
            keep(store, key, pico_usd=pico_usd)
        clock.now += 60
        serve(store, "a", 2)
        serve(store, "b", 2)
        serve(store, "d", 3)
        found = store.most_hit(9)
        assert [(one.key, one.hits) for one in found] == [("d", 3), ("b", 2), ("a", 2)]
        assert [one.saved for one in found] == [Decimal(0), Decimal("0.06"), Decimal("0.02")]
        assert {one.value for one in found} == {b"x" * 10}
        assert {one.age_s for one in found} == {60.0}
        assert [one.key for one in store.most_hit(2)] == ["d", "b"]
        assert store.most_hit(0) == []

    def test_who_waited_for_an_answer_counts_as_served(self, open_store: OpenStore) -> None:
        """It got past the store; what is not there counts nothing."""
        store = open_store()
        keep(store, "a")
        store.used("a")
        store.used("b")
        store.flush()
        assert [(one.key, one.hits) for one in store.most_hit(9)] == [("a", 1)]

    def test_a_new_answer_has_no_hits(self, open_store: OpenStore) -> None:
        """Those of the one that it replaces were another's."""
        store = open_store()
        keep(store, "a")
        serve(store, "a", 3)
        keep(store, "a")
        assert store.most_hit(9) == []
        serve(store, "a")
        assert [one.hits for one in store.most_hit(9)] == [1]

    def test_what_is_gone_is_not_listed(self, open_store: OpenStore, clock: Clock) -> None:
        """Deleted, invalidated, expired, cleared."""
        store = open_store()
        for key in "abcd":
            keep(store, key, ttl_s=10 if key == "c" else None, tags=frozenset({"page"} if key == "b" else ()))
            serve(store, key)
        store.delete("a")
        store.invalidate("page")
        clock.now += 10
        assert [one.key for one in store.most_hit(9)] == ["d"]
        store.clear()
        assert store.most_hit(9) == []
