"""Counters that are read anew from the ledger, while calls go on."""

import itertools
import logging
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tuppence import SqliteLedger
from tuppence.attempts import Attempt, Decision, Result
from tuppence.effects import Release, Reserve
from tuppence.spend.budgets import Budget, Budgets
from tuppence.spend.ledger.retention import roll_up
from tuppence.usage import Usage

AT = datetime(2026, 3, 15, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
DOLLAR = 10**12


class TestRebuild:
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[SqliteLedger]:
        ledger = SqliteLedger(tmp_path / "ledger.sqlite")
        yield ledger
        ledger.close()

    @pytest.fixture(params=["memory", "file"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        return "memory" if request.param == "memory" else str(tmp_path / "budgets.sqlite")

    def test_counters_say_what_the_ledger_says(self, ledger: SqliteLedger, store: str) -> None:
        """By period and tags, those without a column of their own too; who has no calls has spent nothing."""
        budgets = Budgets(
            Budget(usd=9, per="month"), Budget(usd=9, per="day", each="user"),
            Budget(usd=9, per="day", each="team", where={"tenant": "acme"}), Budget(usd=9, per="session"),
            Budget(usd=1, per="call"), store=store, timezone="Europe/Berlin",
        )  # fmt: skip
        acme = {"tenant": "acme", "session": "s1", "team": "x/y"}
        _write(ledger, AT, {**acme, "user": "ann"}, [100, 20, None])
        _write(ledger, AT, {**acme, "user": "bob"}, [3 * 2**32])
        _write(ledger, AT - 2 * 86_400, {**acme, "user": "ann"}, [5000])
        _write(ledger, AT - 20 * 86_400, {**acme, "user": "ann"}, [70_000])
        _write(ledger, AT, {"user": "ann"}, [7])
        # Together beyond what the database adds up in an integer.
        _write(ledger, AT, {"session": "rich"}, [2**62, 2**62, 2**62])
        ledger.flush()
        # Who has spent by the counters, and has no row.
        charges = budgets.charges({"user": "zoe", "session": "s9"}, AT)
        budgets.store.reserve(Reserve(budgets.store, "h1", charges, 2 * DOLLAR, AT))
        budgets.store.release(Release(budgets.store, "h1", charges, 2 * DOLLAR))
        standing = {one.counter: one.spent_usd * 10**12 for one in budgets.rebuild(ledger.path, AT)}
        assert standing == {
            "month/2026-03": 3 * 2**62 + 3 * 2**32 + 5127,
            "day for each user/ann/2026-03-15": 127,
            "day for each user/bob/2026-03-15": 3 * 2**32,
            "day for each user/zoe/2026-03-15": 0,
            "day for each team where tenant=acme/x%2Fy/2026-03-15": 3 * 2**32 + 120,
            "session/s1": 3 * 2**32 + 75_120,
            "session/rich": 3 * 2**62,
            "session/s9": 0,
        }
        budgets.close()

    def test_what_is_held_stays_held_and_who_ends_later_is_counted_once(self, ledger: SqliteLedger, store: str) -> None:
        """Between the look at the counters and the correction, calls go on."""
        budgets = Budgets(Budget(usd=9, per="month"), store=store)
        now = time.time()
        charges = budgets.charges({}, now)
        for hold in ("under way", "late"):
            budgets.store.reserve(Reserve(budgets.store, hold, charges, 50, now))
        _write(ledger, now - 60, {}, [1000])
        # It ended after the counters were read, and its row is written already.
        _write(ledger, now, {}, [33], latency_ms=3_600_000)
        ledger.flush()
        budgets.rebuild(ledger.path)
        budgets.store.release(Release(budgets.store, "late", charges, 33))
        budgets.counters.flush()
        (month,) = budgets.standing()
        assert (month.spent_usd, month.held_usd) == (Decimal(1033).scaleb(-12), Decimal(50).scaleb(-12))
        budgets.close()

    def test_no_call_is_missed_by_a_rebuild_in_the_midst_of_them(self, ledger: SqliteLedger, store: str) -> None:
        """Threads reserve, write and release; only a call that is being closed at that moment could count twice."""
        budgets = Budgets(Budget(usd=9, per="month"), store=store)
        enough = threading.Event()

        def work(worker: int) -> tuple[int, int]:
            dice, spent, calls = random.Random(worker), 0, 0
            while not enough.wait(dice.uniform(0, 0.02)):
                now, calls, cost = time.time(), calls + 1, dice.randint(0, 1000)
                charges, hold = budgets.charges({}, now), f"{worker}-{calls}"
                budgets.store.reserve(Reserve(budgets.store, hold, charges, 1000, now))
                _write(ledger, now, {}, [cost], latency_ms=(time.time() - now) * 1000)
                budgets.store.release(Release(budgets.store, hold, charges, cost))
                spent += cost
            return spent, calls

        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(work, worker) for worker in range(4)]
            for _ in range(2):
                budgets.rebuild(ledger.path)
            enough.set()
        spent = sum(one.result()[0] for one in running)
        budgets.counters.flush()
        (month,) = budgets.standing()
        assert spent <= month.spent_usd * 10**12 <= spent + 2 * 4 * 1000
        assert month.held_usd == 0
        budgets.close()

    def test_days_that_were_rolled_up_still_count(self, ledger: SqliteLedger) -> None:
        """Their rows are gone, and their sums are there."""
        _write(ledger, AT, {"user": "ann"}, [100])
        _write(ledger, AT - 3 * 86_400, {"user": "ann"}, [5000, 20])
        ledger.flush()
        roll_up(ledger.path, before=datetime.fromtimestamp(AT - 86_400, UTC))
        budgets = Budgets(Budget(usd=9, per="month", each="user"), Budget(usd=9, per="day"))
        spent = {one.budget: one.spent_usd * 10**12 for one in budgets.rebuild(ledger.path, AT)}
        assert spent == {"month for each user": 5120, "day": 100}

    def test_calls_that_no_counter_takes_in_are_said(
        self, ledger: SqliteLedger, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Those before the budget stood may lack its tag."""
        _write(ledger, AT, {}, [DOLLAR])
        ledger.flush()
        with caplog.at_level(logging.WARNING, "tuppence.budgets"):
            assert Budgets(Budget(usd=9, per="day", each="user")).rebuild(ledger.path, AT) == []
        assert "lack a tag of user cost $1.000000000000, which no counter of budget 'day for each user'" in caplog.text


def _write(
    ledger: SqliteLedger, at: float, tags: dict[str, str], costs: list[int | None], latency_ms: float = 5.0
) -> None:
    """Write a call of one attempt a cost."""
    attempts = [
        Attempt("small", "s", "draft", "accepted", Usage(input=1), cost, "exact", "v", at, latency_ms) for cost in costs
    ]
    ledger.write(Result(f"call-{next(_ids)}", None, attempts, Decision("optimise"), tags))


_ids = itertools.count()
