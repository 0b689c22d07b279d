"""A model of budgets' counters: what any store of them should say, made of dictionaries."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from tuppence.effects import Charge, Granted, Refused, Release, Reserve

NOBODYS = Charge("nobody's/2026-11", "nobody's", 100, 0.0)

_holds = st.sampled_from("xyz")
steps = st.one_of(
    st.tuples(
        st.just("reserve"), _holds, st.integers(0, 60), st.sets(st.integers(0, 2), min_size=1), st.integers(0, 10)
    ),
    st.tuples(st.just("release"), _holds, st.integers(0, 60)),
    st.tuples(st.just("sweep"), st.integers(0, 10)),
)


@dataclass
class Model:
    """Counters as they should be."""

    counters: dict[str, tuple[int, int]] = field(default_factory=dict)
    holds: dict[str, tuple[float, dict[str, int]]] = field(default_factory=dict)
    swept: set[str] = field(default_factory=set)
    charged: dict[str, tuple[Charge, ...]] = field(default_factory=dict)

    def charges_of(self, hold: str) -> tuple[Charge, ...]:
        return self.charged.get(hold, (NOBODYS,))

    def reserve(self, wanted: Reserve) -> Granted | Refused:
        at, had = self.holds.get(wanted.hold, (0.0, {}))
        for one in wanted.charges:
            spent, held = self.counters.get(one.counter, (0, 0))
            rise = wanted.pico_usd - had.get(one.counter, 0)
            if one.limit is not None and rise > 0 and spent + held + rise > one.limit:
                return Refused(one, spent, held)
        amounts = dict(had)
        for one in wanted.charges:
            spent, held = self.counters.get(one.counter, (0, 0))
            amounts[one.counter] = max(wanted.pico_usd, had.get(one.counter, 0))
            self.counters[one.counter] = (spent, held + amounts[one.counter] - had.get(one.counter, 0))
        self.holds[wanted.hold] = (max(at, wanted.at), amounts)
        self.swept.discard(wanted.hold)
        self.charged[wanted.hold] = wanted.charges
        return Granted()

    def give_back(self, hold: str) -> bool:
        _, amounts = self.holds.pop(hold, (0.0, {}))
        for counter, amount in amounts.items():
            spent, held = self.counters[counter]
            self.counters[counter] = (spent, held - amount)
        return bool(amounts)

    def release(self, closing: Release) -> None:
        if self.give_back(closing.hold) or closing.hold in self.swept:
            self.swept.discard(closing.hold)
            for one in closing.charges:
                spent, held = self.counters[one.counter]
                self.counters[one.counter] = (spent + closing.pico_usd, held)

    def sweep(self, before: float) -> int:
        old = [hold for hold, (at, _) in self.holds.items() if at <= before]
        for hold in old:
            self.give_back(hold)
            self.swept.add(hold)
        return len(old)
