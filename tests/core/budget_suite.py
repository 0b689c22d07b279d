"""What every store of budgets' counters promises, whatever it is made of and wherever it lies."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuppence.effects import Charge, Granted, Refused, Release, Reserve
from tuppence.errors import BudgetError
from tuppence.spend.budgets.counters import FORGET_S, Correction, Count, Counters
from tuppence.spend.budgets.leases import Leased

from .budget_model import Model, steps

OpenCounters = Callable[[], Counters]
"""Opens another handle on the same counters, empty for each test."""
Ask = Callable[[Counters | Leased, Reserve], Granted | Refused]
"""Reserves from a thread, or from an event loop."""

NOW = float(int(time.time()))
HOUR = 3600.0
_numbers = itertools.count()


def charge(name: str = "month", limit: int | None = 100, until: float = NOW + HOUR) -> Charge:
    return Charge(f"{name}/2026-11", name, limit, until)


def reserve(store: Counters | Leased, hold: str, pico: int, *charges: Charge, at: float = NOW) -> Reserve:
    return Reserve(store, hold, charges or (charge(),), pico, at)


def release(store: Counters | Leased, hold: str, pico: int, *charges: Charge) -> Release:
    return Release(store, hold, charges or (charge(),), pico)


def standing(store: Counters, name: str = "month") -> tuple[int, int]:
    """What is spent and held, once all releases are carried out."""
    store.flush()
    found = {one.budget: (one.spent, one.held) for one in store.counts()}
    return found.get(name, (0, 0))


class BudgetSuite:
    """Inherit it, and give it a fixture `open_counters`."""

    @pytest.fixture
    def store(self, open_counters: OpenCounters) -> Counters:
        return open_counters()

    @pytest.fixture(params=["thread", "loop"])
    def ask(self, request: pytest.FixtureRequest) -> Iterator[Ask]:
        if request.param == "thread":
            yield lambda store, wanted: store.reserve(wanted)
            return
        with asyncio.Runner() as runner:
            yield lambda store, wanted: runner.run(_outcome(store.areserve(wanted)))

    def test_what_is_reserved_is_held_and_what_was_spent_is_charged(self, store: Counters, ask: Ask) -> None:
        """The difference goes back."""
        assert ask(store, reserve(store, "h1", 60)) == Granted()
        assert standing(store) == (0, 60)
        store.release(release(store, "h1", 25))
        assert standing(store) == (25, 0)

    def test_a_call_without_room_is_refused_and_told_why(self, store: Counters, ask: Ask) -> None:
        """Spent and held together may reach the limit and not pass it."""
        ask(store, reserve(store, "h1", 60))
        store.release(release(store, "h1", 30))
        store.flush()
        assert ask(store, reserve(store, "h2", 50)) == Granted()
        assert ask(store, reserve(store, "h3", 21)) == Refused(charge(), 30, 50)
        assert ask(store, reserve(store, "h3", 20)) == Granted()

    def test_a_counter_that_nobody_used_can_refuse(self, store: Counters, ask: Ask) -> None:
        """And is not made by that."""
        assert ask(store, reserve(store, "h1", 101)) == Refused(charge(), 0, 0)
        assert store.counts() == []

    def test_all_counters_or_none(self, store: Counters, ask: Ask) -> None:
        """The one without room is named, whatever its place."""
        wide, narrow = charge("month", 100), charge("day", 10)
        for order in ((wide, narrow), (narrow, wide)):
            assert ask(store, reserve(store, "h1", 11, *order)) == Refused(narrow, 0, 0)
        assert standing(store, "month") == standing(store, "day") == (0, 0)
        assert ask(store, reserve(store, "h1", 10, wide, narrow)) == Granted()
        assert standing(store, "month") == standing(store, "day") == (0, 10)
        store.release(release(store, "h1", 4, wide, narrow))
        assert standing(store, "month") == standing(store, "day") == (4, 0)

    def test_a_hold_reserved_twice_counts_once_and_only_rises(self, store: Counters, ask: Ask) -> None:
        """To what is asked for in all; refused, it stays as it was."""
        for wanted, held in ((40, 40), (40, 40), (30, 40), (70, 70)):
            assert ask(store, reserve(store, "h1", wanted)) == Granted()
            assert standing(store) == (0, held)
        assert ask(store, reserve(store, "h1", 101)) == Refused(charge(), 0, 70)
        assert standing(store) == (0, 70)
        store.release(release(store, "h1", 65))
        assert standing(store) == (65, 0)

    def test_what_is_held_already_needs_no_room(self, store: Counters, ask: Ask) -> None:
        """Also when the limit was lowered meanwhile; nor does a call that costs nothing."""
        ask(store, reserve(store, "h1", 80))
        lowered = replace(charge(), limit=50)
        assert ask(store, reserve(store, "h1", 80, lowered)) == Granted()
        assert ask(store, reserve(store, "h2", 0, lowered)) == Granted()
        assert ask(store, reserve(store, "h1", 81, lowered)) == Refused(lowered, 0, 80)

    def test_a_release_counts_once(self, store: Counters, ask: Ask) -> None:
        """However often it comes; that of a hold which was never made counts nothing."""
        ask(store, reserve(store, "h1", 60))
        for _ in range(3):
            store.release(release(store, "h1", 25))
        store.release(release(store, "refused", 7))
        assert standing(store) == (25, 0)

    def test_no_limit_counts_without_limiting(self, store: Counters, ask: Ask) -> None:
        """And leaves the limit that others gave to be shown."""
        ask(store, reserve(store, "h1", 90))
        open_one = replace(charge(), limit=None)
        assert ask(store, reserve(store, "h2", 500, open_one)) == Granted()
        (count,) = store.counts()
        assert count == Count("month/2026-11", "month", 0, 590, 100, NOW + HOUR)

    @pytest.mark.parametrize("large", [2**53 + 1, 2**63 + 1, 10**24 + 1])
    def test_money_is_exact_at_any_size(self, store: Counters, ask: Ask, large: int) -> None:
        """To the pico-dollar, beyond what doubles and 64 bits hold."""
        limited = charge(limit=2 * large)
        assert ask(store, reserve(store, "h1", large, limited)) == Granted()
        assert ask(store, reserve(store, "h2", large + 1, limited)) == Refused(limited, 0, large)
        assert ask(store, reserve(store, "h2", large, limited)) == Granted()
        store.release(release(store, "h1", large - 1, limited))
        assert standing(store) == (large - 1, large)
        store.flush()
        assert ask(store, reserve(store, "h3", 2, limited)) == Refused(limited, large - 1, large)
        assert ask(store, reserve(store, "h3", 1, limited)) == Granted()

    def test_what_nobody_closed_is_swept(self, store: Counters, ask: Ask) -> None:
        """By when it was last asked for: one that was topped up is not old."""
        ask(store, reserve(store, "old", 30))
        ask(store, reserve(store, "topped up", 20))
        ask(store, reserve(store, "topped up", 25, at=NOW + 60))
        ask(store, reserve(store, "new", 10, at=NOW + 60))
        swept = store.sweep(NOW + 30, NOW + 90)
        assert (swept.holds, swept.pico_usd) == (1, 30)
        assert standing(store) == (0, 35)
        assert store.sweep(NOW + 30, NOW + 90).holds == 0

    def test_a_slow_call_is_charged_once_after_the_sweep(self, store: Counters, ask: Ask) -> None:
        """Its room was given away; what it cost counts all the same."""
        ask(store, reserve(store, "slow", 30))
        store.sweep(NOW, NOW + 90)
        for _ in range(2):
            store.release(release(store, "slow", 28))
            assert standing(store) == (28, 0)

    def test_a_swept_call_that_asks_for_more_holds_all_of_it(self, store: Counters, ask: Ask) -> None:
        """And is closed once."""
        ask(store, reserve(store, "slow", 30))
        store.sweep(NOW, NOW + 90)
        assert ask(store, reserve(store, "slow", 45, at=NOW + 90)) == Granted()
        assert standing(store) == (0, 45)
        for _ in range(2):
            store.release(release(store, "slow", 40))
            assert standing(store) == (40, 0)

    def test_a_period_that_is_over_is_forgotten_a_day_later(self, store: Counters, ask: Ask) -> None:
        """Not before: calls that began in it still end."""
        day = charge("day", until=NOW + 60)
        ask(store, reserve(store, "h1", 30, day))
        ask(store, reserve(store, "h2", 10))
        store.sweep(NOW - 1, NOW + FORGET_S)
        store.release(release(store, "h1", 12, day))
        assert standing(store, "day") == (12, 0)
        store.sweep(NOW - 1, NOW + 60 + FORGET_S)
        assert [one.budget for one in store.counts()] == ["month"]
        assert standing(store) == (0, 10)

    def test_a_session_that_goes_on_is_kept_for_longer(self, store: Counters, ask: Ask) -> None:
        """A counter's end moves on with its calls, and never back."""
        for until in (NOW + 60, NOW + 90, NOW + 30):
            ask(store, reserve(store, f"h{until}", 1, charge(until=until)))
        assert [one.until for one in store.counts()] == [NOW + 90]

    def test_a_corrected_counter_keeps_what_is_held_and_what_came_since(self, store: Counters, ask: Ask) -> None:
        """What was counted between the look at the ledger and the correction is added to it."""
        ask(store, reserve(store, "h1", 40))
        store.release(release(store, "h1", 40))
        ask(store, reserve(store, "h2", 10))
        store.flush()
        store.correct([Correction(charge(), spent=20, counted=33), Correction(charge("day"), spent=5, counted=0)])
        assert standing(store) == (27, 10)
        assert standing(store, "day") == (5, 0)
        assert ask(store, reserve(store, "h3", 64)) == Refused(charge(), 27, 10)
        assert ask(store, reserve(store, "h3", 95, charge("day"))) == Granted()

    def test_money_that_was_given_back_refuses_nobody(self, store: Counters, ask: Ask) -> None:
        """Before a call is refused, this process's own releases are carried out, and the leases that ended too."""
        leased = Leased(store, lease_s=60)
        for turn in range(20):
            at = NOW + turn / 1000
            assert ask(leased, reserve(leased, f"h{turn}", 100, at=at)) == Granted()
            leased.release(release(leased, f"h{turn}", 0))
        assert ask(leased, reserve(leased, "killed", 100, at=NOW + 2)) == Granted()
        assert ask(leased, reserve(leased, "next", 1, at=NOW + 61)) == Refused(charge(), 0, 100)
        assert ask(leased, reserve(leased, "next", 1, at=NOW + 63)) == Granted()

    def test_old_reservations_are_looked_for_while_there_is_room(self, store: Counters, ask: Ask) -> None:
        """Now and then, so that what a dead process held does not look spent."""
        leased = Leased(store, lease_s=60)
        ask(leased, reserve(leased, "killed", 10))
        ask(leased, reserve(leased, "later", 10, at=NOW + 61))
        assert standing(store) == (0, 10)

    def test_threads_together_never_pass_the_limit(self, open_counters: OpenCounters) -> None:
        """And what is left in the end is the exact sum of what they spent."""
        stores = [open_counters(), open_counters()]
        limited = charge(limit=1000)

        def work(worker: int) -> tuple[int, int]:
            store, dice = stores[worker % 2], random.Random(worker)
            spent = most = 0
            for turn in range(60):
                hold = f"w{worker}-{turn}"
                outcome = store.reserve(reserve(store, hold, 50, limited))
                if isinstance(outcome, Refused):
                    most = max(most, outcome.spent + outcome.held)
                    continue
                cost = dice.randint(0, 50)
                spent += cost
                store.release(release(store, hold, cost, limited))
            return spent, most

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(work, range(8)))
        for store in stores:
            store.flush()
        spent = sum(cost for cost, _ in outcomes)
        assert standing(stores[0]) == standing(stores[1]) == (spent, 0)
        assert max(most for _, most in outcomes) <= 1000
        assert 0 < spent <= 1000

    async def test_an_event_loop_reserves_for_many_calls_at_once(self, store: Counters) -> None:
        """As many are granted as there is room for."""
        outcomes = await asyncio.gather(
            *(store.areserve(reserve(store, f"h{n}", 10, charge(limit=305))) for n in range(100))
        )
        assert sum(type(one) is Granted for one in outcomes) == 30

    @settings(
        max_examples=40, deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )  # fmt: skip
    @given(data=st.data())
    def test_any_course_of_events_ends_as_the_model_says(self, store: Counters, data: st.DataObject) -> None:
        """Reservations, top-ups, releases and sweeps in any order, against a model made of dictionaries."""
        own = f"{next(_numbers)}-"
        charges = [charge(f"{own}{name}", limit) for name, limit in (("a", 50), ("b", 80), ("c", None))]
        model = Model()
        for step in data.draw(st.lists(steps, max_size=25)):
            match step:
                case ("reserve", hold, pico, chosen, at):
                    wanted = reserve(store, own + hold, pico, *(charges[i] for i in sorted(chosen)), at=NOW + at)
                    assert store.reserve(wanted) == model.reserve(wanted)
                case ("release", hold, pico):
                    closing = Release(store, own + hold, model.charges_of(own + hold), pico)
                    store.release(closing)
                    store.flush()
                    model.release(closing)
                case ("sweep", at):
                    assert store.sweep(NOW + at, NOW).holds == model.sweep(NOW + at)
        counted = {one.counter: (one.spent, one.held) for one in store.counts() if one.budget.startswith(own)}
        assert counted == model.counters
        store.sweep(NOW + HOUR, NOW)


async def _outcome(waited: Awaitable[Granted | Refused]) -> Granted | Refused:
    return await waited


def is_away(store: Counters, ask: Ask) -> None:
    """Say that every way to ask a store that cannot be reached raises, and that a release does not."""
    with pytest.raises(BudgetError, match="no call is made that it cannot check"):
        ask(store, reserve(store, "away", 1))
    with pytest.raises(BudgetError):
        store.counts()
    store.release(release(store, "h1", 5))
