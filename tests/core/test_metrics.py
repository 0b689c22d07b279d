"""Curves and the figures that routers are known by: against hand-made cases, and against what must always hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.evidence.metrics import (
    Curve,
    apgr,
    arena_score,
    cost_share,
    cpt,
    frontier,
    pgr,
    quality_at_cost,
    saved_at,
    threshold_curve,
)
from tuppence.evidence.metrics.curves import Point

WEAK, STRONG = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.0])
SURE = np.array([0.9, 0.1, 0.6, 0.4])


def router(score: Any, weak: Any, strong: Any) -> Curve:
    """A router that pays 1 for the weak model and 11 for the strong one."""
    return threshold_curve(score, kept=(weak, np.full(len(weak), 1.0)), given_up=(strong, np.full(len(weak), 11.0)))


def test_a_curve_tries_every_threshold() -> None:
    """From the loosest, which keeps all cheap answers, to the strictest, which keeps none."""
    curve = router(SURE, WEAK, STRONG)
    assert curve.threshold.tolist() == [0.1, 0.4, 0.6, 0.9, math.inf]
    assert curve.kept.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert curve.quality.tolist() == [0.5, 0.75, 0.75, 0.75, 0.75]
    assert curve.cost.tolist() == [1.0, 3.5, 6.0, 8.5, 11.0]
    assert curve.escalated.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_questions_of_one_score_share_their_fate() -> None:
    """Which of them is taken first would be an accident of their order."""
    assert len(router([0.5, 0.5, 0.5, 0.5], WEAK, STRONG)) == 2


scores = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9]), *[st.sampled_from([0.0, 0.5, 1.0])] * 2), min_size=1)


@given(scores)
def test_a_point_is_what_its_threshold_gives(rows: list[tuple[float, float, float]]) -> None:
    """Counting the questions one by one comes to the same."""
    score, weak, strong = (np.array(column) for column in zip(*rows, strict=True))
    curve = router(score, weak, strong)
    for index in range(len(curve)):
        point = curve[index]
        kept = score >= point.threshold
        assert point.quality == pytest.approx(np.where(kept, weak, strong).mean())
        assert point.cost == pytest.approx(np.where(kept, 1.0, 11.0).mean())
        assert curve.at(point.threshold) == point


def test_a_threshold_from_elsewhere_is_applied_as_it_stands() -> None:
    """Another half has other scores: those from the threshold on are kept."""
    curve = router(SURE, WEAK, STRONG)
    assert curve.at(0.5).kept == 0.5
    assert curve.at(0.95).kept == 0.0
    assert curve.at(-1.0).kept == 1.0


def test_the_cheapest_point_of_a_quality() -> None:
    """None where no threshold reaches it."""
    curve = router(SURE, WEAK, STRONG)
    found = curve.cheapest(0.75)
    assert found is not None
    assert (found.threshold, found.cost) == (0.4, 3.5)
    assert curve.cheapest(0.76) is None


def test_a_saving_is_measured_where_its_threshold_was_not_chosen() -> None:
    """The threshold comes from one half, cost and quality from the other; without one the strong model answers."""
    first = router(SURE, WEAK, STRONG)
    second = router([0.3, 0.5, 0.8, 0.9], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0])
    strong = Point(math.nan, 0.0, 11.0, 1.0)
    saved, point = saved_at(first, second, quality=0.75, strong=strong)
    assert point.quality == 0.75  # .4 keeps one wrong answer here
    assert saved == pytest.approx(1 - 3.5 / 11)
    assert saved_at(first, second, quality=0.9, strong=strong) == (0.0, strong)


def test_a_cascade_that_loses_money_shows_a_negative_saving() -> None:
    """It pays for drafts that nobody keeps."""
    curve = threshold_curve([0.0, 0.0], kept=([0.0, 0.0], [8.0, 8.0]), given_up=([1.0, 1.0], [18.0, 18.0]))
    saved, _ = saved_at(curve, curve, quality=1.0, strong=Point(math.nan, 0.0, 10.0, 1.0))
    assert saved == pytest.approx(-0.8)


# -- RouteLLM's figures


def test_the_gap_recovered_is_counted_between_the_two_models() -> None:
    """0 at the weak one's quality, 1 at the strong one's, and it is not clipped."""
    assert pgr([0.5, 0.75, 1.0, 1.25], weak=0.5, strong=1.0).tolist() == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("x", "quality", "expected"),
    [
        ([0.0, 1.0], [0.0, 1.0], 0.5),  # a lot
        ([0.0, 0.5, 1.0], [0.0, 1.0, 1.0], 0.75),
        ([0.0, 0.5, 1.0], [0.0, 0.0, 1.0], 0.25),  # worse than a lot
        ([0.0, 0.5, 2.0], [0.0, 1.0, 1.0], 0.75),  # what costs more than the strong model is cut
        ([0.5, 1.0], [1.0, 1.0], 0.75),  # begins where a helper has been paid
        ([0.0, 0.5], [0.0, 1.0], 0.75),  # never needs all the money
    ],
)
def test_the_average_gap_recovered_is_an_area(x: list[float], quality: list[float], expected: float) -> None:
    """The area under the recovered gap, over costs between those of the two models alone."""
    assert apgr(x, quality, weak=0.0, strong=1.0) == pytest.approx(expected)


def test_it_is_the_area_that_routellms_evaluation_takes() -> None:
    """Their trapezoid over eleven quantile thresholds, written out, comes near the one over all thresholds."""
    drawn = np.random.default_rng(0)
    ease = drawn.random(5_000)
    weak, strong = (drawn.random(5_000) < ease), (drawn.random(5_000) < 0.5 + ease / 2)
    score = ease + drawn.normal(0, 0.2, 5_000)
    curve = router(score, weak, strong)
    low, high = weak.mean(), strong.mean()
    theirs = [curve.at(t) for t in (-math.inf, *np.quantile(score, np.linspace(0.1, 0.9, 9)), math.inf)]
    x, y = [1 - p.kept for p in theirs], [p.quality for p in theirs]
    area = sum((b - a) * (p + q) / 2 for a, b, p, q in zip(x, x[1:], y, y[1:], strict=False))
    span = x[-1] - x[0]
    assert apgr(curve.escalated, curve.quality, weak=low, strong=high) == pytest.approx(
        (area - low * span) / (high * span - low * span), abs=0.01
    )


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (0.5, 0.25), (0.8, 0.4), (1.0, 0.5), (1.5, None)])
def test_the_call_performance_threshold_is_the_first_crossing(share: float, expected: float | None) -> None:
    """Quality may fall again behind it; None where the gap is never recovered so far."""
    found = cpt(share, [0.0, 0.5, 0.75, 1.0], [0.0, 1.0, 0.4, 1.0], weak=0.0, strong=1.0)
    assert found == (None if expected is None else pytest.approx(expected))


@given(scores)
def test_a_lot_between_the_two_models_recovers_half(rows: list[tuple[float, float, float]]) -> None:
    """Where the score says nothing, all questions share one fate, and the curve is the straight line."""
    _, weak, strong = (np.array(column) for column in zip(*rows, strict=True))
    curve = router(np.zeros(len(rows)), weak, strong)
    if strong.mean() > weak.mean():
        assert apgr(curve.escalated, curve.quality, weak=weak.mean(), strong=strong.mean()) == pytest.approx(0.5)


def test_cost_is_placed_between_the_two_models() -> None:
    """A cascade that gives up most drafts lies beyond the strong model."""
    assert cost_share([1.0, 6.0, 11.0, 12.0], weak=1.0, strong=11.0).tolist() == [0.0, 0.5, 1.0, 1.1]


# -- RouterArena's score


@pytest.mark.parametrize(
    ("accuracy", "usd_per_1000", "expected"),
    [
        (0.1818, 0.0518, 0.1953),  # RouteWorks/RouterArena, evaluation of pull request 144
        (1.0, 0.0044, 1.0),
        (0.9, 200.0, 0.0),
        (0.9, 1_000.0, 0.0),
        (0.0, 1.0, 0.0),
    ],
)
def test_the_arena_score_is_routerarenas(accuracy: float, usd_per_1000: float, expected: float) -> None:
    """Beyond either end of its scale of costs the end counts."""
    assert arena_score(accuracy, usd_per_1000) == pytest.approx(expected, abs=1e-4)


# -- several settings


def test_the_frontier_leaves_out_what_is_dearer_and_no_better() -> None:
    """Of equals one stays."""
    assert frontier([3.0, 1.0, 2.0, 2.0, 4.0], [0.7, 0.5, 0.6, 0.6, 0.65]).tolist() == [1, 2, 0]


def test_mixing_settings_by_lot_gives_the_upper_hull() -> None:
    """A setting under the line between two others is worth less than their mixture."""
    cost, quality = [1.0, 2.0, 3.0], [0.0, 0.1, 1.0]
    assert quality_at_cost(cost, quality, at=2.0) == pytest.approx(0.5)
    assert quality_at_cost(cost, quality, at=0.5) == 0.0
    assert quality_at_cost(cost, quality, at=9.0) == 1.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: router([0.1], WEAK, STRONG), "one value a question"),
        (lambda: router([], [], []), "no questions"),
        (lambda: router([math.nan, 0.1, 0.2, 0.3], WEAK, STRONG), "1 values are missing"),
        (lambda: pgr([0.5], weak=0.6, strong=0.5), "no gap to recover"),
        (lambda: apgr([0.1], [0.1, 0.2], weak=0.0, strong=1.0), "one value of each a point"),
        (lambda: cost_share([1.0], weak=2.0, strong=1.0), "swap or drop one"),
        (lambda: arena_score(76.4, 1.0), "accuracy is 76.4"),
        (lambda: arena_score(0.7, 0.0), "positive cost"),
    ],
)
def test_what_has_no_such_figure_is_refused(call: Any, said: str) -> None:
    """With the value, and what to give instead."""
    with pytest.raises(ConfigError, match=said):
        call()
