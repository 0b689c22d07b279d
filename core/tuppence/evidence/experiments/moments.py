"""What the units of two arms have in common, as numbers: means, spreads, and how the two compare.

A unit counts once, by the mean of its calls: the calls of one user are alike, and to count them one by one would take
them for evidence that they are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuppence.evidence.experiments.sequential import Estimate

FEWEST = 30
"""Units of each arm from which on their mean is taken for normal."""

_FREE = 1000.0


@dataclass(frozen=True, slots=True)
class Unit:
    """The calls of one unit, by one measure."""

    mean: float
    calls: int = 1
    squares: float = 0.0
    """Sum of the squared distances of its calls from its mean."""


@dataclass(slots=True)
class Moments:
    """Mean and spread of a changing set of units: B. P. Welford, Technometrics 4 (1962) 419."""

    units: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of the squared distances of the units from the mean."""
    _parts: float = 0.0
    """Sum over units of one part in their number of calls."""
    _calls: int = 0
    _within: float = 0.0

    def add(self, unit: Unit) -> None:
        """Count a unit."""
        self.units += 1
        away = unit.mean - self.mean
        self.mean += away / self.units
        self.squares += away * (unit.mean - self.mean)
        self._count(unit, 1)

    def remove(self, unit: Unit) -> None:
        """Take a unit out that was counted, as when it has made another call and is counted anew."""
        self.units -= 1
        away = unit.mean - self.mean
        self.mean = self.mean - away / self.units if self.units else 0.0
        self.squares = max(0.0, self.squares - away * (unit.mean - self.mean)) if self.units else 0.0
        self._count(unit, -1)

    def _count(self, unit: Unit, sign: int) -> None:
        self._parts += sign / unit.calls
        self._calls += sign * unit.calls
        self._within += sign * unit.squares

    @property
    def variance(self) -> float:
        """Of one unit, unbiased; 0 for fewer than two."""
        return max(0.0, self.squares) / (self.units - 1) if self.units > 1 else 0.0

    @property
    def restless(self) -> float:
        """Variance that a unit brings in and takes back while its mean settles, call by call; 0 where each made one.

        A unit's mean moves by all of a call's variance at its first call and by a part in j (j - 1) of it at call j:
        twice what is left at the end, less once. What is more than that end is what is returned.
        """
        spare = self._calls - self.units
        if spare <= 0:
            return 0.0
        return 2.0 * max(0.0, self._within) / spare * (1.0 - self._parts / self.units)


def gain_in_points(treatment: Moments, control: Moments) -> Estimate | None:
    """Estimate by how much the treatment's mean is higher, for values in [0, 1]; None with too few units."""
    if min(treatment.units, control.units) < FEWEST:
        return None
    parts = [(_bounded(arm) / arm.units, arm.restless / arm.units) for arm in (treatment, control)]
    return _estimate(treatment.mean - control.mean, parts)


def drop_in_points(treatment: Moments, control: Moments) -> Estimate | None:
    """Estimate by how much the treatment's mean is lower, for values in [0, 1]; None with too few units."""
    return gain_in_points(control, treatment)


def drop_in_logs(treatment: Moments, control: Moments) -> Estimate | None:
    """Estimate the logarithm of control's mean over the treatment's, by the delta method, for values of 0 or more.

    None with too few units, and where control's mean is 0. A treatment that costs nothing is taken to cost a
    thousandth of control: no ratio can be told from 0.
    """
    if min(treatment.units, control.units) < FEWEST or control.mean <= 0:
        return None
    mean = max(treatment.mean, control.mean / _FREE)
    # Equal prices for equal prompts have no spread; a millionth stands for it, since no evidence is ever endless.
    parts = [
        (max(arm.variance / size**2, 1e-6) / arm.units, arm.restless / size**2 / arm.units)
        for arm, size in ((treatment, mean), (control, control.mean))
    ]
    return _estimate(math.log(control.mean / mean), parts)


def _estimate(value: float, parts: list[tuple[float, float]]) -> Estimate:
    """Put the two arms' variances, and what their units bring in and take back, together."""
    variance, restless = (sum(part) for part in zip(*parts, strict=True))
    return Estimate(value, variance, 1.0 + restless / variance)


def _bounded(arm: Moments) -> float:
    """Return the variance of one unit with a value in [0, 1], with one 0 and one 1 added.

    Where all units agree, as on errors that are rare, the sample has no spread and would look certain: A. Agresti and
    B. Caffo, The American Statistician 54 (2000) 280, add the same two to each arm.
    """
    count = arm.units + 2
    mean = (arm.units * arm.mean + 1.0) / count
    squares = max(0.0, arm.squares) + arm.units * (arm.mean - mean) ** 2 + mean**2 + (1.0 - mean) ** 2
    return squares / (count - 1)
