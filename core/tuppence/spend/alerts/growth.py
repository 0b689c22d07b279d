"""Workflows whose calls grow faster than what they are given: n log n, n squared, and worse.

A run of a workflow is one session; its size is the input of its first call. Where calls go with a power of the size
above 1, twice the work costs more than twice the money, and the next large input is a surprise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.spend.alerts.facts import Run

_FEWEST = 15
# Runs of one size say nothing: the largest tenth must be this many times the smallest.
_SPREAD = 2.0
# Parts of the smallest input that may be the same for all runs, such as instructions.
_CONSTANT = (0.0, 0.25, 0.5, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.985)
_ROUNDS = 3
# From so many runs on a middle is taken of them; of fewer, all must stand out.
_MIDDLE = 4
# A slope of so many standard errors says that calls go with size at all.
_GOES_WITH = 5.0
# Residuals beyond this many deviations weigh less (P. J. Huber, "Robust Statistics", 1981, 7.8).
_HUBER = 1.5


@dataclass(frozen=True, slots=True)
class Growth:
    """Calls that go with size to the power `exponent`."""

    exponent: float
    before: float | None
    """The exponent that earlier runs had; None where there were too few."""
    certain: bool
    """Whether it is above 1, and above what it was, by more than what was asked for and more than noise."""


def grown(before: Sequence[Run], runs: Sequence[Run], *, by: float, deviations: float) -> Growth | None:
    """Fit log calls to log size; None for too few runs, or runs too much alike, to tell.

    A part of the input that all runs share, such as instructions, makes a straight line look like a steep power. So
    that part is a parameter: the value that fits the earlier runs best. Where there are none, every value that fits
    about as well as the best one (within the likelihood ratio of so many `deviations`) may be the right one, and the
    exponent must be above 1 for all of them.
    """
    points = _points(runs)
    if points is None:
        return None
    earlier = _points(before)
    lowest = min(_lowest(points), _lowest(earlier) if earlier else math.inf)
    if earlier is None:
        lines = [line for part in _CONSTANT if (line := _line(points, part * lowest)) is not None]
        best = min(lines, key=lambda line: line.misfit, default=None)
        if best is None:
            return None
        allowed = best.misfit * math.exp(deviations**2 / len(points))
        least = min(line.slope - deviations * line.error for line in lines if line.misfit <= allowed)
        return Growth(best.slope, None, least > 1.0 + by)
    pairs = [(_line(earlier, part * lowest), _line(points, part * lowest)) for part in _CONSTANT]
    known = [(old, new) for old, new in pairs if old is not None and new is not None]
    if not known:
        return None
    old, new = min(known, key=lambda pair: pair[0].misfit)
    noise = deviations * math.hypot(old.error, new.error)
    return Growth(new.slope, old.slope, new.slope - deviations * new.error > 1.0 and new.slope - old.slope > by + noise)


@dataclass(frozen=True, slots=True)
class Excess:
    """Calls of runs beside those that earlier runs of the same size made."""

    log_ratio: float
    error: float
    """Standard error of it."""
    runs: int


def excess(before: Sequence[Run], runs: Sequence[Run]) -> Excess | None:
    """Compare runs with the line that fits the earlier ones best; None where there are too few of these.

    Runs larger and smaller than any before are left out: nobody knows what they should take.
    """
    earlier = _points(before, spread=1.0)
    if earlier is None:
        return None
    sizes = [size for size, _ in earlier]
    points = [(float(run.size), math.log(run.calls)) for run in runs if min(sizes) <= run.size <= max(sizes)]
    lines = [(line, part) for part in _CONSTANT if (line := _line(earlier, part * min(sizes))) is not None]
    if not lines or not points:
        return None
    line, part = min(lines, key=lambda one: one[0].misfit)
    # Chats do not go by what they were given first, and so nothing is known of what they should take.
    if line.slope < _GOES_WITH * line.error:
        return None
    off = [calls - line.at(math.log(size - part * min(sizes))) for size, calls in points]
    error = line.scale * math.sqrt(1.0 / len(off) + 1.0 / len(earlier))
    return Excess(min(off) if len(off) < _MIDDLE else sorted(off)[(len(off) - 1) // 2], error, len(off))


def steep(runs: Sequence[Run], *, deviations: float) -> bool:
    """Say whether a power above 1 is possible at all: without a constant part, a line is at its steepest."""
    points = _points(runs)
    line = None if points is None else _line(points, 0.0)
    return line is not None and line.slope - deviations * line.error > 1.0


def _points(runs: Sequence[Run], *, spread: float = _SPREAD) -> list[tuple[float, float]] | None:
    """Return sizes and log calls, without the smallest and oddest; None where they say nothing of growth."""
    sizes = sorted(run.size for run in runs)
    if len(sizes) < _FEWEST or sizes[-1 - len(sizes) // 10] < spread * sizes[len(sizes) // 10]:
        return None
    smallest = sizes[len(sizes) // 20]
    return [(float(run.size), math.log(run.calls)) for run in runs if run.size >= smallest]


def _lowest(points: Sequence[tuple[float, float]]) -> float:
    return min(size for size, _ in points)


@dataclass(frozen=True, slots=True)
class _Line:
    slope: float
    error: float
    misfit: float
    """Weighted mean square."""
    scale: float
    """Standard deviation of a run about it."""
    center: tuple[float, float]

    def at(self, x: float) -> float:
        return self.center[1] + self.slope * (x - self.center[0])


def _line(runs: Sequence[tuple[float, float]], constant: float) -> _Line | None:
    """Fit a line to the logarithms of what is above the constant, by least squares weighted by Huber's rule."""
    points = [(math.log(size - constant), calls) for size, calls in runs]
    weights = [1.0] * len(points)
    slope = scale = spread = 0.0
    for _ in range(_ROUNDS):
        total = sum(weights)
        x0 = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
        y0 = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
        spread = sum(w * (x - x0) ** 2 for w, (x, _) in zip(weights, points, strict=True))
        if spread <= 1e-9:
            return None
        slope = sum(w * (x - x0) * (y - y0) for w, (x, y) in zip(weights, points, strict=True)) / spread
        off = [abs(y - y0 - slope * (x - x0)) for x, y in points]
        scale = max(1.4826 * sorted(off)[len(off) // 2], 1e-6)
        weights = [1.0 if one <= _HUBER * scale else _HUBER * scale / one for one in off]
    misfit = sum(min(one, _HUBER * scale) ** 2 for one in off) / len(points)
    scale = max(scale, math.sqrt(misfit))
    return _Line(slope, scale / math.sqrt(spread), max(misfit, 1e-12), scale, (x0, y0))
