"""What certificates cost and save: what is chosen among certified thresholds, and what is not worth asking at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tuppence.errors import ConfigError
from tuppence.evidence.certificate import (
    Certified,
    Dominated,
    Ladder,
    NoSaving,
    Objective,
    certify,
    dominated,
    hopeless,
)

FloatArray = NDArray[np.float64]

# Threshold 1 sends half of the questions to the cheap tier, 2 and 3 send nearly all; 3 adds a slow and dear judge.
COST = np.array([0.010, 0.006, 0.002, 0.004])
WAITS = np.array([800.0, 500.0, 700.0, 300.0])
LOST = np.array([0.0, 0.0, 0.02, 0.0])


def ladder(n: int, seed: int, *, latency: bool = True) -> Ladder:
    """Four thresholds, all of which keep 95% of the quality: each is the best by one preference."""
    rng = np.random.default_rng(seed)
    strong = (rng.random(n) < 0.8).astype(np.float64)
    quality = strong * (rng.random(n) >= LOST[:, None])
    spread = rng.uniform(0.9, 1.1, n)
    return Ladder(
        np.arange(4.0), quality, COST[:, None] * spread, strong, COST[0] * spread,
        WAITS[:, None] * spread if latency else None,
    )  # fmt: skip


def certified(**wanted: Any) -> Certified | NoSaving:
    found = certify(
        ladder(300, 1), ladder(1200, 2), target=0.9, delta=0.1, objective=Objective(**wanted)
    )  # fmt: skip
    assert isinstance(found, Certified | NoSaving)
    return found


@pytest.mark.parametrize(
    ("wanted", "threshold"),
    [
        ({}, 2.0),
        ({"prefer": "cost"}, 2.0),
        # Of equal bounds of quality the cheaper one.
        ({"prefer": "quality"}, 3.0),
        ({"prefer": "speed"}, 3.0),
        ({"max_latency_ms": 600.0}, 3.0),
        ({"prefer": "quality", "max_usd_per_call": Decimal("0.003")}, 2.0),
        ({"prefer": "speed", "max_usd_per_call": Decimal("0.003")}, 2.0),
        ({"max_latency_ms": 600.0, "min_quality": 0.5}, 3.0),
    ],
)
def test_preferences_and_limits_choose_among_what_is_certified(wanted: dict[str, Any], threshold: float) -> None:
    """The cheapest, the best or the fastest, of those that keep within the limits."""
    found = certified(**wanted)
    assert isinstance(found, Certified)
    assert found.threshold == threshold


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"max_usd_per_call": Decimal("0.001")}, "$0.001 a call"),
        ({"max_latency_ms": 50.0}, "50 ms for 95% of the calls"),
        ({"min_quality": 0.99}, "a mean quality of 0.99"),
    ],
)
def test_limits_that_nothing_certified_keeps_are_named(limit: dict[str, Any], said: str) -> None:
    """The answer is a refusal with the limit, not a certificate that breaks it."""
    found = certified(**limit)
    assert isinstance(found, NoSaving)
    assert said in found.words


def test_latency_is_told_with_its_mean_and_95th_percentile() -> None:
    """Of the chosen threshold, over all rows."""
    found = certified()
    assert isinstance(found, Certified)
    assert found.latency is not None
    assert found.latency.mean_ms == pytest.approx(700.0, rel=0.01)
    assert found.latency.p95_ms == pytest.approx(1.09 * 700.0, rel=0.01)


def test_without_latencies_none_is_told() -> None:
    """None, and not 0."""
    found = certify(ladder(300, 1, latency=False), ladder(1200, 2, latency=False), target=0.9, delta=0.1)
    assert isinstance(found, Certified)
    assert found.latency is None
    assert {one.latency for one in found.trials} == {None}


def test_a_threshold_that_may_save_nothing_is_not_taken() -> None:
    """Its mean saving is above 0, but not by two and a half standard errors: chance could have made it."""
    rng = np.random.default_rng(3)
    strong = np.ones(400)
    paid = rng.gamma(1.0, 0.01, 400)
    cost = np.stack((paid, paid[rng.permutation(400)] * 0.97))
    both = Ladder(np.array([0.0, 1.0]), np.ones((2, 400)), cost, strong, paid)
    found = certify(both, both, target=0.9, delta=0.1)
    assert (paid - cost[1]).mean() > 0
    assert isinstance(found, NoSaving)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"prefer": "luck"}, "prefer is 'luck': it is one of cost, quality, speed"),
        ({"max_usd_per_call": Decimal(0)}, "max_usd_per_call is 0"),
        ({"max_latency_ms": -1.0}, "max_latency_ms is -1.0"),
        ({"min_quality": 1.5}, "min_quality is 1.5"),
    ],
)
def test_an_objective_that_cannot_be_is_refused(wanted: dict[str, Any], said: str) -> None:
    """With its value and what it may be."""
    with pytest.raises(ConfigError, match=said):
        Objective(**wanted)


# -- tiers that are not worth asking


def columns(*rights: float, n: int = 400, seed: int = 0) -> FloatArray:
    """Draw (n, tiers) right answers, each tier's independent of the others'."""
    rng = np.random.default_rng(seed)
    return (rng.random((n, len(rights))) < np.array(rights)).astype(np.float64)


def prices(*usd: float, n: int = 400) -> FloatArray:
    return np.tile(np.array(usd), (n, 1)) * np.random.default_rng(9).uniform(0.8, 1.2, (n, 1))


@pytest.mark.parametrize(
    ("quality", "usd", "found"),
    [
        pytest.param(columns(0.8, 0.5, 0.9), prices(1, 2, 9), [("b", "a")], id="dearer and clearly worse"),
        pytest.param(columns(0.7, 0.7, 0.9), prices(1, 2, 9), [], id="as good on average, but on other questions"),
        pytest.param(columns(0.5, 0.8, 0.9), prices(1, 2, 9), [], id="dearer and better"),
        pytest.param(columns(0.8, 0.5, 0.9), prices(2, 1, 9), [], id="cheaper and worse"),
        pytest.param(columns(0.8, 0.5, 0.9, n=8), prices(1, 2, 9, n=8), [], id="too few questions to be clear"),
        pytest.param(columns(0.9, 0.6), prices(1, 9), [("b", "a")], id="the last tier too"),
        pytest.param(columns(0.9, 0.5, 0.4), prices(1, 2, 9), [("b", "a"), ("c", "a")], id="several, by the cheapest"),
        pytest.param(columns(0.5)[:, [0, 0]], prices(1, 2), [("b", "a")], id="never better"),
        pytest.param(columns(0.5, n=298)[:, [0, 0]], prices(1, 2, n=298), [], id="never better on too few questions"),
    ],
)
def test_a_tier_is_dropped_only_where_another_is_clearly_cheaper_and_as_good(
    quality: FloatArray, usd: FloatArray, found: list[tuple[str, str]]
) -> None:
    """What is not clear stays: a needless tier costs something, a missing one too."""
    names = ["a", "b", "c"][: quality.shape[1]]
    assert [(one.tier, one.by) for one in dominated(names, quality, usd)] == found


def test_a_dropped_tier_is_told_with_the_reason() -> None:
    """In words that name both."""
    quality = np.column_stack((np.ones(400), np.tile([1.0, 0.0], 200)))
    assert dominated(["good", "bad"], quality, prices(1, 2)) == [
        Dominated("bad", "good", "good is cheaper and better: 100.0% against 50.0%")
    ]


def test_figures_of_other_tiers_are_refused() -> None:
    """A column too many would be counted as another tier's."""
    with pytest.raises(ConfigError, match=r"\(questions, 2\)"):
        dominated(["a", "b"], columns(0.5, 0.5, 0.5), prices(1, 2, 3))


# -- giving up at once


@pytest.mark.parametrize(
    ("usd", "refused"),
    [(prices(1, 2), False), (prices(2, 1), True), (prices(3, 1, 2), False), (prices(2), True)],
)
def test_where_even_every_cheap_answer_kept_would_save_nothing_it_is_refused_at_once(
    usd: FloatArray, refused: bool
) -> None:
    names = ["a", "b", "c"][: usd.shape[1]]
    found = hopeless(names, usd, target=0.95, delta=0.1)
    assert isinstance(found, NoSaving) == refused


def test_a_refusal_at_once_names_both_prices() -> None:
    found = hopeless(["small", "large"], np.tile([0.002, 0.001], (9, 1)), target=0.95, delta=0.1)
    assert found is not None
    assert "small costs $0.002000 a call, large alone $0.001000" in found.words
    assert found.strongest_per_call == Decimal("0.001")
