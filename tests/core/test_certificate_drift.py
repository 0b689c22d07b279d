"""The watch over live traffic: how often it errs, how soon it finds, and that looking often costs nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tuppence.errors import ConfigError
from tuppence.evidence.certificate import DriftWatch, Reference, drifted, reference

FloatArray = NDArray[np.float64]
RNG = np.random.default_rng


def scores(rng: np.random.Generator, n: int, mean: float = 0.7) -> FloatArray:
    """Draw scores as a check gives them: mean .7, standard deviation .2."""
    return np.asarray(rng.beta(mean * 4.25, (1.0 - mean) * 4.25, n))


def texts(rng: np.random.Generator, n: int, scale: float = 1.0) -> FloatArray:
    """Draw lengths as questions have them: most short, few very long."""
    return np.asarray(scale * rng.lognormal(5.0, 1.0, n))


@pytest.mark.parametrize("draw", [scores, texts])
def test_traffic_like_the_labels_alarms_no_more_often_than_stated(draw: type) -> None:
    """Each time the labels are drawn afresh too, and the watch goes on for 3,000 calls."""
    alarms = 0
    for seed in range(300):
        rng = RNG(seed)
        watch = DriftWatch(reference(draw(rng, 700)), alpha=0.1)
        alarms += watch.add(draw(rng, 3_000))
    assert alarms <= 30


def test_a_shift_within_the_tolerance_is_let_pass() -> None:
    """A twentieth of a standard deviation, for 20,000 calls: no traffic is the same for ever."""
    assert not DriftWatch(Reference(0.7, 0.2, 10_000)).add(scores(RNG(1), 20_000, mean=0.71))


@pytest.mark.parametrize(("mean", "within"), [(0.58, 400), (0.82, 400), (0.5, 150)])
def test_a_shift_is_found_soon_in_either_direction(mean: float, within: int) -> None:
    """Three fifths of a standard deviation within 400 calls, one within 150, nearly always."""
    found = [DriftWatch(Reference(0.7, 0.2, 700)).add(scores(RNG(seed), within, mean=mean)) for seed in range(40)]
    assert sum(found) >= 36


def test_a_shift_is_found_after_a_long_quiet_time_too() -> None:
    """What was won or lost before does not count against it."""
    for seed in range(20):
        watch = DriftWatch(Reference(0.7, 0.2, 700))
        assert not watch.add(scores(RNG(seed), 10_000))
        assert watch.add(scores(RNG(100 + seed), 600, mean=0.55))
        assert watch.alarmed_at is not None
        assert 10_000 < watch.alarmed_at <= 10_600


@given(cuts=st.lists(st.integers(0, 700), max_size=8), shift=st.sampled_from([0.0, -0.15]))
def test_looking_often_changes_nothing(cuts: list[int], shift: float) -> None:
    """One look at 700 values or any number of looks on the way: the same evidence, the same alarm."""
    values = scores(RNG(5), 700, mean=0.7 + shift)
    whole, parts = DriftWatch(Reference(0.7, 0.2, 700)), DriftWatch(Reference(0.7, 0.2, 700))
    whole.add(values)
    for part in np.split(values, sorted(cuts)):
        parts.add(part)
    assert parts.evidence == pytest.approx(whole.evidence, rel=1e-9)
    assert (parts.alarmed_at, parts.seen) == (whole.alarmed_at, 700)


@given(values=st.lists(st.floats(-1e6, 1e6), max_size=300), mean=st.floats(-10, 10), std=st.floats(0, 10))
def test_evidence_stays_a_positive_number(values: list[float], mean: float, std: float) -> None:
    """However far away a value is: one call never decides."""
    watch = DriftWatch(Reference(mean, std, 50))
    for value in values:
        before = watch.evidence
        watch.add([value])
        assert 0.0 < watch.evidence <= 2.0 * before


def test_an_alarm_stays() -> None:
    """Traffic that comes back does not make undone what was answered meanwhile."""
    watch = DriftWatch(Reference(0.7, 0.2, 700))
    assert watch.add(scores(RNG(1), 500, mean=0.4))
    assert watch.add(scores(RNG(2), 5_000))


def test_a_score_that_never_varied_is_watched_too() -> None:
    """Schema validity may be 1 on every label; when it falls, that is news."""
    assert not DriftWatch(Reference(1.0, 0.0, 700)).add(np.ones(5_000))
    assert DriftWatch(Reference(1.0, 0.0, 700)).add(np.tile([1.0, 0.0], 100))


def test_drift_is_told_by_name_and_in_words() -> None:
    """Which score, from where to where, and what to do."""
    known = {"score.small": Reference(0.7, 0.2, 700), "length": Reference(240.0, 300.0, 700)}
    live = {"score.small": scores(RNG(1), 900, mean=0.55), "length": texts(RNG(2), 900), "unknown": np.zeros(9)}
    (found,) = drifted(known, live)
    assert found.name == "score.small"
    assert found.words.startswith("traffic has drifted: the mean of score.small was 0.7 on the labels")
    assert found.live == pytest.approx(0.55, abs=0.03)
    assert f"{found.live:.3g} over the calls before the alarm" in found.words
    assert "calibrate again" in found.words


def test_without_live_values_nothing_is_said() -> None:
    """Neither for a name without values nor for one without a reference."""
    assert drifted({"a": Reference(0.0, 1.0, 9)}, {"a": [], "b": [1.0]}) == []


def test_a_reference_is_what_the_values_say() -> None:
    """Mean, standard deviation and how many."""
    assert reference([0.0, 1.0]) == Reference(0.5, 0.5, 2)


def test_what_cannot_be_watched_is_refused() -> None:
    """No values, no numbers, no probability."""
    with pytest.raises(ConfigError, match="needs values"):
        reference([])
    with pytest.raises(ConfigError, match="alpha is 1:"):
        DriftWatch(Reference(0.0, 1.0, 9), alpha=1)
    with pytest.raises(ConfigError, match="not a finite number"):
        DriftWatch(Reference(0.0, 1.0, 9)).add([float("nan")])
