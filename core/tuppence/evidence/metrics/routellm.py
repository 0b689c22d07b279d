"""RouteLLM's figures: how much of the gap between a weak and a strong model a router recovers, for how many calls.

Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", 2024, arXiv:2406.18665, section on metrics. They
measure x, what is paid, as the share of calls that go to the strong model. For a cascade the draft is paid too, so its
x is `cost_share`: the mean cost, 0 for the weak model alone and 1 for the strong one alone; it may pass 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tuppence.errors import ConfigError
from tuppence.evidence.metrics.curves import FloatArray


def pgr(quality: ArrayLike, *, weak: float, strong: float) -> FloatArray:
    """Return the performance gap recovered: 0 at the weak model's quality, 1 at the strong one's; it may pass both.

    Raises `ConfigError` where the strong model is not the better one, for then there is no gap.
    """
    if not strong > weak:
        raise ConfigError(f"the strong model's quality is {strong}, the weak one's {weak}: there is no gap to recover")
    return np.asarray((np.asarray(quality, dtype=np.float64) - weak) / (strong - weak))


def apgr(x: ArrayLike, quality: ArrayLike, *, weak: float, strong: float) -> float:
    """Return the average performance gap recovered: the area under the PGR over x in [0, 1]; a random router has 0.5.

    The paper takes the mean over ten budgets, RouteLLM's own evaluation the trapezoidal area over eleven thresholds
    divided by the width that they cover; here it is the same area over all thresholds, on [0, 1]. Points beyond x = 1
    cost more than the strong model alone: the curve is cut there. A curve that begins after 0 (a cascade that pays a
    helper) is joined to the weak model alone at 0, and where it ends before 1 its last quality holds. The PGR is not
    clipped: a cascade may be better than the strong model.
    """
    shares, recovered = _ordered(x, pgr(quality, weak=weak, strong=strong))
    inside = (shares > 0.0) & (shares < 1.0)
    grid = np.concatenate(([0.0], shares[inside], [1.0]))
    before = 0.0 if shares[0] > 0.0 else float(np.interp(0.0, shares, recovered))
    at_end = float(np.interp(1.0, shares, recovered))
    return _area(grid, np.concatenate(([before], recovered[inside], [at_end])))


def cpt(share: float, x: ArrayLike, quality: ArrayLike, *, weak: float, strong: float) -> float | None:
    """Return the call-performance threshold: the least x at which the PGR reaches `share`; None where it never does.

    CPT(50%) is `cpt(0.5, ...)`. Between two points the curve is straight. RouteLLM's evaluation interpolates x over the
    qualities as they come, which is undefined where they fall; this is the first crossing, as the paper words it.
    """
    shares, recovered = _ordered(x, pgr(quality, weak=weak, strong=strong))
    reached = np.flatnonzero(recovered >= share)
    if not len(reached):
        return None
    after = int(reached[0])
    if after == 0:
        return float(shares[0])
    return float(np.interp(share, recovered[after - 1 : after + 1], shares[after - 1 : after + 1]))


def _ordered(x: ArrayLike, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    xs = np.asarray(x, dtype=np.float64)
    if xs.shape != y.shape or xs.ndim != 1 or not len(xs):
        raise ConfigError(f"x has the shape {xs.shape} and quality {y.shape}: give one value of each a point")
    order = np.argsort(xs, kind="stable")
    return xs[order], y[order]


def _area(x: FloatArray, y: FloatArray) -> float:
    # numpy renamed `trapz` to `trapezoid` in 2.0, and 1.26 has only the old name.
    return float(((y[1:] + y[:-1]) / 2.0 * np.diff(x)).sum())
