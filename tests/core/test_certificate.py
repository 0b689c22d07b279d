"""Certificates: what is certified, what is refused and why, and that the promise holds where the truth is known."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tuppence.errors import ConfigError
from tuppence.evidence.certificate import Certified, Ladder, NoSaving, NotCertifiable, Objective, certify
from tuppence.evidence.certificate.betting import MOST, Spread, labels_needed, log_wealth, ratio_bounds, spread

FloatArray = NDArray[np.float64]
GRID = np.linspace(0.0, 1.0, 11)
STRONG_USD, CHEAP_USD = 0.01, 0.001


def drawn(
    n: int, *, seed: int = 0, loss: float = 0.0, quality: float = 0.8, cheap_usd: float = CHEAP_USD,
    latency: bool = False,
) -> Ladder:  # fmt: skip
    """Draw n questions. At threshold T the cheap tier answers a share T of them, and loses `loss` of what is right."""
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    strong = (rng.random(n) < quality).astype(np.float64)
    cheap = strong * (rng.random(n) >= loss)
    kept = score <= GRID[:, None]
    cost = np.where(kept, cheap_usd, cheap_usd + STRONG_USD)
    waits = np.where(kept, 100.0, 900.0)
    cost[0], waits[0] = STRONG_USD, 800.0
    return Ladder(
        GRID, np.where(kept, cheap, strong), cost, strong, np.full(n, STRONG_USD), waits if latency else None
    )  # fmt: skip


# -- what is certified


def test_a_cheap_tier_that_loses_nothing_is_certified_and_the_saving_is_told_in_dollars() -> None:
    """The loosest threshold is taken, and every figure is what the rows say."""
    found = certify(drawn(300, seed=1), drawn(700, seed=2), target=0.95, delta=0.1)
    assert isinstance(found, Certified)
    assert found.threshold == 1.0
    assert found.saving.per_call == Decimal("0.009")
    assert found.saving.per_1000 == Decimal("9")
    assert found.saving.strongest_per_call == Decimal("0.01")
    assert found.saving.share.value == pytest.approx(0.9)
    assert found.quality_ratio.value == 1.0
    assert found.quality_ratio.low >= 0.95
    assert (found.labels.train, found.labels.certify, found.labels.total) == (300, 700, 1000)
    assert found.log_wealth >= math.log(10)
    assert "certified: with probability 90% the policy keeps at least 95%" in found.words
    assert "1,000 labels" in found.words


def test_looser_thresholds_are_taken_only_as_far_as_they_are_certified() -> None:
    """With a cheap tier that loses a fifth of its answers, some of the traffic may go to it and not all."""
    found = certify(drawn(600, seed=1, loss=0.2), drawn(1400, seed=2, loss=0.2), target=0.9, delta=0.1)
    assert isinstance(found, Certified)
    assert 0.2 <= found.threshold <= 0.5
    # The true ratio at threshold T is 1 - 0.2 T.
    assert found.quality_ratio.low <= 1.0 - 0.2 * found.threshold <= found.quality_ratio.high


def test_the_table_tells_of_every_threshold_and_stops_testing_at_the_first_failure() -> None:
    """Certified ones come first, then one that failed, then those that nobody looked at."""
    found = certify(drawn(300, seed=1, loss=0.3), drawn(700, seed=2, loss=0.3), target=0.9, delta=0.1)
    assert isinstance(found, Certified)
    states = [(one.tested, one.certified) for one in found.trials]
    certified = sum(certified for _, certified in states)
    assert 0 < certified < len(GRID)
    assert states == [(True, True)] * certified + [(True, False)] + [(False, False)] * (len(GRID) - certified - 1)
    assert all((one.log_wealth is None) == (not one.tested) for one in found.trials)
    first = found.trials[0]
    assert (first.quality_ratio, first.saved, first.usd_per_call) == (1.0, 0.0, Decimal("0.01"))


@pytest.mark.parametrize("target", [0.5, 0.9, 0.98])
def test_more_labels_certify_more(target: float) -> None:
    """The same traffic, the same policy: what 200 labels leave open, 20,000 settle."""
    few, many = (
        certify(drawn(n // 4, seed=1, loss=0.05), drawn(n, seed=2, loss=0.05), target=target, delta=0.05)
        for n in (100, 20_000)
    )
    assert isinstance(many, Certified)
    # The true ratio is 1 - 0.05 T.
    assert many.threshold >= min(1.0, 0.7 * (1.0 - target) / 0.05)
    assert not isinstance(few, Certified) or few.threshold <= many.threshold


# -- what is refused


def test_too_few_labels_are_not_enough_and_about_how_many_are_is_told() -> None:
    """With so many in all it is certified, nearly always."""
    found = certify(drawn(20, seed=1, loss=0.02), drawn(30, seed=2, loss=0.02), target=0.95, delta=0.1)
    assert isinstance(found, NotCertifiable)
    assert found.more_labels is not None
    assert "needs about" in found.words
    total = found.labels.total + found.more_labels
    train = round(0.4 * total)
    then = [
        certify(
            drawn(train, seed=seed, loss=0.02), drawn(total - train, seed=seed + 1, loss=0.02), target=0.95, delta=0.1
        )
        for seed in range(10, 50, 2)
    ]  # fmt: skip
    assert sum(isinstance(one, Certified) for one in then) >= 10


def test_a_cheap_tier_that_loses_more_than_is_allowed_saves_nothing_at_this_target() -> None:
    """Even the strictest threshold that saves is clearly too bad: more labels would only confirm it."""
    found = certify(drawn(300, seed=1, loss=0.9), drawn(700, seed=2, loss=0.9), target=0.95, delta=0.1)
    assert isinstance(found, NoSaving)
    assert found.words.startswith("no tier mix saves money at this target (95%)")
    assert "clearly too little" in found.words


def test_a_cheap_tier_that_costs_as_much_is_refused_for_its_price() -> None:
    """However good it is; and the figures stand in the reason."""
    found = certify(drawn(300, cheap_usd=0.011), drawn(700, seed=1, cheap_usd=0.011), target=0.95, delta=0.1)
    assert isinstance(found, NoSaving)
    assert found.strongest_per_call == Decimal("0.01")
    assert "$0.010000 a call" in found.words


def test_where_quality_looks_too_low_but_not_clearly_no_number_of_labels_is_promised() -> None:
    """The estimate is below the target, within its error: neither a figure nor a refusal for good would be honest."""
    strong = np.tile([1.0, 1.0, 1.0, 0.0], 20)
    cheap = strong.copy()
    cheap[:4] = 0.0
    grid = np.array([0.0, 1.0])
    cost = np.stack((np.full(80, STRONG_USD), np.full(80, CHEAP_USD)))
    ladder = Ladder(grid, np.stack((strong, cheap)), cost, strong, np.full(80, STRONG_USD))
    found = certify(ladder, ladder, target=0.96, delta=0.1)
    assert isinstance(found, NotCertifiable)
    assert found.more_labels is None
    assert "no number of labels would do" in found.words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": 1.0}, "target is 1.0"),
        ({"target": 0.0}, "target is 0.0"),
        ({"delta": 0.0}, "delta is 0.0"),
        ({"labelled": drawn(0)}, "no labels to certify with"),
        ({"labelled": drawn(50, quality=0.0)}, "quality is 0 on all 50 labels"),
        ({"train": dataclasses.replace(drawn(50), thresholds=GRID + 1.0)}, "different thresholds"),
        ({"objective": Objective(prefer="speed")}, "no latencies"),
    ],
)
def test_arguments_that_cannot_be_are_refused_with_their_value(change: dict[str, Any], said: str) -> None:
    """Each names what is wrong."""
    given_: dict[str, Any] = {"train": drawn(50), "labelled": drawn(50, seed=1), "target": 0.9, "delta": 0.1}
    with pytest.raises(ConfigError, match=said):
        certify(**(given_ | change))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("quality", np.full((11, 5), 1.5), "quality holds 1.5"),
        ("quality", np.zeros((5, 11)), r"quality has the shape \(5, 11\)"),
        ("cost", np.full((11, 5), np.nan), "cost holds nan"),
        ("strongest_cost", np.full(5, -1.0), "strongest_cost holds -1.0"),
        ("latency_ms", np.full((11, 5), np.inf), "latency_ms holds inf"),
        ("thresholds", np.full(11, np.nan), "threshold is NaN"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused_with_its_value(field: str, value: FloatArray, said: str) -> None:
    """An unknown price is no price of nothing, and a score of 1.5 is none."""
    with pytest.raises(ConfigError, match=said):
        dataclasses.replace(drawn(5), **{field: value})


# -- invariants of the bets

SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@st.composite
def ladders(draw: st.DrawFn, labels: int | None = None) -> Ladder:
    """Any ladder of three thresholds, the first of which always asks the strongest tier."""
    n = draw(st.integers(1, 30)) if labels is None else labels
    strong, *others = (np.array(draw(st.lists(SCORES, min_size=n, max_size=n))) for _ in range(3))
    costs = np.array([draw(st.lists(st.floats(0.0, 0.02), min_size=n, max_size=n)) for _ in range(2)])
    paid = np.full(n, 0.01)
    return Ladder(np.arange(3.0), np.stack((strong, *others)), np.vstack((paid, costs)), strong, paid)


def played(ladder: Ladder, target: float, delta: float, most: float | None = None) -> FloatArray:
    """Bet on a ladder's own questions, with nothing known before."""
    known = Spread(np.full(len(ladder.quality), 2.0), 4.0, 0.05 * (1.0 - target) ** 2)
    x = ladder.quality - target * ladder.strongest_quality
    apart = ladder.quality - ladder.strongest_quality
    return log_wealth(x, apart, delta=delta, known=known, most=MOST / target if most is None else most)


@given(ladder=ladders(), target=st.floats(0.05, 0.99), delta=st.floats(0.01, 0.5))
def test_wealth_is_1_where_nothing_is_staked(ladder: Ladder, target: float, delta: float) -> None:
    """Whatever the questions are."""
    assert (played(ladder, target, delta, most=0.0) == 0.0).all()


@given(ladder=ladders(), target=st.floats(0.05, 0.99), delta=st.floats(0.01, 0.5))
def test_no_answer_can_ruin_the_player(ladder: Ladder, target: float, delta: float) -> None:
    """Wealth stays above 0 whatever happens: a stake is less than 1 / target."""
    assert np.isfinite(played(ladder, target, delta)).all()


@given(ladder=ladders(), target=st.floats(0.05, 0.99), delta=st.floats(0.01, 0.5), cut=st.integers(1, 30))
def test_a_stake_never_knows_the_answer_that_it_is_placed_on(
    ladder: Ladder, target: float, delta: float, cut: int
) -> None:
    """What is won by question n stays the same, whatever the questions behind it bring."""
    n = ladder.labels
    quality = ladder.quality.copy()
    quality[:, cut:] = 1.0 - quality[:, cut:]
    other = dataclasses.replace(ladder, quality=quality)
    first = min(cut, n)
    assert (played(ladder, target, delta)[:, :first] == played(other, target, delta)[:, :first]).all()


@pytest.mark.parametrize("delta", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("gain", [0.0, 0.1, 0.5])
def test_the_bet_is_fair_by_counting_all_that_can_happen(delta: float, gain: float) -> None:
    """All 4,096 courses of twelve questions, weighed by their probability exactly at the target: the mean of the last
    wealth is 1, and the courses that ever reach 1 / delta weigh at most delta."""
    n, target = 12, 0.8
    courses = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    # The strongest tier is right with its full score or `gain` less; the policy wins 1 - target or loses all.
    strong = np.where(courses == 1, 1.0, 1.0 - gain)
    quality = np.where(courses == 1, 1.0, 0.0)
    x = quality - target * strong
    won, lost = x[-1, 0], x[0, 0]
    right = -lost / (won - lost)
    weight = np.prod(np.where(courses == 1, right, 1.0 - right), axis=1)
    assert (weight @ x)[0] == pytest.approx(0.0, abs=1e-12)
    known = Spread(np.full(2**n, 2.0), 4.0, 0.05 * (1.0 - target) ** 2)
    path = log_wealth(x, quality - strong, delta=delta, known=known, most=MOST / target)
    assert weight @ np.exp(path[:, -1]) == pytest.approx(1.0)
    reached = float(weight @ (path.max(axis=1) >= math.log(1.0 / delta)))
    assert reached <= delta


@given(train=ladders(), labelled=ladders(), target=st.floats(0.05, 0.99), delta=st.floats(0.01, 0.5))
@settings(max_examples=200)
def test_what_is_certified_is_a_prefix_and_saves_money(
    train: Ladder, labelled: Ladder, target: float, delta: float
) -> None:
    """No looser threshold is certified behind one that failed, and what is taken is cheaper than the strongest tier."""
    if not labelled.strongest_quality.any():
        return
    found = certify(train, labelled, target=target, delta=delta)
    certified = [one.certified for one in found.trials]
    assert certified == sorted(certified, reverse=True)
    if isinstance(found, Certified):
        taken = next(one for one in found.trials if one.threshold == found.threshold)
        assert taken.certified
        assert found.saving.per_call > 0
        assert taken.usd_per_call < found.saving.strongest_per_call
        assert found.quality_ratio.low >= target - 1e-6


@given(target=st.floats(0.05, 0.95), delta=st.floats(0.01, 0.5), quality=st.floats(0.3, 1.0))
def test_asking_the_strongest_tier_alone_is_certified_in_the_end(target: float, delta: float, quality: float) -> None:
    """With as many labels as its own margin needs; it is the first of every sequence, so it must not block the rest."""
    margin = quality * (1.0 - target)
    n = math.ceil(40.0 * math.log(1.0 / delta) / margin) + 20
    strong = (np.arange(n) * quality % 1.0 < quality).astype(np.float64)
    ladder = Ladder(np.zeros(1), strong[None], np.full((1, n), 1.0), strong, np.full(n, 1.0))
    assert played(ladder, target, delta).max() >= math.log(1.0 / delta)


@given(ladder=ladders(), delta=st.floats(0.05, 0.5))
def test_the_estimate_of_the_ratio_lies_between_its_bounds(ladder: Ladder, delta: float) -> None:
    """However few questions there are."""
    if ladder.strongest_quality.any():
        known = Spread(np.array([2.0]), 4.0, 0.001)
        low, high = ratio_bounds(ladder.quality[1], ladder.strongest_quality, delta=delta, known=known)
        assert 0.0 <= low <= ladder.quality[1].mean() / ladder.strongest_quality.mean() + 1e-9
        assert high >= ladder.quality[1].mean() / ladder.strongest_quality.mean() - 1e-9


def test_the_bounds_of_the_ratio_are_missed_no_more_often_than_stated() -> None:
    """Each end by itself: of 400 samples at most the share delta, and what chance adds, and they are narrow."""
    missed, widths, delta = np.zeros(2), [], 0.1
    for seed in range(400):
        sample = drawn(500, seed=seed, loss=0.1)
        known = spread(drawn(200, seed=10_000 + seed, loss=0.1), target=0.9)
        one = Spread(known.squares[-1:], known.count, known.floor)
        low, high = ratio_bounds(sample.quality[-1], sample.strongest_quality, delta=delta, known=one)
        missed += (low > 0.9, high < 0.9)
        widths.append(high - low)
    assert (missed / 400 <= delta + 3.0 * math.sqrt(delta * (1.0 - delta) / 400)).all()
    # A normal interval with these ends would be 2 * 1.28 * sqrt(.9 * .1 / 400) = .038 wide.
    assert np.median(widths) <= 0.055


def test_labels_needed_is_infinite_where_the_wealth_would_not_grow() -> None:
    """And falls with the square of the margin where it would."""
    x = np.array([[0.1, -0.1], [0.1, -0.2], [0.5, -0.4], [0.6, -0.4]])
    needed = labels_needed(x, target=0.9, delta=0.1)
    assert np.isinf(needed[:2]).all()
    assert needed[2] / needed[3] == pytest.approx(4.0, rel=0.3)


# -- the promise, where the truth is known


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    """The simulation of the benchmarks, which is also told of in the documentation."""
    path = Path(__file__).parents[2] / "benchmarks" / "certificate_simulation.py"
    spec = importlib.util.spec_from_file_location("certificate_simulation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its own module up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["nested", "churning", "graded"])
@pytest.mark.parametrize("curve", ["exact_from_half_on", "exact_late", "soon_too_bad"])
def test_the_promise_is_broken_no_more_often_than_stated(simulation: ModuleType, curve: str, kind: str) -> None:
    """Policies that lie exactly on the target, or below it from the start: the hardest to be right about."""
    population = simulation.Population(simulation.CURVES[curve], simulation.SCORES[kind], 0.95)
    found = list(simulation.verdicts(population, delta=0.2, labels=400, repeats=300, seed=5))
    # 0.2, and three standard errors of a share of 0.2 in 300.
    assert simulation.judged(population, found)["violation_rate"] <= 0.2 + 3.0 * math.sqrt(0.2 * 0.8 / 300)


@pytest.mark.parametrize("kind", ["nested", "graded"])
def test_what_is_far_from_the_target_is_certified_nearly_always(simulation: ModuleType, kind: str) -> None:
    """A promise that is never made would be kept too."""
    population = simulation.Population(simulation.CURVES["always_far_above"], simulation.SCORES[kind], 0.95)
    found = list(simulation.verdicts(population, delta=0.1, labels=1000, repeats=30, seed=6))
    assert simulation.judged(population, found)["power"] >= 0.95


def test_the_simulation_knows_the_truth_of_what_it_draws(simulation: ModuleType) -> None:
    """The mean of many draws is what the curve says, for every kind of score: else its verdict is worth nothing."""
    for kind, scores in simulation.SCORES.items():
        for name, curve in simulation.CURVES.items():
            population = simulation.Population(curve, scores, 0.95)
            ladder = population.draw(np.random.default_rng(7), 100_000)
            x = (ladder.quality - 0.95 * ladder.strongest_quality).mean(axis=1)
            truth = 0.05 * population.quality * curve.margin()
            assert x == pytest.approx(truth, abs=0.006), (kind, name)
            saved = 1.0 - ladder.cost.mean(axis=1) / ladder.strongest_cost.mean()
            assert saved == pytest.approx(population.saved(), abs=0.01), (kind, name)
