"""What is believed of a rate of success that is only seen one call at a time: a Beta distribution, in plain Python.
Decides nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_PRECISION = 1e-12
_MOST_TERMS = 10_000
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Belief:
    """Successes and failures seen, each of which may have faded to a part of one."""

    good: float = 0.0
    bad: float = 0.0

    def after(self, good: bool) -> Belief:
        """Return the belief after one more call."""
        return Belief(self.good + good, self.bad + (not good))

    def faded(self, keep: float) -> Belief:
        """Return the belief with all evidence weighed down by `keep`, in [0, 1]."""
        return Belief(self.good * keep, self.bad * keep)

    def at_least(self, rate: float, *, prior: float) -> float:
        """Return the probability that the true rate is `rate` or more.

        The prior is Beta(prior x rate, prior x (1 - rate)): as if `prior` calls had gone exactly as wanted.
        """
        return beta_above(rate, self.good + prior * rate, self.bad + prior * (1.0 - rate))


def beta_above(x: float, a: float, b: float) -> float:
    """Return P(X >= x) for X ~ Beta(a, b) with a, b > 0: one minus the regularised incomplete beta function I_x(a, b).

    The continued fraction of DLMF 8.17.22 by Lentz's method, on the side of the mean where it converges quickly.
    """
    if x <= 0.0:
        return 1.0
    if x >= 1.0:
        return 0.0
    if x < (a + 1.0) / (a + b + 2.0):
        return 1.0 - _lower(x, a, b)
    return _lower(1.0 - x, b, a)


def _lower(x: float, a: float, b: float) -> float:
    """Return I_x(a, b) for x below about the mean."""
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(_MOST_TERMS):
        d = 1.0 / _away_from_zero(1.0 + _term(step, x, a, b) * d)
        c = _away_from_zero(1.0 + _term(step, x, a, b) / c)
        fraction *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return min(1.0, max(0.0, math.exp(log_front) * (fraction - 1.0) / a))


def _term(step: int, x: float, a: float, b: float) -> float:
    m = step // 2
    if step == 0:
        return 1.0
    if step % 2 == 0:
        return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
