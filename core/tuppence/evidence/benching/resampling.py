"""Bootstrap intervals of a mean of scores between 0 and 1, by scipy; loaded only where scores are more than right or
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuppence.errors import ConfigError

_RESAMPLES = 9_999
# The same scores give the same interval, whoever asks and when.
_SEED = 1


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float]:
    """Return a two-sided percentile interval of the mean; B. Efron and R. J. Tibshirani, "An Introduction to the
    Bootstrap" (1993), chapter 13.
    """
    found = _bootstrap(values, level).confidence_interval
    return float(found.low), float(found.high)


def share_not_below_zero(values: Sequence[float]) -> float:
    """Return a one-sided p-value for "the mean is 0 or more": the share of resamples in which it is, one added."""
    means = _bootstrap(values, 0.95).bootstrap_distribution
    return float((1 + (means >= 0).sum()) / (1 + len(means)))


def _bootstrap(values: Sequence[float], level: float) -> Any:
    try:
        import numpy as np
        from scipy.stats import bootstrap
    except ImportError as error:
        raise ConfigError(
            f"scores between 0 and 1 need scipy for their intervals ({error}): pip install 'tuppence[evidence]'"
        ) from error
    if len(values) < 2:
        raise ConfigError(f"an interval needs at least two scores, got {len(values)}: give more questions")
    # Memory: a batch of resamples is a matrix of batch times questions.
    return bootstrap(
        (np.asarray(values, dtype=float),), np.mean, n_resamples=_RESAMPLES, confidence_level=level,
        method="percentile", batch=max(1, 2_000_000 // len(values)), random_state=np.random.default_rng(_SEED),
    )  # fmt: skip
