"""Does the judge grade as people do? Cohen's kappa: the agreement beyond what two graders have by chance.

Written out here in place of scikit-learn's `cohen_kappa_score`, which costs a second of import for a table of 25
numbers and gives no interval; a test holds the two equal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.errors import ConfigError

_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well the judge agrees with people."""

    labels: int
    """Calls that both have graded."""
    kappa: float | None
    """1 is full agreement, 0 that of chance; None where either gave one grade only, or there is no label."""
    interval: tuple[float, float] | None
    """95 %; None where there are too few labels for one."""
    enough: int
    """Labels from which there is an interval."""


def kappa(pairs: Sequence[tuple[float, float]], *, levels: int) -> Agreement:
    """Return Cohen's kappa with quadratic weights over (judge, person) scores in [0, 1] that lie on `levels` levels.

    J. Cohen, "Weighted kappa", Psychological Bulletin 70 (1968); the interval is the asymptotic one of J. Fleiss,
    J. Cohen and B. Everitt, "Large sample standard errors of kappa and weighted kappa", Psychological Bulletin 72
    (1969), given from 2 x levels^2 labels on (D. Cicchetti, "Testing the normal approximation and minimal sample size
    requirements of weighted kappa when the number of categories is large", Applied Psychological Measurement 5, 1981).
    Where all agree it has no length.
    Raises `ConfigError` for a score between two levels.
    """
    enough, n = 2 * levels**2, len(pairs)
    table = Counter((_level(judge, levels), _level(person, levels)) for judge, person in pairs)
    share = {cell: count / n for cell, count in table.items()}
    weight = [[1 - ((i - j) / (levels - 1)) ** 2 for j in range(levels)] for i in range(levels)]
    # Mean weight of each grade of one side against all grades of the other.
    rows = [sum(p * weight[i][j] for (_, j), p in share.items()) for i in range(levels)]
    columns = [sum(p * weight[i][j] for (i, _), p in share.items()) for j in range(levels)]
    seen = sum(p * weight[i][j] for (i, j), p in share.items())
    chance = sum(p * rows[i] for (i, _), p in share.items())
    if not n or math.isclose(chance, 1.0):
        return Agreement(n, None, None, enough)
    found = (seen - chance) / (1 - chance)
    if n < enough:
        return Agreement(n, found, None, enough)
    spread = sum(
        p * (weight[i][j] * (1 - chance) - (rows[i] + columns[j]) * (1 - seen)) ** 2 for (i, j), p in share.items()
    )
    variance = (spread - (seen * chance - 2 * chance + seen) ** 2) / (n * (1 - chance) ** 4)
    half = _Z95 * math.sqrt(max(0.0, variance))
    return Agreement(n, found, (max(-1.0, found - half), min(1.0, found + half)), enough)


def _level(score: float, levels: int) -> int:
    place = score * (levels - 1)
    if not 0.0 <= score <= 1.0 or not math.isclose(place, round(place), abs_tol=1e-6):
        raise ConfigError(
            f"a score is {score}, which is none of the {levels} levels from 0 to 1: label by the judge's own scale, "
            "whole grades from 1 to 5, or 0, 0.5 and 1 for comparisons"
        )
    return round(place)
