"""Alerts: what rings, what does not, once, until it has recovered, and what it is put down to."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tuppence.errors import ConfigError, LedgerError
from tuppence.spend.alerts import AlertRules
from tuppence.spend.alerts.baseline import usual
from tuppence.spend.alerts.checking import rung
from tuppence.spend.alerts.facts import Facts, Run, Totals
from tuppence.spend.alerts.measures import measures
from tuppence.spend.alerts.state import On, State
from tuppence.spend.alerts.telling import alert
from tuppence.spend.alerts.watching import too_new
from tuppence.spend.digest.segments import Segment

from .alert_facts import DAYS, Change, facts, runs, unchanged

START = 35 * 24 + 10
NOW = START + 24


def from_start(change: Change) -> Change:
    return lambda hour, one: change(hour, one) if hour >= START else one


def longer_prompts(_: int, one: Segment) -> Segment:
    extra = one.input_tokens
    price = 12 if one.tier == "large" else 1
    return replace(one, input_tokens=one.input_tokens + extra, pico_usd=one.pico_usd + price * 1000 * extra)


def twice(_: int, one: Segment) -> Segment:
    names = ("calls", "hits", "attempts", "input_tokens", "cached_tokens", "output_tokens", "pico_usd")
    return replace(one, **{name: 3 * getattr(one, name) for name in names})


def dearer(_: int, one: Segment) -> Segment:
    return replace(one, pico_usd=one.pico_usd * 3 // 2 if one.tier == "large" else one.pico_usd)


def retried(_: int, one: Segment) -> Segment:
    return replace(one, attempts=one.attempts * 3 // 2, failures=one.attempts // 2)


def repeated(_: int, one: Segment) -> Segment:
    return replace(one, attempts=one.attempts * 27 // 25, retries=one.attempts * 2 // 25)


def cache_off(_: int, one: Segment) -> Segment:
    return replace(one, attempts=one.attempts + one.hits, hits=0)


def prefix_off(_: int, one: Segment) -> Segment:
    return replace(one, cached_tokens=0)


def all_large(_: int, one: Segment) -> Segment:
    if one.tier == "large":
        return replace(one, attempts=one.attempts * 4, pico_usd=one.pico_usd * 4)
    return replace(one, attempts=one.attempts // 4, pico_usd=one.pico_usd // 4)


def rules_that_ring(made: Facts, rules: AlertRules | None = None) -> set[str]:
    found = rung(made, rules or AlertRules(cool_down_hours=0), NOW, State())
    return {one.rule for one in found.new}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (longer_prompts, "tokens_per_request"), (longer_prompts, "cost_per_request"), (twice, "spend"),
        (twice, "requests"), (dearer, "price"), (retried, "amplification"), (retried, "retries"),
        (repeated, "retries"), (cache_off, "cache_hits"),
        (prefix_off, "prefix_hits"), (all_large, "tier_mix"),
    ],
)  # fmt: skip
def test_each_fault_rings_its_rule_within_a_day(change: Change, rule: str) -> None:
    """A fault that begins at ten in the morning, seen at the same time of the next day."""
    assert rule in rules_that_ring(facts(from_start(change)))


@pytest.mark.parametrize("seed", range(3))
def test_a_steady_month_rings_nothing(seed: int) -> None:
    """Weekends and noise are usual."""
    made, state = facts(seed=seed), State()
    found = [one for now in range(10 * 24, DAYS * 24, 12) for one in rung(made, AlertRules(), now, state).new]
    assert found == []


def test_a_user_who_sends_ten_times_as_much_is_named() -> None:
    """One among twenty, while the others go on as before."""
    made = facts()
    for hour in range(START, NOW):
        made.users[hour]["u7"] *= 10
    (one,) = [one for one in rung(made, AlertRules(), NOW, State()).new if one.rule == "user_tokens"]
    assert one.about == "u7"
    assert one.value == pytest.approx(9 / 20, rel=0.1)


def test_more_of_everybody_is_no_user_standing_out() -> None:
    """A busy day for all of them."""
    made = facts()
    for hour in range(START, NOW):
        made.users[hour] = {user: 3 * tokens for user, tokens in made.users[hour].items()}
    assert "user_tokens" not in rules_that_ring(made)


def test_scores_that_fall_ring() -> None:
    """By more than their noise."""
    made, noise = facts(), random.Random(1)
    scores = [noise.gauss(0.8 if hour < START else 0.6, 0.1) for hour in range(DAYS * 24)]
    made.scores = Totals(scores), Totals([1] * len(scores))
    assert "judge_score" in rules_that_ring(made)


@pytest.mark.parametrize(("power", "rings"), [(1.0, False), (1.3, True), (2.0, True)])
def test_calls_that_grow_faster_than_the_input_ring(power: float, rings: bool) -> None:
    """Linear runs do not, though their instructions make the line look bent."""
    made = facts()
    made.runs = runs(1.0, begin=NOW - 300, end=START) + runs(power, begin=START, end=NOW, seed=1)
    assert ("growth" in rules_that_ring(made)) is rings


def test_a_workflow_that_always_was_quadratic_rings_without_a_past() -> None:
    """A first check has nothing to compare with."""
    made = facts()
    made.runs = runs(2.0, begin=NOW - 60, end=NOW, constant=0)
    assert "growth" in rules_that_ring(made)


@pytest.mark.parametrize(("times", "rings"), [(1.0, False), (2.0, True)])
def test_runs_that_make_more_calls_than_runs_of_their_size_did_ring(times: float, rings: bool) -> None:
    """Four runs are enough, for they are held against what their own input used to take."""
    made = facts()
    late = runs(1.0, begin=NOW - 6, end=NOW - 2, seed=2)
    made.runs = runs(1.0, begin=NOW - 300, end=START)
    made.runs += [replace(run, calls=round(run.calls * times)) for run in late]
    assert ("run_calls" in rules_that_ring(made)) is rings


def test_chats_that_happen_to_be_long_are_no_runs() -> None:
    """What they were asked first says nothing of how long they go on."""
    made, noise = facts(), random.Random(4)
    made.runs = [
        Run("chat", hour, noise.randrange(100, 2000), 1 + round(noise.expovariate(0.2)) + (20 if hour >= START else 0))
        for hour in range(NOW - 300, NOW - 2)
    ]
    assert "run_calls" not in rules_that_ring(made)


def test_what_creeps_up_rings_before_it_is_there() -> None:
    """An eighth longer, and longer every hour: in a day it is past a fifth."""

    def creeping(hour: int, one: Segment) -> Segment:
        extra = round(one.input_tokens * 0.01 * max(0, hour - START))
        return replace(one, input_tokens=one.input_tokens + extra)

    made, rules = facts(creeping), AlertRules(cool_down_hours=0)
    rang = [one.rule for one in rung(made, rules, START + 18, State()).new]
    assert "tokens_per_request" in rang
    little = facts(lambda hour, one: creeping(min(hour, START + 5), one))
    assert "tokens_per_request" not in [one.rule for one in rung(little, rules, START + 18, State()).new]


def test_an_alert_rings_once_and_again_only_after_it_has_recovered() -> None:
    """Two bad days, three good ones, a bad one: two rings."""

    def bad(hour: int, one: Segment) -> Segment:
        days = (hour - START) / 24
        return dearer(hour, one) if 0 <= days < 2 or 5 <= days < 6 else one

    made, state, rang = facts(bad), State(), []
    for now in range(START, DAYS * 24, 3):
        rang += [now for one in rung(made, AlertRules(), now, state).new if one.rule == "price"]
    assert len(rang) == 2
    assert rang[0] - START <= 24
    assert 0 < rang[1] - START - 5 * 24 <= 24


def test_what_lasts_for_a_week_is_usual_and_does_not_ring_again() -> None:
    """A new price is a fact."""
    made, state, rang = facts(from_start(dearer), days=56), State(), []
    for now in range(START, 56 * 24, 6):
        rang += [one for one in rung(made, AlertRules(), now, state).new if one.rule == "price"]
    assert len(rang) == 1


def test_the_state_survives_in_a_file(tmp_path: Path) -> None:
    """A cron job's second run rings nothing."""
    made, path = facts(from_start(dearer)), tmp_path / "state.json"
    state = State.read(path)
    assert rung(made, AlertRules(), NOW, state).new
    state.write(path)
    again = State.read(path)
    assert again == state
    assert rung(made, AlertRules(), NOW + 1, again).new == []


@pytest.mark.parametrize("text", ["", "[]", '{"version": 9, "on": {}, "rang": {}}', '{"version": 1}'])
def test_a_file_that_is_no_state_is_named(tmp_path: Path, text: str) -> None:
    """In place of ringing everything anew."""
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(LedgerError, match=r"state\.json"):
        State.read(path)


def test_reasons_add_up_to_what_was_paid_more() -> None:
    """To the pico-dollar, and the prompt is named first."""
    made, rules = facts(from_start(longer_prompts)), AlertRules()
    one = next(one for one in rung(made, rules, NOW, State()).new if one.rule.endswith("per_request"))
    told = alert(made, rules, one, NOW)
    assert sum(told.drivers.values()) == told.extra_pico > 0
    assert max(told.drivers, key=lambda key: told.drivers[key])[0] == "prompt"
    assert "longer prompts" in told.said
    begun, at = (datetime.fromtimestamp((made.first + hour) * 3600, UTC) for hour in (START, NOW))
    assert begun <= told.since < at


def test_parts_of_a_budget_ring_once_a_day_each() -> None:
    """At a half and at all of it, of a UTC day."""
    made = facts()
    day = made.summed("pico_usd", made.sums)(28 * 24, 29 * 24)
    assert made.first % 24 == 0
    rules = AlertRules(daily_budget_usd=Decimal(round(day)).scaleb(-12), budget_shares=(0.5, 0.99))
    state, rang = State(), []
    for now in range(28 * 24 + 1, 30 * 24 + 1):
        rang += [one.value for one in rung(made, rules, now, state).new if one.rule == "budget"]
    assert rang[:2] == [pytest.approx(0.5, abs=0.06), pytest.approx(1.0, abs=0.06)]
    assert 3 <= len(rang) <= 4


def test_a_short_history_is_said_and_rings_nothing() -> None:
    """Five days tell no bad day from a Monday."""
    made = facts(lambda hour, one: dearer(hour, one) if hour >= 4 * 24 else one, days=5)
    assert rung(made, AlertRules(), 5 * 24, State()).new == []
    assert "price/large (large-1)" in too_new(measures(made, AlertRules(), 5 * 24), 5 * 24)


def test_fewer_calls_need_more_to_ring() -> None:
    """Ten calls an hour of whatever size are no news; the same change of thousands is."""

    def dear_day(seed: int) -> Change:
        noise = random.Random(seed)
        return lambda hour, one: replace(one, pico_usd=round(one.pico_usd * noise.lognormvariate(0, 1.2)))

    made, state = facts(dear_day(3), calls=4), State()
    rang = [one for now in range(14 * 24, DAYS * 24, 6) for one in rung(made, AlertRules(), now, state).new]
    assert len(rang) <= 2


def test_a_rule_that_is_off_is_silent() -> None:
    """None switches it off."""
    rules = AlertRules(price=None, cost_per_request=None, cool_down_hours=0)
    assert not rules_that_ring(facts(from_start(dearer)), rules) & {"price", "cost_per_request"}


def test_an_odd_day_in_the_past_is_no_weekday() -> None:
    """A Saturday on which nothing was recorded does not make the next one a surprise."""
    steady: list[float | None] = [5.0, 5.1, 4.9, 5.0, 5.1, 5.0, -1.0, 5.0, 4.9, 5.1]
    found = usual(steady, 0, believed=0.1)
    assert found is not None
    assert found.value == pytest.approx(5.0, abs=0.2)
    assert found.surprise(5.2) < 3
    assert usual(steady[:6], 0, believed=0.1) is None


@pytest.mark.parametrize(
    "wrong",
    [{"spend": -1.0}, {"false_alarms": 0}, {"history_days": 3}, {"budget_shares": (0.0,)}, {"daily_budget_usd": 0}],
)
def test_rules_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    """With the value and what would do."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AlertRules(**wrong)  # type: ignore[arg-type]


def test_state_keeps_when_an_alert_began() -> None:
    """Which is not when it was told."""
    state = State()
    rung(facts(from_start(dearer)), AlertRules(), NOW, state)
    on = next(value for key, value in state.on.items() if key.startswith("price/"))
    assert on.since < on.rang == facts(days=1).first + NOW
    assert isinstance(on, On)
    assert unchanged(0, Segment(None, "", "", *[0] * 9)).calls == 0
