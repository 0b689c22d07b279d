"""Budgets: what a user may state, which counters a call is charged to, and how they stand."""

import copy
import logging
import pickle
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.effects import Charge, Granted, Refused, Release, Reserve
from tuppence.errors import BudgetError, ConfigError
from tuppence.prices import pico_usd
from tuppence.spend.budgets import Budget, Budgets, Standing

BERLIN = ZoneInfo("Europe/Berlin")
AT = datetime(2026, 3, 15, 12, tzinfo=BERLIN).timestamp()
DOLLAR = 10**12


def spend(budgets: Budgets, usd: str, at: float = AT, hold: str = "h1", **tags: str) -> Granted | Refused:
    """Reserve and release the same amount."""
    charges = budgets.charges(tags, at)
    outcome = budgets.store.reserve(Reserve(budgets.store, hold, charges, pico_usd(usd), at))
    budgets.store.release(Release(budgets.store, hold, charges, pico_usd(usd)))
    return outcome


class TestBudget:
    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"usd": 5, "per": "month"}, "month"),
            ({"usd": "7.50", "per": "day", "each": "user"}, "day for each user"),
            ({"usd": 5, "per": "session", "soft": True}, "soft session"),
            ({"usd": 5, "per": "call", "where": {"b": "2", "a": "1"}}, "call where a=1, b=2"),
            ({"usd": 5, "per": "month", "name": "research"}, "research"),
        ],
    )
    def test_it_is_named_after_what_it_says_but_for_the_amount(self, options: dict[str, Any], named: str) -> None:
        """A limit that is raised keeps what was spent."""
        assert Budget(**options).name == Budget(**{**options, "usd": 9}).name == named

    def test_the_amount_is_exact(self) -> None:
        """Text, a number or a Decimal are the same budget."""
        assert {Budget(usd=one, per="day") for one in ("5", 5, Decimal("5.00"))} == {Budget(usd=5, per="day")}
        assert Budget(usd="0.000000000001", per="day").limit == 1

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"usd": -1, "per": "day"}, r"a budget of -1 US dollars: give an amount above 0"),
            ({"usd": 0, "per": "day"}, r"a budget of 0 US dollars"),
            ({"usd": "five", "per": "day"}, r"a budget of 'five' US dollars.* such as '25'"),
            ({"usd": 0.1, "per": "day"}, r"a budget of 0\.1 US dollars.*as text or Decimal"),
            ({"usd": "1e-13", "per": "day"}, r"a budget of '1e-13' US dollars"),
            ({"usd": 1, "per": "week"}, r"per 'week': give one of call, session, day, month"),
            ({"usd": 1, "per": "day", "each": ""}, r"for each '': name one tag"),
            ({"usd": 1, "per": "day", "each": ["user", "task"]}, r"for each \['user', 'task'\]: name one tag"),
            ({"usd": 1, "per": "day", "name": 7}, r"is called 7: give its name as text, such as '7'"),
            ({"usd": 1, "per": "day", "where": "acme"}, r"where 'acme': give tags and values"),
            ({"usd": 1, "per": "day", "where": {"tenant": 7}}, r"where \{'tenant': 7\}: .*use str"),
            ({"usd": 1, "per": "day", "where": {"tenant": ""}}, r"where 'tenant' is '', which no call has"),
            ({"usd": 1, "per": "call", "each": "user"}, r"per call is for each 'user'.*leave `each` out"),
        ],
    )
    def test_what_cannot_be_a_budget_is_said(self, options: dict[str, Any], said: str) -> None:
        """With the value and what would do."""
        with pytest.raises(ConfigError, match=said):
            Budget(**options)


class TestBudgets:
    @pytest.mark.parametrize(
        ("arguments", "options", "said"),
        [
            ((), {}, r"limits nothing.*Budget\(usd='50'"),
            (("50 a month",), {}, r"a budget is '50 a month': make it by Budget"),
            ((Budget(usd=1, per="day"), Budget(usd=2, per="day")), {}, r"two budgets are called 'day'.*a `name`"),
            ((Budget(usd=1, per="day"),), {"timezone": "Mars/Base"}, r"timezone is 'Mars/Base'.*'Europe/Berlin'"),
            ((Budget(usd=1, per="day"),), {"unpriced": "guess"}, r"unpriced is 'guess': give 'refuse' or 'allow'"),
            ((Budget(usd=1, per="day"),), {"lease_s": 0}, r"lease_s is 0: give seconds above 0"),
            ((Budget(usd=1, per="day"),), {"lease_s": "900"}, r"lease_s is '900': give seconds above 0"),
            ((Budget(usd=1, per="day"),), {"store": 7}, r"store is 7: give a file's name"),
            ((Budget(usd=1, per="day"),), {"store": "http://host"}, r"http://host is no place for budgets"),
        ],
    )
    def test_options_that_cannot_work_are_said(
        self, arguments: tuple[Any, ...], options: dict[str, Any], said: str
    ) -> None:
        """With the value and what would do."""
        with pytest.raises(ConfigError, match=said):
            Budgets(*arguments, **options)

    def test_a_call_is_charged_to_the_budgets_that_apply_to_it(self) -> None:
        """Each by its tags and period; keys can be read."""
        budgets = Budgets(
            Budget(usd=100, per="month"), Budget(usd=5, per="day", each="user"),
            Budget(usd=1, per="session", where={"tenant": "acme"}), Budget(usd=1, per="day", where={"tenant": "other"}),
            timezone="Europe/Berlin",
        )  # fmt: skip
        assert budgets.charges({"user": "ann", "tenant": "acme", "session": "s1"}, AT) == (
            Charge("month/2026-03", "month", 100 * DOLLAR, datetime(2026, 4, 1, tzinfo=BERLIN).timestamp()),
            Charge(
                "day for each user/ann/2026-03-15", "day for each user", 5 * DOLLAR,
                datetime(2026, 3, 16, tzinfo=BERLIN).timestamp(),
            ),
            Charge(
                "session where tenant=acme/s1", "session where tenant=acme", DOLLAR,
                (AT // 86_400 + 31) * 86_400,
            ),
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("budget", "tags", "missing"),
        [
            (Budget(usd=1, per="day", each="user"), {}, "user"),
            (Budget(usd=1, per="day", each="user"), {"user": ""}, "user"),
            (Budget(usd=1, per="session"), {"user": "ann"}, "session"),
            (Budget(usd=1, per="session", each="user"), {"session": "s"}, "user"),
        ],
    )
    def test_a_call_without_the_tag_is_stopped(self, budget: Budget, tags: dict[str, str], missing: str) -> None:
        """Who could leave the tag out would have no limit."""
        with pytest.raises(BudgetError, match=rf"goes by the tag '{missing}'.*tuppence\.tags\({missing}=\.\.\.\)"):
            Budgets(budget).charges(tags, AT)

    def test_a_call_that_a_budget_is_not_about_needs_no_tag(self) -> None:
        """`where` comes first."""
        assert Budgets(Budget(usd=1, per="day", each="user", where={"tenant": "acme"})).charges({}, AT) == ()

    @given(values=st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
    def test_no_two_tag_values_share_a_counter(self, values: list[str]) -> None:
        """Whatever is in them: a key holds no line ends, braces or colours."""
        budgets = Budgets(Budget(usd=1, per="session", each="user"))
        first, second = values
        keys = {
            charge.counter
            for session, user in ((first, second), (second, first), (first + "/" + second, first))
            for charge in budgets.charges({"session": session, "user": user}, AT)
        }
        assert len(keys) == 3
        assert all(key.isascii() and key.isprintable() and "{" not in key and len(key) < 300 for key in keys)

    @pytest.mark.parametrize(
        ("zone", "local", "day", "hours", "month"),
        [
            ("UTC", "2026-03-15T23:59:59", "2026-03-15", 24, "2026-03"),
            ("Europe/Berlin", "2026-03-29T12:00", "2026-03-29", 23, "2026-03"),  # clocks go forward
            ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25", 25, "2026-10"),  # and back
            ("America/Santiago", "2026-09-06T01:00", "2026-09-06", 23, "2026-09"),  # at midnight
            ("America/Havana", "2026-11-01T00:30", "2026-11-01", 25, "2026-11"),  # 00:30 twice
            ("Asia/Kathmandu", "2026-12-31T23:50", "2026-12-31", 24, "2026-12"),
        ],
    )
    def test_days_and_months_are_the_clocks_of_the_time_zone(
        self, zone: str, local: str, day: str, hours: int, month: str
    ) -> None:
        """Also where a day has 23 or 25 hours, at both of its ends."""
        budgets = Budgets(Budget(usd=1, per="day"), Budget(usd=1, per="month"), timezone=zone)
        at = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp()
        assert [one.counter for one in budgets.charges({}, at)] == [f"day/{day}", f"month/{month}"]
        today = budgets.period("day", at)
        assert today.until - today.start == hours * 3600
        for moment, same in ((today.start, True), (today.until - 1, True), (today.until, False)):
            assert (budgets.charges({}, moment)[0].counter == f"day/{day}") is same
        assert budgets.charges({}, today.start - 1)[0].counter != f"day/{day}"

    def test_money_comes_back_with_the_next_period(self) -> None:
        """What was spent yesterday limits no one today."""
        budgets = Budgets(Budget(usd=1, per="day"))
        assert spend(budgets, "1") == Granted()
        assert isinstance(spend(budgets, "0.5", hold="h2"), Refused)
        assert spend(budgets, "0.5", at=AT + 86_400, hold="h2") == Granted()

    def test_what_one_call_may_cost_is_the_smallest_that_applies(self) -> None:
        """Hard and soft apart; no counter is kept of it."""
        budgets = Budgets(
            Budget(usd="0.50", per="call"), Budget(usd="0.20", per="call", where={"tenant": "acme"}),
            Budget(usd="0.10", per="call", soft=True),
        )  # fmt: skip
        assert budgets.call_limit({}) == (pico_usd("0.50"), pico_usd("0.10"))
        assert budgets.call_limit({"tenant": "acme"}) == (pico_usd("0.20"), pico_usd("0.10"))
        assert budgets.charges({"tenant": "acme"}, AT) == ()
        assert Budgets(Budget(usd=1, per="day")).call_limit({}) == (None, None)

    def test_a_soft_budget_can_be_lifted_and_goes_on_counting(self) -> None:
        """The hard one beside it still limits."""
        budgets = Budgets(Budget(usd=1, per="day", soft=True), Budget(usd=2, per="day"))
        charges = budgets.charges({}, AT)
        store = budgets.store
        refused = store.reserve(Reserve(store, "h1", charges, pico_usd("1.5"), AT))
        assert isinstance(refused, Refused)
        assert budgets.is_soft(refused)
        counting = budgets.counting(charges)
        assert [one.limit for one in counting] == [None, 2 * DOLLAR]
        assert budgets.counting(counting) == counting
        assert store.reserve(Reserve(store, "h1", counting, pico_usd("1.5"), AT)) == Granted()
        refused = store.reserve(Reserve(store, "h2", counting, pico_usd("1"), AT))
        assert isinstance(refused, Refused)
        assert not budgets.is_soft(refused)
        assert (refused.spent, refused.held) == (0, pico_usd("1.5"))

    def test_how_budgets_stand_is_read_in_dollars(self) -> None:
        """Only these budgets, and only periods that are not over."""
        budgets = Budgets(Budget(usd=2, per="day", each="user"), Budget(usd=1, per="month", soft=True))
        others = Budgets(Budget(usd=9, per="month"), store=budgets.counters)
        spend(budgets, "0.25", user="ann")
        spend(budgets, "0.5", at=AT - 86_400, hold="h2", user="bob")
        spend(others, "0.1", hold="h3")
        charges = budgets.charges({"user": "ann"}, AT)
        budgets.store.reserve(Reserve(budgets.store, "h4", charges, pico_usd("0.125"), AT))
        assert budgets.standing(AT) == [
            Standing(
                "day for each user", "day for each user/ann/2026-03-15", Decimal("0.25"), Decimal("0.125"), Decimal(2),
                Decimal("1.625"), budgets.period("day", AT).until, False,
            ),
            Standing(
                "soft month", "soft month/2026-03", Decimal("0.75"), Decimal("0.125"), Decimal(1), Decimal("0.125"),
                budgets.period("month", AT).until, True,
            ),
        ]  # fmt: skip

    def test_budgets_travel_with_their_counters_or_not_at_all(self, tmp_path: Path) -> None:
        """A copy that counted for itself would be a second budget."""
        budgets = Budgets(Budget(usd=2, per="day"), store=tmp_path / "b.sqlite", timezone="Europe/Berlin", lease_s=9)
        spend(budgets, "0.25")
        budgets.counters.flush()
        travelled = pickle.loads(pickle.dumps(budgets))
        assert travelled.standing(AT) == budgets.standing(AT) != []
        assert (travelled.timezone, travelled.charges({}, AT)) == ("Europe/Berlin", budgets.charges({}, AT))
        assert copy.deepcopy(budgets) is budgets
        for one in (budgets, travelled):
            one.close()
        with pytest.raises(ConfigError, match=r"in a process's memory cannot travel.*store='redis://"):
            pickle.dumps(Budgets(Budget(usd=2, per="day")))

    def test_what_is_swept_is_said_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        """How many, how much, and what it may mean."""
        budgets = Budgets(Budget(usd=2, per="day"), lease_s=60)
        budgets.store.reserve(Reserve(budgets.store, "h1", budgets.charges({}, AT), pico_usd("0.5"), AT))
        with caplog.at_level(logging.WARNING, "tuppence.budgets"):
            assert budgets.sweep(AT + 59).holds == 0
            swept = budgets.sweep(AT + 61)
        assert (swept.holds, swept.pico_usd) == (1, pico_usd("0.5"))
        (record,) = caplog.records
        assert "1 reservations of $0.500000000000 together were not closed within 60 s" in record.getMessage()


def test_budgets_in_memory_load_no_redis() -> None:
    """What a program does not use, it does not pay for."""
    program = "import sys; from tuppence.spend.budgets import *; Budgets(Budget(usd=1, per='day')); "
    program += "print([m for m in ('redis', 'numpy', 'tuppence.spend.budgets.sqlite') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
