"""The alarm on weekly scores: how often it errs, how soon it finds, and what it says."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.evidence.judging.drift import Drift, drift, interval

GRADES = np.arange(5) / 4
# Grades 1 to 5 as a judge gives them: mean 4.21, standard deviation 0.98.
USUAL = np.array([0.02, 0.05, 0.13, 0.30, 0.50])
# The same with the mean 0.3 and 0.6 grades lower.
LOWER = np.array([0.045, 0.085, 0.165, 0.325, 0.38])
MUCH_LOWER = np.array([0.075, 0.13, 0.21, 0.28, 0.305])

Weeks = list[list[float]]


def weeks(rng: np.random.Generator, *runs: tuple[int, Sequence[float] | np.ndarray], n: int = 100) -> Weeks:
    """Draw weeks of `n` grades: so many by this distribution, then so many by that."""
    return [rng.choice(GRADES, size=n, p=p).tolist() for count, p in runs for _ in range(count)]


def looked_at_every_week(scores: Weeks) -> list[Drift]:
    return [drift(scores[: week + 1]) for week in range(len(scores))]


def test_a_series_without_change_alarms_no_more_often_than_stated() -> None:
    """Of 1,000 series of sixteen weeks, small and large, at most the share alpha ever alarm."""
    rng = np.random.default_rng(20)
    alarms = 0
    for _ in range(1_000):
        sizes = rng.integers(5, 60, size=16)
        series = [rng.choice(GRADES, size=size, p=USUAL).tolist() for size in sizes]
        alarms += drift(series, alpha=0.1).change is not None
    assert alarms <= 100


@pytest.mark.parametrize(
    ("lower", "n", "within", "found"), [(LOWER, 100, 5, 0.7), (LOWER, 200, 3, 0.8), (MUCH_LOWER, 50, 4, 0.8)]
)
def test_a_drop_is_found_soon(lower: np.ndarray, n: int, within: int, found: float) -> None:
    """A drop of 0.3 grades at 100 judgements a week is mostly found within five weeks, and never called a rise."""
    rng = np.random.default_rng(21)
    said = [drift(weeks(rng, (8, USUAL), (within, lower), n=n)) for _ in range(30)]
    assert sum(one.change == "fell" for one in said) >= found * len(said)
    assert not any(one.change == "rose" for one in said)


def test_the_drop_of_the_test_is_the_one_that_is_meant() -> None:
    """0.3 and 0.6 of a grade below the usual mean."""
    mean = [float(4 * p @ GRADES) for p in (USUAL, LOWER, MUCH_LOWER)]
    assert mean[0] - mean[1] == pytest.approx(0.3, abs=0.005)
    assert mean[0] - mean[2] == pytest.approx(0.6, abs=0.005)


def test_looking_every_week_gives_the_same_alarm() -> None:
    """What was said of a week stays said, whatever comes after: an alarm does not move or vanish."""
    # The last week brings a score that none had before.
    series = [*weeks(np.random.default_rng(3), (6, USUAL), (6, MUCH_LOWER)), [0.1, 0.9]]
    said = looked_at_every_week(series)
    first = next(one for one in said if one.change)
    assert first.change == "fell"
    assert first.alarmed_in == said.index(first)
    assert {(one.change, one.alarmed_in, one.since) for one in said[said.index(first) :]} == {
        (first.change, first.alarmed_in, first.since)
    }


def test_an_alarm_says_from_where_to_where_and_since_when() -> None:
    """The week of the change is found, and both levels."""
    found = drift(weeks(np.random.default_rng(5), (8, USUAL), (6, MUCH_LOWER), n=300))
    assert found.since == 8
    assert found.reference == pytest.approx(float(USUAL @ GRADES), abs=0.02)
    assert found.level == pytest.approx(float(MUCH_LOWER @ GRADES), abs=0.04)


def test_a_rise_is_a_change_too() -> None:
    """Falling and rising are the same with the scale turned round."""
    series = weeks(np.random.default_rng(6), (6, MUCH_LOWER), (6, USUAL))
    risen, fallen = drift(series), drift([[1 - x for x in week] for week in series])
    assert (risen.change, fallen.change) == ("rose", "fell")
    assert risen.alarmed_in == fallen.alarmed_in


@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_reference_is_not_tested(count: int) -> None:
    """Until its weeks are over there is no word."""
    found = drift([[1.0, 0.5]] * count)
    assert (found.change, found.reference, found.evidence) == (None, None, 1.0)


def test_weeks_without_scores_are_passed_over() -> None:
    """They are no reference and no evidence, and weeks keep their places."""
    series = weeks(np.random.default_rng(7), (4, USUAL), (4, MUCH_LOWER), n=200)
    gaps = [[], *series[:3], [], series[3], [], *series[4:]]
    plain, with_gaps = drift(series), drift(gaps)
    assert with_gaps.evidence == plain.evidence
    assert with_gaps.alarmed_in is not None
    assert plain.alarmed_in is not None
    assert gaps[with_gaps.alarmed_in] is series[plain.alarmed_in]


@given(st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), max_size=8), max_size=9))
def test_any_weeks_have_an_answer(series: Weeks) -> None:
    """Evidence is never negative, and an alarm has all that its words need."""
    found = drift(series, reference_weeks=1)
    assert found.evidence >= 0
    if found.change is not None:
        assert None not in (found.reference, found.level, found.since, found.alarmed_in)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reference_weeks": 0}, "weeks is 0"),
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"weeks": [[1.5]]}, "is 1.5"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], said: str) -> None:
    """With the value and the fix."""
    with pytest.raises(ConfigError, match=said):
        drift(**{"weeks": [[0.5]], **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [3, 20, 100])
def test_an_interval_holds_the_mean_as_often_as_it_says(n: int) -> None:
    """Few scores included, where the normal approximation fails."""
    rng = np.random.default_rng(n)
    mean = float(USUAL @ GRADES)
    ends = [interval(rng.choice(GRADES, size=n, p=USUAL).tolist()) for _ in range(400)]
    assert sum(low <= mean <= high for low, high in ends) >= 0.95 * len(ends)


def test_an_interval_gets_shorter_and_is_never_a_point() -> None:
    """Equal scores say little while there are few."""
    lengths = [high - low for low, high in (interval([1.0] * n) for n in (1, 5, 25, 125))]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == 1.0
    assert 0 < lengths[-1] < 0.1
