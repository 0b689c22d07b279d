"""Has the quality of the answers changed? A test of weekly scores that may be looked at every week, for ever.

It must never alarm more often than it says, however long it runs, however many scores a week has, and whatever they are
distributed like.

Each week is compared with all that came before it, by shuffling. If nothing has changed, the scores might have come in
any order, so the week's mean is that of as many scores drawn at random from all so far. How extreme it is among such
draws is a p-value (J. Besag and P. Clifford, "Sequential Monte Carlo p-values", Biometrika 78, 1991), and the p-values
of successive weeks are independent of each other, which makes them fit to be bet on: a conformal test martingale
(V. Vovk, "Testing randomness online", Statistical Science 36, 2021; whole weeks here in place of single examples).
Equal means count as extreme, which only makes a p-value larger and an alarm rarer.

    bet on week s:        e_s = k p_s ^ (k - 1),   0 < k < 1      its expectation is at most 1
    from week j to t:     W_j = mixture over k of e_j e_(j+1) ... e_t
    over all starts:      E_t = sum over j of W_j / (j (j + 1)), with W_j = 1 for starts to come

The calibrator is that of V. Vovk and R. Wang, "E-values: calibration, combination and applications", Annals of
Statistics 49 (2021). Mixing over the start follows J. Shin, A. Ramdas and A. Rinaldo, "E-detectors: a nonparametric
framework for sequential change detection" (2022); here the weights add up to one, so that what is held is the
probability of any false alarm, and not only the time between them. E_t is a non-negative supermartingale that begins at
1, so by Ville's inequality it ever reaches 1 / alpha with probability at most alpha. Falling and rising are watched
each with half of the stake.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tuppence.errors import ConfigError

try:
    import numpy as np
except ImportError as error:
    raise ConfigError("a report on judgements needs numpy: pip install 'tuppence[evidence]'") from error

Change = Literal["fell", "rose"]
Array = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]

# The mixture over k needs no tuning, at the price of log(3) in evidence: a small k sees a large change at once, a large
# one many small changes.
_POWERS = np.array([0.1, 0.3, 0.6])
# A week is shuffled until so many draws are as extreme, or for so long: the usual week is soon done with, and one that
# is far off may still alarm by itself.
_HITS = 20
_SHUFFLES = 50_000
_BATCH = 500
# Any seed will do. It is fixed so that the same weeks always give the same verdict.
_SEED = 20_220_307

_EDGES = np.linspace(0.0, 1.0, 1001)


@dataclass(frozen=True, slots=True)
class Drift:
    """What the weeks say."""

    change: Change | None
    """The direction of the alarm; None while there was none."""
    evidence: float
    """The e-value of the last week."""
    needed: float
    """Evidence from which there is an alarm: 1 / alpha."""
    reference: float | None
    """Mean before the change; without a change, of the weeks before the last; None while no week has been tested."""
    level: float | None = None
    """Mean from the change to the alarm."""
    since: int | None = None
    """Index of the week from which betting earned most: the likely begin of the change."""
    alarmed_in: int | None = None
    """Index of the week whose scores gave the alarm."""


def drift(weeks: Sequence[Sequence[float]], *, reference_weeks: int = 4, alpha: float = 0.05) -> Drift:
    """Test whether scores in [0, 1] have changed their mean since the first `reference_weeks`; weeks oldest first.

    Where scores come in no particular order from the first to the last, the probability that there ever is an alarm is
    at most `alpha`. Weeks without scores are passed over. Raises `ConfigError` for scores outside [0, 1] and for
    options that cannot be.
    """
    _validate(weeks, reference_weeks, alpha)
    places = [place for place, week in enumerate(weeks) if len(week)]
    scores = [np.asarray(weeks[place], dtype=np.float64) for place in places]
    if len(scores) <= reference_weeks:
        return Drift(None, 1.0, 1 / alpha, None)
    low, high = _p_values(scores, reference_weeks)
    sides: dict[Change, Array] = {"fell": _wealth(low), "rose": _wealth(high)}
    evidence = sum(side.sum(axis=1) for side in sides.values()) / 2
    alarms = np.flatnonzero(evidence >= 1 / alpha)
    if not len(alarms):
        return Drift(None, float(evidence[-1]), 1 / alpha, _mean(scores[:-1]))
    at = int(alarms[0])
    change: Change = max(sides, key=lambda name: float(sides[name][at].sum()))
    # The last column is what waits for starts to come.
    since = reference_weeks + int(np.argmax(sides[change][at, :-1]))
    return Drift(
        change, float(evidence[-1]), 1 / alpha, _mean(scores[:since]),
        level=_mean(scores[since : reference_weeks + at + 1]), since=places[since],
        alarmed_in=places[reference_weeks + at],
    )  # fmt: skip


def _p_values(weeks: Sequence[Array], reference_weeks: int) -> tuple[Array, Array]:
    """Return, for each week after the reference, how likely as low a mean and as high a mean are by chance."""
    tails = []
    for week in range(reference_weeks, len(weeks)):
        # Of nothing that comes later, not even in the shuffling: what was said of a week stays said.
        levels, places = np.unique(np.concatenate(weeks[: week + 1]), return_inverse=True)
        pool, last = (np.bincount(some, minlength=len(levels)) for some in (places, places[-len(weeks[week]) :]))
        tails.append(_tails(pool, last, levels, np.random.default_rng((_SEED, week))))
    low, high = np.array(tails).T
    return low, high


def _tails(pool: Counts, week: Counts, levels: Array, shuffler: np.random.Generator) -> list[float]:
    """Draw weeks from the pool; return the p-values of as low and of as high a mean as that of `week`."""
    told, size = float(week @ levels), int(week.sum())
    drawn, hits = 0, [0, 0]
    found: list[float | None] = [None, None]
    while None in found and drawn < _SHUFFLES:
        batch = min(max(_BATCH, drawn), _SHUFFLES - drawn)
        sums = shuffler.multivariate_hypergeometric(pool, size, size=batch, method="marginals") @ levels
        # Sums of the same scores in another order may differ in the last digit.
        for side, extreme in enumerate((sums <= told + 1e-9, sums >= told - 1e-9)):
            counted = hits[side] + np.cumsum(extreme)
            hits[side] = int(counted[-1])
            if found[side] is None and hits[side] >= _HITS:
                found[side] = _HITS / (drawn + int(np.searchsorted(counted, _HITS)) + 1)
        drawn += batch
    return [(hits[side] + 1) / (drawn + 1) if p is None else p for side, p in enumerate(found)]


def _wealth(p: Array) -> Array:
    """Return what each start has made of its stake by each week, and last what is not staked yet: shape (t, t + 1)."""
    weeks = len(p)
    earned = np.log(_POWERS) + (_POWERS - 1) * np.log(p)[:, None]
    totals = np.concatenate([np.zeros((1, len(_POWERS))), np.cumsum(earned, axis=0)])
    grown = np.exp(totals[1:, None] - totals[None, :-1]).mean(axis=2)
    starts = np.arange(1, weeks + 1)
    return np.column_stack([np.tril(grown / (starts * (starts + 1))), 1 / (starts + 1)])


def interval(scores: Sequence[float], *, alpha: float = 0.05) -> tuple[float, float]:
    """Return a confidence interval of the mean of scores in [0, 1], which holds for any number of them and any kind.

    The hedged capital interval of I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by
    betting", JRSS-B 86 (2024): what is left are the means that betting against them has not refuted. About half as long
    again as the normal approximation's; where there are few scores, or all are alike, that one fails and this one
    holds.
    """
    x = np.asarray(scores, dtype=np.float64)
    n = np.arange(1, len(x) + 1)
    means = (0.5 + np.cumsum(x)) / (n + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (n + 1)
    # Each bet knows only what came before it.
    known = np.concatenate([[0.25], variances])[:-1]
    bets = np.sqrt(2 * math.log(2 / alpha) / (len(x) * known))
    log_up, log_down = np.zeros(len(_EDGES)), np.zeros(len(_EDGES))
    with np.errstate(divide="ignore"):
        most_up, most_down = 0.75 / _EDGES, 0.75 / (1 - _EDGES)
    for score, bet in zip(x, bets, strict=True):
        log_up += np.log1p(np.minimum(bet, most_up) * (score - _EDGES))
        log_down += np.log1p(np.minimum(bet, most_down) * (_EDGES - score))
    kept = np.flatnonzero(np.maximum(log_up, log_down) < math.log(2 / alpha))
    # One step wider on each side, so that the grid takes nothing away.
    return float(_EDGES[max(kept[0] - 1, 0)]), float(_EDGES[min(kept[-1] + 1, len(_EDGES) - 1)])


def _mean(weeks: Sequence[Array]) -> float:
    return float(np.mean(np.concatenate(weeks)))


def _validate(weeks: Sequence[Sequence[float]], reference_weeks: int, alpha: float) -> None:
    if reference_weeks < 1:
        raise ConfigError(f"reference_weeks is {reference_weeks}: at least one week must say what is normal")
    if not 0.0 < alpha < 1.0:
        raise ConfigError(f"alpha is {alpha}: it is the probability of a false alarm, between 0 and 1")
    strange = next((x for week in weeks for x in week if not 0.0 <= x <= 1.0), None)
    if strange is not None:
        raise ConfigError(f"a score is {strange}: give scores between 0 and 1, such as (grade - 1) / 4")
