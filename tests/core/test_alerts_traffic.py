"""What is usual of traffic: the shape of its days, its level, and what the hours before carry over."""

import math
import random
from dataclasses import replace

import pytest

from tuppence.spend.alerts import AlertRules
from tuppence.spend.alerts.baseline import Usual
from tuppence.spend.alerts.checking import rung
from tuppence.spend.alerts.facts import Run, Totals
from tuppence.spend.alerts.measures import measures
from tuppence.spend.alerts.pattern import pattern
from tuppence.spend.alerts.state import State
from tuppence.spend.alerts.traffic import Shaped, Traffic, expected
from tuppence.spend.alerts.watching import bars
from tuppence.spend.digest.segments import Segment

from .alert_facts import DAYS, facts

DAY = 24
START = 35 * DAY + 10
NOW = START + DAY
THURSDAY = 0
"""The first hour of 1970."""


def counts(days: list[float], *, noise: float = 0.05, seed: int = 0) -> list[float]:
    """Calls by the hour: by day twice as many as at night, times what the day has."""
    random_ = random.Random(seed)
    return [
        level * (200 if 8 <= hour < 20 else 100) * random_.lognormvariate(0, noise)
        for level in days for hour in range(DAY)
    ]  # fmt: skip


def usual(hourly: list[float], now: int, hours: int = 12, *, last: int | None = None) -> Usual:
    traffic = Traffic(Shaped(Totals(hourly).between, THURSDAY))
    known = expected(
        traffic, now, hours, first=0, last=now - DAY if last is None else last, believed=0.2, worth=2.0
    )  # fmt: skip
    assert known is not None
    return known


def weeks(count: int) -> list[float]:
    """Days from a Thursday on, a fifth of the traffic at weekends."""
    return [0.2 if day % 7 in (2, 3) else 1.0 for day in range(7 * count)]


def test_two_weeks_show_a_weekend() -> None:
    """Four of its days are enough, and the day after it is no surprise."""
    shape = pattern(Totals(counts(weeks(2))).between, THURSDAY, 0, 14 * DAY, 19 * DAY)
    assert shape is not None
    saturday, monday = shape[0](16 * DAY, 17 * DAY), shape[0](18 * DAY, 19 * DAY)
    assert saturday / monday == pytest.approx(0.2, rel=0.1)


def test_a_weekend_is_known_by_all_of_its_days() -> None:
    """Where days differ by a fifth, two Saturdays tell less of the next one than two weekends do."""
    off = []
    for seed in range(40):
        random_ = random.Random(seed)
        levels = [level**0.5 * random_.lognormvariate(0, 0.2) for level in weeks(2)]
        shape = pattern(Totals(counts(levels, seed=seed)).between, THURSDAY, 0, 14 * DAY, 21 * DAY)
        assert shape is not None
        week = [math.log(shape[0](day * DAY, day * DAY + DAY)) for day in range(14, 21)]
        off += [abs(week[day] - week[4] - math.log(0.2) / 2) for day in (2, 3)]
    assert sum(off) / len(off) < 0.16


def test_the_shape_has_the_hours_of_its_days() -> None:
    """A night has half of what a day has."""
    shape = pattern(Totals(counts(weeks(2))).between, THURSDAY, 0, 14 * DAY, 15 * DAY)
    assert shape is not None
    assert shape[0](0, 6) / shape[0](9, 15) == pytest.approx(0.5, rel=0.1)


def test_no_traffic_has_no_shape() -> None:
    """And is not divided by."""
    assert pattern(Totals([0.0] * 14 * DAY).between, THURSDAY, 0, 14 * DAY, 15 * DAY) is None


@pytest.mark.parametrize("weekday", range(7))
def test_every_day_of_the_third_week_is_foreseen(weekday: int) -> None:
    """To a few percent, at noon and whatever day it is."""
    hourly = counts(weeks(3))
    now = (14 + weekday) * DAY + 12
    known = usual(hourly[:now], now)
    assert math.log(sum(hourly[now - 12 : now])) == pytest.approx(known.value, abs=0.15)
    assert known.spread < 0.15


def test_a_busy_morning_makes_a_busy_afternoon() -> None:
    """Where days differ by a half and hours of a day do not, the hours before tell of those that come."""
    random_ = random.Random(2)
    levels = [random_.lognormvariate(0, 0.4) for _ in range(27)]
    calm, busy = (counts([*levels, last], noise=0.02) for last in (1.0, 2.0))
    now = 27 * DAY + 18
    carried = usual(busy[:now], now, 6).value - usual(calm[:now], now, 6).value
    assert 0.3 < carried < math.log(2.0)


def test_a_holiday_does_not_hide_a_surge() -> None:
    """Days with less of the traffic, and what they make of the days after, are no measure of ordinary days."""
    random_ = random.Random(7)
    levels = [random_.lognormvariate(0, 0.1) for _ in range(28)]
    quiet = usual(counts(levels), 28 * DAY, DAY)
    for day in (12, 16, 20, 24):
        levels[day] *= 0.5
    assert usual(counts(levels), 28 * DAY, DAY).spread < 1.6 * quiet.spread


def test_what_is_wrong_already_is_not_usual() -> None:
    """Recovery is measured by what was there before, however long ago that is."""
    levels = [1.0] * 21 + [3.0] * 3
    now, began = 24 * DAY, 21 * DAY
    before = math.log(sum(counts(levels)[20 * DAY + 12 : 21 * DAY]))
    assert usual(counts(levels), now, last=began).value == pytest.approx(before, abs=0.1)
    assert usual(counts(levels), now).value > before + 0.1


def test_an_endpoint_beside_the_others_does_not_mind_busy_days() -> None:
    """What all have in common cancels out."""
    random_ = random.Random(3)
    levels = [random_.lognormvariate(0, 0.5) for _ in range(28)]
    mine, others = (Shaped(Totals(counts(levels, seed=seed)).between, THURSDAY) for seed in (1, 2))
    now = 28 * DAY
    alone, beside = (
        expected(Traffic(mine, by), now, DAY, first=0, last=now - DAY, believed=0.2, worth=2.0)
        for by in (None, others)
    )  # fmt: skip
    assert alone is not None
    assert beside is not None
    assert beside.spread < alone.spread / 3


def test_a_surge_that_has_passed_may_ring_again() -> None:
    """Two busy days, three usual ones, two busy ones: two rings."""

    def busy(hour: int, one: Segment) -> Segment:
        days = hour / DAY - 30
        if not (0 <= days < 2 or 5 <= days < 7):
            return one
        names = ("calls", "hits", "attempts", "input_tokens", "cached_tokens", "output_tokens", "pico_usd")
        return replace(one, **{name: 3 * getattr(one, name) for name in names})

    made, state, rang = facts(busy), State(), []
    rules = AlertRules(spend=None)
    for now in range(30 * DAY, DAYS * DAY, 6):
        rang += [now / DAY - 30 for one in rung(made, rules, now, state).new if one.rule == "requests"]
    assert [math.floor(day) for day in rang] == [0, 5]


def test_a_rule_with_few_looks_needs_less_to_ring() -> None:
    """It adds least to the false alarms; and whoever allows more of these hears of more."""
    watched = measures(facts(), AlertRules(), 30 * DAY)
    strict, loose = bars(watched, 0.1), bars(watched, 1.0)
    assert strict["user_tokens"] < strict["judge_score"] < strict["requests"]
    assert all(loose[rule] < strict[rule] for rule in strict)


def test_watching_more_makes_each_look_stricter() -> None:
    """What one rule may ring for nothing is shared by its endpoints, and by the rules beside it."""
    watched = measures(facts(), AlertRules(), 30 * DAY)
    alone = [one for one in watched if one.rule == "requests" and one.scope == "all calls"]
    several = [one for one in watched if one.rule == "requests"]
    assert bars(alone, 1.0)["requests"] < bars(several, 1.0)["requests"] < bars(watched, 1.0)["requests"]


def test_a_burst_of_sessions_rings_though_their_calls_are_few() -> None:
    """Calls come in bursts of their own; each is one session."""
    made, noise = facts(), random.Random(5)
    made.runs = [
        Run("chat", hour, 500, 1)
        for hour in range(NOW)
        for _ in range(noise.randrange(9, 12) * (3 if hour >= START else 1))
    ]
    found = rung(made, AlertRules(), NOW, State()).new
    assert [one.rule for one in found if one.rule in ("sessions", "requests", "spend")] == ["sessions"]


def test_one_endpoint_that_is_busier_than_the_others_rings_on_a_busy_day() -> None:
    """Days differ by a half, and all endpoints with them: what is one's own shows beside the others."""
    busy = [random.Random(day).lognormvariate(0, 0.5) for day in range(DAYS)]

    def traffic(hour: int, one: Segment) -> Segment:
        times = busy[hour // 24] * (2 if one.endpoint == "/search" and hour >= START else 1)
        names = ("calls", "hits", "attempts", "input_tokens", "cached_tokens", "output_tokens", "pico_usd")
        return replace(one, **{name: round(times * getattr(one, name)) for name in names})

    (one,) = [one for one in rung(facts(traffic), AlertRules(spend=None), NOW, State()).new if one.rule == "requests"]
    assert one.scope == "/search"
