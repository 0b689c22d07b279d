"""Experiments on live traffic: what is written down, what is concluded from it, and how often that is wrong."""

import json
import math
import multiprocessing
import random
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tuppence.cli import experiment as command
from tuppence.clients import result_of, wrap
from tuppence.context import tags
from tuppence.errors import ConfigError
from tuppence.evidence.experiments import (
    ArmSeen,
    ExperimentError,
    ExperimentLog,
    Plan,
    Seen,
    experiments_in,
    read_experiment,
    take_scores,
    verdict,
)
from tuppence.evidence.experiments.moments import Moments, Unit, drop_in_logs, gain_in_points
from tuppence.evidence.experiments.sequential import Estimate, excluded_from, information_needed, interval, p_value
from tuppence.evidence.outcomes import Feedback, OutcomesError
from tuppence.routes import start_at
from tuppence.routes.experiment import Arm, Experiment, Observation
from tuppence.spend import SqliteLedger
from tuppence.testing import Fault, ProviderServer

ALPHA = 0.05


def observation(unit: int, arm: Arm, call: str, **changes: Any) -> Observation:
    seen = Observation("mini", f"{unit:032x}", arm, 0.5, call, 1000.0 + unit, 1_000_000, 200.0, False)
    return replace(seen, **changes)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "experiment.sqlite"


# -- the file


def test_a_unit_is_exposed_once_and_a_call_counts_once(file: Path) -> None:
    """Writing the same again, from another log as well, changes nothing."""
    log = ExperimentLog(file)
    for _ in range(2):
        log.observe(observation(1, "treatment", "a"))
        log.observe(observation(1, "treatment", "b", pico_usd=3_000_000))
        log.observe(observation(2, "control", "c"))
        log.flush()
    again = ExperimentLog(file)
    again.observe(observation(1, "treatment", "a"))
    again.flush()
    seen = read_experiment(file, "mini")
    assert (seen.treatment.exposed, seen.treatment.calls, seen.treatment.pico_usd) == (1, 2, 4_000_000)
    assert (seen.control.exposed, seen.control.calls) == (1, 1)
    assert seen.shares == ((0.5, 1, 1),)


def test_a_unit_counts_by_the_mean_of_its_calls(file: Path) -> None:
    """However many they are: a user who asks a thousand times is one user."""
    log = ExperimentLog(file)
    for call, (failed, score) in enumerate([(False, 1.0), (False, 0.0), (False, 0.5), (True, None)]):
        log.observe(observation(1, "control", f"1-{call}", failed=failed, latency_ms=100.0 * (call + 1)))
        if score is not None:
            log.score(f"1-{call}", score)
    log.observe(observation(2, "control", "2", pico_usd=None))
    log.score("2", 1.0)
    log.flush()
    arm = read_experiment(file, "mini").control
    assert (arm.exposed, arm.calls, arm.scored, arm.priced) == (2, 5, 4, 4)
    assert (arm.quality.units, arm.quality.mean) == (2, 0.75)
    assert (arm.errors.units, arm.errors.mean) == (2, 0.125)
    assert (arm.latency_ms.units, arm.latency_ms.mean) == (2, 225.0)
    assert (arm.cost.units, arm.cost.mean) == (1, 1_000_000)


def test_a_score_may_come_before_its_call_and_be_corrected(file: Path) -> None:
    """Feedback travels its own way; the last word counts."""
    log = ExperimentLog(file)
    log.score("a", 1.0)
    log.score("a", 0.25)
    log.observe(observation(1, "control", "a"))
    log.flush()
    assert read_experiment(file, "mini").control.quality.mean == 0.25
    with pytest.raises(ExperimentError, match=r"score of call 'a' is 1\.5"):
        log.score("a", 1.5)


def test_a_call_that_was_made_again_under_its_id_is_one_call(file: Path) -> None:
    """Its money and time add up, and its last end is its end."""
    log = ExperimentLog(file)
    log.observe(observation(1, "control", "a", failed=True))
    log.observe(observation(1, "control", "a", at=2000.0, pico_usd=5_000_000))
    log.flush()
    arm = read_experiment(file, "mini").control
    assert (arm.calls, arm.pico_usd, arm.errors.mean, arm.latency_ms.mean) == (1, 6_000_000, 0.0, 400.0)


def test_a_unit_that_was_moved_counts_where_it_was_first(file: Path) -> None:
    """What it did after the share had grown is left out, and said."""
    log = ExperimentLog(file)
    log.observe(observation(1, "control", "a"))
    log.observe(observation(1, "treatment", "b", share=0.9, at=2000.0))
    log.observe(observation(2, "treatment", "c", share=0.9, at=2001.0))
    log.flush()
    seen = read_experiment(file, "mini")
    assert (seen.control.exposed, seen.control.calls, seen.treatment.exposed, seen.treatment.calls) == (1, 1, 1, 1)
    assert (seen.moved, seen.shares) == (1, ((0.5, 0, 1), (0.9, 1, 0)))


def test_odd_values_cost_no_row(file: Path) -> None:
    """A name that is no UTF-8 and a time that is none stand beside others that are stored."""
    log = ExperimentLog(file)
    log.observe(observation(1, "control", "\ud800", latency_ms=math.nan, pico_usd=2**70))
    log.observe(observation(2, "control", "b"))
    log.flush()
    arm = read_experiment(file, "mini").control
    assert (arm.exposed, arm.calls, arm.priced, arm.latency_ms.units) == (2, 2, 1, 1)


def _observe_many(file: Path, first: int) -> None:
    log = ExperimentLog(file)
    for unit in range(first, first + 200):
        log.observe(observation(unit, "control" if unit % 2 else "treatment", f"call {unit}"))
    log.flush()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_many_processes_write_one_file(file: Path) -> None:
    """All that each was told is there, also from processes that were forked with a log open."""
    own = ExperimentLog(file)
    own.observe(observation(9_999, "control", "own"))
    forked, spawned = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
    workers: list[Any] = [forked.Process(target=_observe_many, args=(file, 100 * n)) for n in range(3)]
    workers.append(spawned.Process(target=_observe_many, args=(file, 300)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(600)
        assert worker.exitcode == 0
    own.flush()
    seen = read_experiment(file, "mini")
    assert (seen.treatment.exposed, seen.control.exposed, seen.control.calls) == (250, 251, 251)


def test_what_cannot_be_written_is_kept(file: Path, tmp_path: Path) -> None:
    """A flush says so, and the next one stores it."""
    log = ExperimentLog(file)
    aside = tmp_path / "aside"
    for one in tmp_path.glob("experiment.sqlite*"):
        one.unlink()
    file.mkdir()
    log.observe(observation(1, "control", "a"))
    with pytest.raises(ExperimentError, match="cannot be used"):
        log.flush()
    file.rename(aside)
    log.flush()
    assert read_experiment(file, "mini").control.calls == 1


def test_other_files_are_refused(file: Path, tmp_path: Path) -> None:
    """A database of something else is neither read nor written; a name that is not there, with those that are."""
    with pytest.raises(ExperimentError, match="no experiment file at"):
        read_experiment(tmp_path / "none", "mini")
    with sqlite3.connect(file) as rows:
        rows.execute("CREATE TABLE other (x)")
    rows.close()
    for use in (ExperimentLog, experiments_in):
        with pytest.raises(ExperimentError, match="no experiment file"):
            use(file)
    (tmp_path / "text").write_text("no database at all, only a text that is long enough to be read as one" * 20)
    with pytest.raises(ExperimentError, match="cannot be used"):
        experiments_in(tmp_path / "text")
    log = ExperimentLog(tmp_path / "new")
    assert experiments_in(tmp_path / "new") == []
    log.observe(observation(1, "control", "a"))
    log.flush()
    with pytest.raises(ExperimentError, match="no experiment 'maxi': it has mini"):
        read_experiment(tmp_path / "new", "maxi")


def test_live_traffic_is_counted_as_it_goes(file: Path, server: ProviderServer) -> None:
    """Through a wrapped client: each user on one side, each call once, failures too, cached answers not at all."""
    server.model("small", replies="fine")
    server.model("large", replies="fine")
    log = ExperimentLog(file)
    experiment = Experiment("mini", treatment=start_at("large"), control=start_at("small"), share=0.5, watch=log)
    prices = {"small": {"input": "1", "output": "1"}, "large": {"input": "5", "output": "5"}}
    with openai.OpenAI(base_url=server.base_url, api_key="x") as client:
        options: dict[str, Any] = {"tiers": ["small", "large"], "prices": prices, "ledger": None, "cache": True}
        wrapped = wrap(client, route=experiment, **options)
        for user in range(40):
            with tags(user=f"user {user}"):
                for text in ("hello", "hello", "more"):
                    answer = wrapped.chat.completions.create(
                        model="auto", messages=[{"role": "user", "content": f"{text} of {user}"}]
                    )
                    log.score(result_of(answer).call_id, 0.5)
        for name in ("small", "large"):
            server.model(name, replies=Fault(status=400))
        with tags(user="user 0"), pytest.raises(openai.BadRequestError):
            wrapped.chat.completions.create(model="auto", messages=[{"role": "user", "content": "again"}])
    log.flush()
    seen = read_experiment(file, "mini")
    treated = sum(experiment.arm({"user": f"user {user}"}) == "treatment" for user in range(40))
    assert (seen.treatment.exposed, seen.control.exposed) == (treated, 40 - treated)
    assert seen.treatment.calls + seen.control.calls == 81
    assert seen.treatment.scored + seen.control.scored == 80
    billed = {
        name: sum(one.usage["total_tokens"] for one in server.served if one.model == name and one.usage)
        for name in prices
    }
    assert (seen.control.pico_usd, seen.treatment.pico_usd) == (billed["small"] * 10**6, billed["large"] * 5 * 10**6)
    failing = getattr(seen, experiment.arm({"user": "user 0"}))
    assert failing.errors.mean * failing.errors.units == pytest.approx(1 / 3)


# -- the numbers


CALLS = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=2, max_size=20)


def unit_of(values: list[float]) -> Unit:
    mean = math.fsum(values) / len(values)
    return Unit(mean, len(values), math.fsum((value - mean) ** 2 for value in values))


@given(CALLS, CALLS)
def test_running_moments_are_those_of_the_units(units: list[list[float]], gone: list[list[float]]) -> None:
    """Also after others were taken out, as when a user calls again."""
    moments = Moments()
    for calls in gone + units:
        moments.add(unit_of(calls))
    for calls in gone:
        moments.remove(unit_of(calls))
    means = [unit_of(calls).mean for calls in units]
    mean = math.fsum(means) / len(means)
    assert moments.mean == pytest.approx(mean, abs=1e-9)
    assert moments.variance == pytest.approx(math.fsum((one - mean) ** 2 for one in means) / (len(means) - 1), abs=1e-9)
    assert moments.restless >= 0.0
    assert all(len(calls) > 1 for calls in units) or moments.units == len(units)


def test_units_that_go_on_calling_make_chance_more_turns() -> None:
    """One call each is what the test supposes; ten calls of users who are all alike are far rougher."""

    def arms(calls: int, seed: int) -> tuple[Moments, Moments]:
        draw, made = random.Random(seed), (Moments(), Moments())
        for arm in made:
            for _ in range(500):
                arm.add(unit_of([float(draw.random() < 0.7) for _ in range(calls)]))
        return made

    once, often = gain_in_points(*arms(1, 1)), gain_in_points(*arms(10, 2))
    assert once is not None and often is not None
    assert once.roughness == 1.0
    # 1 + 2 * (1 - 1/10) / (1/10), of a variance that is a tenth of a call's.
    assert often.roughness == pytest.approx(19, rel=0.1)
    assert p_value(often, -0.01, effect=0.05) == pytest.approx(
        min(1.0, often.roughness * p_value(replace(often, roughness=1.0), -0.01, effect=0.05))
    )


@given(st.floats(-1, 1), st.floats(1e-8, 1.0), st.floats(0.001, 0.5), st.sampled_from([0.01, 0.05, 0.2]))
def test_interval_and_p_value_are_one_test(value: float, variance: float, effect: float, alpha: float) -> None:
    """A null just outside the interval is rejected at half of alpha, one just inside is not."""
    estimate = Estimate(value, variance)
    low, high = interval(estimate, alpha=alpha, effect=effect)
    width = high - low
    assert low < value < high
    assert p_value(estimate, low - 1e-6 * width, effect=effect) <= alpha / 2
    assert p_value(estimate, low + 1e-6 * width, effect=effect) > alpha / 2


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(1e-6, 10))
def test_evidence_falls_with_the_null(one: float, other: float, variance: float) -> None:
    """The further a null lies below the estimate, the smaller its p-value; far ones neither overflow nor fail."""
    lower, upper = sorted((one, other))
    estimate = Estimate(0.0, variance)
    assert p_value(estimate, lower, effect=0.1) <= p_value(estimate, upper, effect=0.1)


def test_more_information_excludes_more() -> None:
    """And what is needed for a difference is about what excludes it, and some more for the power."""
    halves = [excluded_from(variance, alpha=ALPHA, effect=0.02) for variance in (1e-3, 1e-4, 1e-5, 1e-6)]
    assert halves == sorted(halves, reverse=True)
    needed = information_needed(0.02, alpha=ALPHA, effect=0.02)
    assert excluded_from(1 / needed, alpha=ALPHA, effect=0.02) < 0.02
    assert excluded_from(3 / needed, alpha=ALPHA, effect=0.02) > 0.02


def test_rare_failures_are_no_certainty() -> None:
    """Forty units without one do not show that there is none: a spread is assumed where none was seen."""
    arms = [Moments(), Moments()]
    for _ in range(40):
        for arm in arms:
            arm.add(Unit(0.0))
    estimate = gain_in_points(*arms)
    assert estimate is not None
    assert p_value(estimate, -0.01, effect=0.01) > 0.5


def test_a_treatment_that_costs_nothing_is_cheaper() -> None:
    """Though no ratio can be formed; and nothing can be said against a control that costs nothing."""
    free, paid = Moments(), Moments()
    for unit in range(100):
        free.add(Unit(0.0))
        paid.add(Unit(1000.0 + unit))
    estimate = drop_in_logs(free, paid)
    assert estimate is not None
    assert p_value(estimate, 0.0, effect=0.1) < 1e-6
    assert drop_in_logs(paid, free) is None


# -- how often a verdict is wrong


class Traffic:
    """Users who come back, each with a level of their own: their calls are alike, and far from independent."""

    def __init__(
        self, seed: int, *, share: float, treated: float, control: float, calls: int = 1, spread: float = 0.05
    ) -> None:
        self._random, self._spread = random.Random(seed), spread
        self._share, self._levels, self._calls = share, {True: treated, False: control}, calls
        self._users: list[tuple[bool, float, list[float]]] = []
        self.arms = {True: Moments(), False: Moments()}

    def looks(self, users: int) -> Iterator[Estimate]:
        """Yield the estimate after every call, until so many users have come."""
        while len(self._users) < users:
            self._call()
            estimate = gain_in_points(self.arms[True], self.arms[False])
            if estimate is not None:
                yield estimate

    def _call(self) -> None:
        draw = self._random
        if not self._users or draw.random() < 1 / self._calls:
            treated = draw.random() < self._share
            level = self._levels[treated] + draw.uniform(-self._spread, self._spread)
            self._users.append((treated, level, []))
            user = self._users[-1]
        else:
            user = draw.choice(self._users)
        treated, level, answers = user
        if answers:
            self.arms[treated].remove(unit_of(answers))
        answers.append(float(draw.random() < level))
        self.arms[treated].add(unit_of(answers))


def ever_rejected(runs: int, users: int, *, null: float, effect: float, worse: bool = False, **traffic: Any) -> float:
    """Share of experiments in which some look, and one is taken after every call, rejects the null."""
    rejected = 0
    for seed in range(runs):
        for seen in Traffic(seed, **traffic).looks(users):
            turned = replace(seen, value=-seen.value) if worse else seen
            if p_value(turned, null, effect=effect) <= ALPHA:
                rejected += 1
                break
    return rejected / runs


BY_HALVES = {"share": 0.5, "treated": 0.65, "control": 0.7}
COMING_BACK = {**BY_HALVES, "calls": 4, "spread": 0.25}


@pytest.mark.parametrize(
    ("worse", "users", "traffic"),
    [
        pytest.param(False, 500, BY_HALVES, id="shipped at the margin"),
        pytest.param(True, 500, BY_HALVES, id="stopped at the margin"),
        pytest.param(False, 500, {**BY_HALVES, "share": 0.1}, id="a tenth of the users"),
        pytest.param(False, 500, {"share": 0.3, "treated": 0.90, "control": 0.95}, id="near the ceiling"),
        pytest.param(False, 250, COMING_BACK, id="users who come back"),
        pytest.param(True, 250, COMING_BACK, id="and are stopped"),
    ],
)
def test_looking_after_every_call_keeps_the_promise(worse: bool, users: int, traffic: dict[str, Any]) -> None:
    """At a true difference of exactly the margin, no more than alpha of the experiments ever conclude wrongly."""
    null = 0.05 if worse else -0.05
    assert ever_rejected(100, users, null=null, effect=0.05, worse=worse, **traffic) <= ALPHA


def test_calls_counted_one_by_one_would_break_the_promise() -> None:
    """Why units: users who come back ten times, taken for ten users each, are found to differ where they do not."""
    wrong = 0
    for seed in range(60):
        draw, arms = random.Random(seed), {True: Moments(), False: Moments()}
        for _ in range(60):
            treated, level = draw.random() < 0.5, draw.choice((0.1, 0.9))
            for _ in range(20):
                arms[treated].add(Unit(float(draw.random() < level)))
            seen = gain_in_points(arms[True], arms[False])
            if (
                seen is not None
                and min(p_value(Estimate(s * seen.value, seen.variance), 0, effect=0.1) for s in (1, -1)) < ALPHA
            ):
                wrong += 1
                break
    assert wrong / 60 > 4 * ALPHA


def test_power() -> None:
    """An equal treatment is found not to be 10 points worse by 1,300 users; one that ruins answers is stopped soon."""
    equal = {"share": 0.5, "treated": 0.7, "control": 0.7}
    assert ever_rejected(40, 1300, null=-0.1, effect=0.1, **equal) >= 0.8
    ruined = {"share": 0.1, "treated": 0.3, "control": 0.7}
    assert ever_rejected(40, 800, null=0.02, effect=0.02, worse=True, **ruined) >= 0.9


# -- verdicts


def arm(
    units: int, *, score: float = 0.8, usd: float = 0.002, failed: float = 0.0, latency_ms: float = 500.0, seed: int = 1
) -> ArmSeen:
    """An arm of units with one call each, around these means."""
    draw, seen = random.Random(seed), ArmSeen(exposed=units)
    for _ in range(units):
        pico = round(usd * 1e12 * draw.uniform(0.5, 1.5))
        seen.count(
            1, pico, cost=Unit(float(pico)), latency_ms=Unit(latency_ms * draw.uniform(0.5, 1.5)),
            errors=Unit(float(draw.random() < failed)), quality=Unit(float(draw.random() < score)),
        )  # fmt: skip
    return seen


def seen(treatment: ArmSeen, control: ArmSeen, share: float = 0.5) -> Seen:
    return Seen("mini", treatment, control, shares=((share, treatment.exposed, control.exposed),))


CHEAPER = {"usd": 0.0012}


@pytest.mark.parametrize(
    ("treatment", "control", "plan", "action", "words"),
    [
        (
            (6000, CHEAPER), (6000, {}), {}, "ship",
            r"costs 40% less \(3\d to 4\d%\); quality is not worse by more than 2 points \(p [<=] \.\d+\).*ship it$",
        ),
        (
            (3000, {"score": 0.7, **CHEAPER}), (3000, {}), {}, "harm",
            r"quality is worse by more than 2 points .*harm \(quality\): stop$",
        ),
        (
            (3000, {"failed": 0.1, **CHEAPER}), (3000, {}), {}, "harm",
            r"failed calls rose by more than 1 point: .*harm \(errors\): stop$",
        ),
        (
            (1000, {"latency_ms": 900.0, **CHEAPER}), (1000, {}), {}, "harm",
            r"latency rose by more than 25%: .*harm \(latency\): stop$",
        ),
        ((1000, {"usd": 0.003}), (1000, {}), {}, "harm", r"costs 5\d% more .*harm \(cost\): stop$"),
        (
            (6000, {"usd": 0.0019}), (6000, {}), {"saving": 0.2}, "futile",
            r"futile: it does not save the 20% .*stop$",
        ),
        (
            (200, CHEAPER), (200, {}), {}, "continue",
            r"go on: needs about [\d,]+ more units \(.*quality.* open\)$",
        ),
        (
            (200, CHEAPER), (200, {}), {"max_units": 400}, "futile",
            r"all 400 planned units are used up and .*quality.* still open: stop$",
        ),
        (
            (200, CHEAPER), (200, {}), {"max_units": 500}, "futile",
            r"quality.* would need more than the 500 units planned: stop$",
        ),
        ((10, CHEAPER), (10, {}), {}, "continue", r"go on: each arm needs at least 30 units with a score and an end"),
        (
            (400, CHEAPER), (600, {}), {}, "broken",
            r"not as set: 400 of 1,000 units got the treatment, where it was to be 50% \(p < \.001\)",
        ),
    ],
)  # fmt: skip
def test_a_verdict_says_what_to_do_and_why(
    treatment: tuple[int, dict[str, float]], control: tuple[int, dict[str, float]], plan: dict[str, Any], action: str,
    words: str,
) -> None:  # fmt: skip
    """Ship, stop for harm, give up, distrust, or go on: each in words."""
    found = verdict(seen(arm(treatment[0], **treatment[1]), arm(control[0], seed=2, **control[1])), Plan(**plan))
    assert found.action == action, found.words
    assert re.search(words, found.words), found.words


ARMS = st.builds(
    arm,
    st.sampled_from([1, 29, 30, 200, 2000]),
    score=st.sampled_from([0.0, 0.5, 0.78, 0.8, 1.0]),
    usd=st.sampled_from([0.0, 0.0016, 0.002, 0.05]),
    failed=st.sampled_from([0.0, 0.02, 1.0]),
    latency_ms=st.sampled_from([0.0, 500.0, 640.0]),
    seed=st.integers(0, 3),
)


@given(ARMS, ARMS, st.sampled_from([-0.5, 0.0, 0.2, 0.9]), st.sampled_from([None, 100, 5000]))
def test_every_experiment_has_a_verdict(treatment: ArmSeen, control: ArmSeen, saving: float, most: int | None) -> None:
    """In words, whatever was seen; and shipped is only what has passed in all."""
    share = treatment.exposed / (treatment.exposed + control.exposed)
    found = verdict(seen(treatment, control, share), Plan(saving=saving, max_units=most))
    states = {one.state for one in found.findings}
    assert (found.action == "ship") == (states == {"passed"})
    assert (found.action == "harm") == ("harmed" in states)
    assert found.words.endswith(("ship it", "stop")) == (found.action != "continue")
    assert "None" not in found.words and "nan" not in found.words
    for one in found.findings:
        assert one.low is None or one.change is None or one.high is None or one.low <= one.change <= one.high


def test_a_measure_that_is_left_out_decides_nothing() -> None:
    """A slower tier may be shipped where nobody waits for it."""
    slow = seen(arm(6000, latency_ms=900.0, usd=0.0012), arm(6000, seed=2))
    assert verdict(slow).action == "harm"
    assert verdict(slow, Plan(latency=None)).action == "ship"


def test_a_dearer_treatment_may_be_shipped_for_its_quality() -> None:
    """Where the plan allows it to cost more, and then the better quality is said."""
    found = verdict(seen(arm(6000, score=0.9, usd=0.0024), arm(6000, seed=2)), Plan(saving=-0.3))
    assert found.action == "ship"
    assert "quality is better (+" in found.words


def test_a_share_that_was_changed_is_judged_by_what_was_in_force() -> None:
    """A tenth first and a half later is no broken split, and the same counts under one share are."""
    treatment, control = arm(600), arm(1400, seed=2)
    assert verdict(Seen("mini", treatment, control, shares=((0.1, 100, 900), (0.5, 500, 500)))).p_split > 0.05
    assert verdict(Seen("mini", treatment, control, shares=((0.5, 600, 1400),))).action == "broken"


@pytest.mark.parametrize(
    "plan", [{"alpha": 0.0}, {"alpha": 0.5}, {"quality": -0.1}, {"errors": 1.0}, {"saving": 1.0}, {"max_units": 0}]
)
def test_a_plan_that_cannot_work_is_refused(plan: dict[str, Any]) -> None:
    """By its name and value."""
    (name, value) = next(iter(plan.items()))
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        Plan(**plan)


# -- the command


@pytest.fixture
def traffic(file: Path) -> Path:
    """A file of an experiment whose treatment costs less and is as good."""
    log, draw = ExperimentLog(file), random.Random(5)
    experiment = Experiment("mini", treatment=start_at("mini"), share=0.5)
    for user in range(2000):
        tags = {"user": f"user {user}"}
        unit, where = experiment.unit(tags), experiment.arm(tags)
        assert unit is not None
        pico = round((6e8 if where == "treatment" else 1e9) * draw.uniform(0.5, 1.5))
        log.observe(
            Observation("mini", unit, where, 0.5, f"call {user}", 1e9 + user, pico, draw.uniform(300, 700), False)
        )
        log.score(f"call {user}", float(draw.random() < 0.9))
    log.flush()
    return file


def test_the_report_is_a_table_and_a_verdict(traffic: Path) -> None:
    """For people: both arms, what changed, and what to do."""
    done = CliRunner().invoke(command.app, ["report", str(traffic), "--quality", "0.1", "--errors", "0.05"])
    assert done.exit_code == 0, done.output
    for said in ("experiment mini", "treatment", "control", "cost a call, USD", "within its margin", "ship it"):
        assert said in done.stdout


def test_the_report_is_json_for_programs(traffic: Path) -> None:
    """With exact money, and the same verdict."""
    done = CliRunner().invoke(command.app, ["report", str(traffic), "--format", "json", "--quality", "0.1"])
    (told,) = json.loads(done.stdout)["experiments"]
    assert told["experiment"] == "mini" and told["verdict"].endswith("ship it") == (told["action"] == "ship")
    assert told["measures"]["cost"]["state"] == "passed"
    assert told["measures"]["cost"]["low"] < -0.4 < told["measures"]["cost"]["high"]
    assert isinstance(told["arms"]["control"]["cost_usd"], str)
    assert told["arms"]["control"]["units"] + told["arms"]["treatment"]["units"] == 2000


def test_scores_are_taken_from_a_ledger_and_from_a_file_of_feedback(file: Path, tmp_path: Path) -> None:
    """Where users' words lie already; the latest counts, and taking them again changes nothing."""
    log = ExperimentLog(file)
    for call in "abc":
        log.observe(observation(ord(call), "control", call))
    log.flush()
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    ledger.feedback("a", 1.0)
    ledger.feedback("elsewhere", 1.0)
    ledger.close()
    said = [Feedback("b", 0.0, at=2.0), Feedback("b", 1.0, at=1.0), Feedback("c", 0.5, at=1.0)]
    (tmp_path / "feedback.jsonl").write_bytes(b"".join(one.line() for one in said))
    for source, taken in (("ledger.sqlite", 2), ("feedback.jsonl", 3), ("ledger.sqlite", 2)):
        done = CliRunner().invoke(command.app, ["score", str(file), str(tmp_path / source)])
        assert done.stdout.startswith(f"{taken} scores taken"), done.output
    arm = read_experiment(file, "mini").control
    assert (arm.scored, arm.quality.mean) == (3, 0.5)
    with pytest.raises(ExperimentError, match="no experiment file"):
        take_scores(tmp_path / "none", tmp_path / "feedback.jsonl")
    assert not (tmp_path / "none").exists()
    with pytest.raises(OutcomesError, match="cannot be read"):
        take_scores(file, tmp_path / "none")


def test_a_report_on_nothing_is_an_error(tmp_path: Path) -> None:
    """In words, with what to do."""
    done = CliRunner().invoke(command.app, ["report", str(tmp_path / "none")])
    assert done.exit_code != 0
    assert isinstance(done.exception, ExperimentError)
