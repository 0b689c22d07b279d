"""Forecasts of a ledger's spending: what they say of series that anybody can work out, and of real ledgers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.attempts import Attempt, Decision, Result
from tuppence.errors import LedgerError
from tuppence.spend import SqliteLedger
from tuppence.spend.forecasts import Ending, Outlook, Series, forecast, outlook, series_by_key
from tuppence.spend.forecasts.for_page import for_page
from tuppence.spend.forecasts.pattern import pattern
from tuppence.spend.forecasts.series import elapsed_share
from tuppence.spend.forecasts.shown import as_fields, notes, sentence
from tuppence.usage import Usage

DOLLAR = 10**12
MONDAY = date(2026, 6, 1)


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def series(days: Sequence[int], first: date = MONDAY, today: Sequence[int] = (), minute: int = 0) -> Series:
    """Spread each day's dollars evenly over its hours; `today` holds the dollars of the hours of the day after."""
    hours = [day * DOLLAR // 24 for day in days for _ in range(24)] + [hour * DOLLAR for hour in today]
    moment = at(first + timedelta(days=len(days))) + timedelta(hours=len(today), minutes=minute - 60 if minute else 0)
    return Series(first, tuple(hours), moment)


def dollars(pico: int | None) -> float | None:
    return None if pico is None else round(pico / DOLLAR, 2)


# ---- what anybody can work out


def test_a_steady_spending_goes_on() -> None:
    """Ten days at 24 dollars: the month comes to thirty of them."""
    told = outlook(series([24] * 10))
    assert (dollars(told.spent), dollars(told.expected)) == (240, 720)
    assert [one.day.day for one in told.ahead] == list(range(11, 31))
    assert {dollars(one.expected) for one in told.ahead} == {24}
    assert dollars(told.ahead[-1].total) == 720


def test_weekends_are_told_from_weekdays() -> None:
    """Four weeks of 48 dollars a weekday and none at weekends: the two days left of June are weekdays."""
    told = outlook(series([*[48] * 5, 0, 0] * 4))
    assert [one.day.weekday() for one in told.ahead] == [0, 1]
    assert told.expected is not None
    assert dollars(told.expected - told.spent) == pytest.approx(96, rel=0.03)


def test_a_new_level_is_taken_up_within_days() -> None:
    """Twice the spending for eight days: most of it is believed to last."""
    learned = pattern([*[10.0] * 28, *[20.0] * 8], MONDAY)
    assert 16 < learned.on(MONDAY + timedelta(days=37)) < 20.5


def test_a_day_without_service_lowers_nothing_for_long() -> None:
    """A hole of one day, a week ago, is as good as forgotten."""
    days = [24.0] * 28
    days[20] = 0.0
    assert pattern(days, MONDAY).on(MONDAY + timedelta(days=28)) == pytest.approx(24, rel=0.08)


def test_the_turn_of_months_is_learned() -> None:
    """Three months that cost thrice at their turns: the next turn is expected to, in part."""
    first = date(2026, 1, 1)
    dates = [first + timedelta(days=day) for day in range(96)]
    turns = [one.day == 1 or (one + timedelta(days=2)).month != one.month for one in dates]
    learned = pattern([30.0 if turn else 10.0 for turn in turns], first)
    assert 2.0 < learned.turn < 3.0
    assert learned.on(date(2026, 4, 30)) > 1.8 * learned.on(date(2026, 4, 23))


def test_within_a_day_its_hours_tell() -> None:
    """At noon, half a day's share is gone; a day twice as dear so far is expected to go on dearer than usual."""
    usual = outlook(series([24] * 9, today=[1] * 12), horizon="day")
    dear = outlook(series([24] * 9, today=[2] * 12), horizon="day")
    assert elapsed_share(series([24] * 9, today=[1] * 12)) == pytest.approx(0.5)
    assert (dollars(usual.spent), dollars(usual.expected)) == (12, 24)
    assert dear.expected is not None
    assert 24 + 12 < dear.expected / DOLLAR < 48


def test_minutes_count_too() -> None:
    """At half past, half of the hour is gone."""
    assert elapsed_share(series([24] * 9, today=[1] * 12, minute=30)) == pytest.approx(11.5 / 24)


def test_a_first_day_that_began_in_the_afternoon_is_no_day() -> None:
    """Recording began at 15:00: that day's spending is spent, and says nothing of a day."""
    hours = [0] * 15 + [DOLLAR] * 9 + [DOLLAR] * 24 * 9
    told = outlook(Series(MONDAY, tuple(hours), at(MONDAY + timedelta(days=10))))
    assert dollars(told.spent) == 225
    assert dollars(told.expected) == 225 + 20 * 24


@pytest.mark.parametrize(
    ("days", "why"), [([], "nothing spent"), ([24] * 2, "2 whole days are on record"), ([0] * 9, "nothing spent")]
)
def test_too_little_is_said_to_be_too_little(days: list[int], why: str) -> None:
    """Unknown is None, never a guess."""
    told = outlook(series(days))
    assert told.expected is told.likely is told.expected_usd is told.ends(100 * DOLLAR) is None
    assert told.why.startswith(why)


def test_hours_must_be_without_a_gap() -> None:
    """A missing hour would shift all that follow."""
    with pytest.raises(LedgerError, match="has 47 hours: give 48"):
        Series(MONDAY, (0,) * 47, at(MONDAY + timedelta(days=2)))


def test_a_budget_ends_when_the_sum_passes_it() -> None:
    """240 dollars are spent at 24 a day: 300 are passed on the third day."""
    told = outlook(series([24] * 10))
    assert told.ends(301 * DOLLAR) == Ending(date(2026, 6, 13), date(2026, 6, 12), date(2026, 6, 14))
    assert told.ends(100 * DOLLAR) == Ending(date(2026, 6, 11), date(2026, 6, 11), date(2026, 6, 11))
    never = told.ends(5000 * DOLLAR)
    assert never == Ending(None, None, None)


def test_a_week_ends_on_sunday() -> None:
    """From Thursday's midnight, four days are left."""
    told = outlook(series([24] * 10), horizon="week")
    assert [one.day.day for one in told.ahead] == [11, 12, 13, 14]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 10**15), min_size=3, max_size=60),
    st.lists(st.integers(0, 10**14), max_size=23),
    st.sampled_from(["day", "week", "month"]),
)
def test_whatever_was_spent_the_bounds_are_in_order(days: list[int], today: list[int], horizon: str) -> None:
    """Integers, never below what is spent already, wider for more certainty, sums that never fall."""
    hours = tuple(day if hour == 9 else 0 for day in days for hour in range(24)) + tuple(today)
    told: Outlook = outlook(
        Series(MONDAY, hours, at(MONDAY + timedelta(days=len(days))) + timedelta(hours=len(today))),
        horizon=horizon,  # type: ignore[arg-type]
    )
    if told.expected is None or told.likely is None or told.nearly_sure is None:
        return
    bounds = [told.spent, told.nearly_sure.low, told.likely.low, told.expected, told.likely.high, told.nearly_sure.high]
    assert bounds == sorted(bounds)
    assert all(isinstance(bound, int) for bound in bounds)
    totals = [(one.total_likely.low, one.total, one.total_likely.high) for one in told.ahead]
    assert all(before[i] <= after[i] for before, after in pairwise(totals) for i in range(3))


# ---- ledgers


def call(name: str, moment: datetime, pico: int | None, **tags: str) -> Result:
    attempt = Attempt(
        "small", "m", "draft", "accepted", Usage(input=10, output=5), pico, "exact" if pico is not None else "unpriced",
        "v", moment.timestamp(), 5.0,
    )  # fmt: skip
    return Result(name, None, [attempt], Decision("optimise"), tags)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Twelve days: /chat costs 3 dollars a day at 8 and at 16 o'clock, /search 1 dollar; one call has no price."""
    file = tmp_path / "ledger.sqlite"
    writer = SqliteLedger(file)
    for day in range(12):
        morning = at(MONDAY + timedelta(days=day), 8)
        for hour in (0, 8):
            writer.write(call(f"c{day}-{hour}", morning + timedelta(hours=hour), 3 * DOLLAR // 2, endpoint="/chat"))
        writer.write(call(f"s{day}", morning, DOLLAR, endpoint="/search"))
    writer.write(call("odd", at(MONDAY + timedelta(days=3)), None, endpoint="/chat"))
    writer.close()
    return file


def test_a_ledger_is_forecast_in_all_and_by_scope(ledger: Path) -> None:
    """4 dollars a day: June comes to 120, of which /chat is three quarters."""
    found = forecast(ledger, at=at(MONDAY + timedelta(days=12)), by=("endpoint",))
    assert dollars(found.total.expected) == 120
    assert [(one.key, dollars(one.expected)) for one in found.scopes] == [(("/chat",), 90), (("/search",), 30)]
    assert found.unpriced == 1
    assert any("1 attempts have no known price" in note for note in notes(found))


def test_what_comes_after_the_moment_is_not_known(ledger: Path) -> None:
    """As of the sixth day at noon, six days and a morning are on record."""
    found = forecast(ledger, at=datetime(2026, 6, 6, 12))
    assert dollars(found.total.spent) == 5 * 4 + 2.5
    assert dollars(found.total.expected) == pytest.approx(120, rel=0.05)


def test_only_the_calls_asked_for(ledger: Path) -> None:
    """A forecast of one endpoint is that of its calls."""
    moment = at(MONDAY + timedelta(days=12))
    alone = forecast(ledger, at=moment, where={"endpoint": "/search"}).total
    assert alone.expected == forecast(ledger, at=moment, by=("endpoint",)).scopes[1].expected


def test_an_empty_or_unknown_ledger(tmp_path: Path) -> None:
    """Nothing is forecast from nothing, and no ledger is none."""
    SqliteLedger(tmp_path / "empty.sqlite").close()
    found = forecast(tmp_path / "empty.sqlite", by=("tier",))
    assert found.total.expected is None
    assert "No forecast for" in sentence(found)
    with pytest.raises(LedgerError):
        forecast(tmp_path / "none.sqlite")
    with pytest.raises(LedgerError):
        forecast(tmp_path / "empty.sqlite", by=("colour",))


def test_cells_in_hand_say_the_same(ledger: Path) -> None:
    """Who has the cells already need not read the ledger again."""
    from tuppence.spend.cells import cells

    moment = at(MONDAY + timedelta(days=12))
    held = cells(ledger, by=("endpoint",), every="hour")
    assert forecast(held, at=moment, by=("endpoint",)) == forecast(ledger, at=moment, by=("endpoint",))
    assert series_by_key(held, moment)[("/search",)].days == (DOLLAR,) * 12


def test_it_is_told_in_words_and_fields(ledger: Path) -> None:
    """The sentence, the fields and the page's days hold the same figures."""
    found = forecast(ledger, at=at(MONDAY + timedelta(days=12)))
    told = sentence(found, 60 * DOLLAR)
    assert told.startswith("June 2026 comes to $120.00, with 80% between $")
    assert "the budget of $60.0000 ends on 16 June" in told
    assert "is used up already" in sentence(found, DOLLAR)
    assert "lasts." in sentence(found, 10_000 * DOLLAR)
    fields = as_fields(found, 60 * DOLLAR)
    assert fields["total"]["expected_usd"] == "120.000000000000"
    assert fields["total"]["budget"]["ends"] == "2026-06-16"
    shown = for_page(found)
    assert len(shown.days_us) == len(shown.expected_pico) == 18
    assert sum(shown.expected_pico) == (found.total.expected or 0) - found.total.spent
    days = zip(shown.low_pico, shown.expected_pico, shown.high_pico, strict=True)
    assert all(low <= one <= high for low, one, high in days)


# ---- made-up months


def test_the_benchmark_runs_and_the_forecast_beats_repeating_the_last_week() -> None:
    """On a few development seeds; what is reported is measured on others."""
    pytest.importorskip("numpy")
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "forecast.py"
    done = subprocess.run(
        [sys.executable, str(script), "--seeds", "8:16"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["months"], found["forecasts"]) == (8, 32)
    assert found["mape"] < found["mape_seasonal_naive"]
    assert 0.5 <= found["coverage80"] <= found["coverage95"] <= 1
    assert set(found["by_day"]) == {"3", "7", "14", "21"}
