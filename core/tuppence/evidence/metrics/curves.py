"""Cost against quality, over every threshold that a score allows. Works on arrays, one value a question, and knows
nothing of policies: what a score means and which costs were paid is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuppence.errors import ConfigError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of a policy, and what it gives."""

    threshold: float
    """Score from which the cheap answer is kept; NaN where no one threshold leads here."""
    kept: float
    """Share of the questions that the cheap side answers."""
    cost: float
    """Mean cost a question, in the unit of the costs that went in."""
    quality: float
    """Mean score a question."""

    def saved(self, cost: float) -> float:
        """Return the share of `cost`, the mean of another way to answer, that this one saves; below 0 it loses."""
        return 1.0 - self.cost / cost


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The points of all thresholds, loosest first: `kept` falls from one point to the next."""

    threshold: FloatArray
    kept: FloatArray
    cost: FloatArray
    quality: FloatArray

    def __len__(self) -> int:
        return len(self.threshold)

    def __getitem__(self, index: int) -> Point:
        return Point(*(float(column[index]) for column in (self.threshold, self.kept, self.cost, self.quality)))

    @property
    def escalated(self) -> FloatArray:
        """Share of the questions that the dear side answers: RouteLLM's share of calls to the strong model."""
        return 1.0 - self.kept

    def at(self, threshold: float) -> Point:
        """Return what this curve's questions give at a threshold, which may be one that was chosen on others."""
        index = int(np.searchsorted(self.threshold, threshold, side="left"))
        return self[min(index, len(self) - 1)]

    def cheapest(self, quality: float) -> Point | None:
        """Return the cheapest point of at least this quality; None where there is none."""
        good = np.flatnonzero(self.quality >= quality - _ROUNDING)
        return None if not len(good) else self[int(good[np.argmin(self.cost[good])])]


# Means of the same scores, added in another order, differ in their last digits.
_ROUNDING = 1e-12


def threshold_curve(score: ArrayLike, *, kept: Sequence[ArrayLike], given_up: Sequence[ArrayLike]) -> Curve:
    """Try every threshold of a score: from it on a question is `kept`, below it is `given_up`.

    `score` has one value a question, higher for "the cheap answer will do". `kept` and `given_up` are (quality, cost),
    each one value a question: for a router what the weak and the strong model give; for a cascade what the cheap answer
    gives and what the strong one gives at the price of *both* (and of a helper, in both). Questions of one score share
    their fate. The curve has one point more than there are different scores; its first threshold keeps all, its last
    is infinite and keeps none. Raises `ConfigError` for arrays of different lengths, empty ones, and values missing.
    """
    scores, (kept_quality, kept_cost, other_quality, other_cost) = _checked(score, *kept, *given_up)
    order = np.argsort(scores, kind="stable")
    values, first = np.unique(scores[order], return_index=True)
    total, starts = len(scores), np.append(first, len(scores))

    def mean(above: FloatArray, below: FloatArray) -> FloatArray:
        change = np.concatenate(([0.0], np.cumsum((below - above)[order])))
        return np.asarray((above.sum() + change[starts]) / total)

    return Curve(
        np.append(values, np.inf), 1.0 - starts / total, mean(kept_cost, other_cost), mean(kept_quality, other_quality)
    )


def frontier(cost: ArrayLike, quality: ArrayLike) -> NDArray[np.intp]:
    """Return the indices of the settings that no other beats in both, cheapest first: for more than one threshold.

    Equals are kept once. With the indices, `cost[i]` and `quality[i]` both rise.
    """
    _, (costs, qualities) = _checked(cost, cost, quality)
    order = np.lexsort((-qualities, costs))
    best = np.maximum.accumulate(qualities[order])
    better = np.concatenate(([True], best[1:] > best[:-1]))
    return np.asarray(order[better])


def quality_at_cost(cost: ArrayLike, quality: ArrayLike, *, at: float) -> float:
    """Return the best quality for a mean cost, when settings may be mixed at random: the upper concave hull.

    Below the cheapest setting it is that setting's quality, for nothing is cheaper; above the best it is the best.
    """
    _, (costs, qualities) = _checked(cost, cost, quality)
    corners = hull(costs, qualities)
    return float(np.interp(at, costs[corners], qualities[corners]))


def cost_share(cost: ArrayLike, *, weak: float, strong: float) -> FloatArray:
    """Place mean costs between those of the weak model alone (0) and the strong one alone (1).

    The x axis for cascades, where shares of calls would count a draft that was paid and thrown away as nothing. Raises
    `ConfigError` where the strong model is not the dearer one.
    """
    if not strong > weak:
        raise ConfigError(f"the strong model costs {strong} a question and the weak one {weak}: swap or drop one")
    return np.asarray((np.asarray(cost, dtype=np.float64) - weak) / (strong - weak))


def saved_at(chosen_on: Curve, judged_on: Curve, *, quality: float, strong: Point) -> tuple[float, Point]:
    """Choose the cheapest threshold that reaches `quality` on one half, and say what it saves on the other.

    `quality` is a target in the first half's own terms, such as .95 of the strongest model's quality there; `strong` is
    the strongest model alone on the *second* half. Returns the share of its cost that is saved, below 0 for a loss, and
    the point that the second half's questions get. Where the first half never reaches the target, the strongest model
    answers alone and nothing is saved. The same curve twice gives the saving in hindsight.
    """
    chosen = chosen_on.cheapest(quality)
    if chosen is None:
        return 0.0, strong
    point = judged_on.at(chosen.threshold)
    return point.saved(strong.cost), point


def hull(cost: FloatArray, quality: FloatArray) -> NDArray[np.intp]:
    """Return the corners of the upper concave hull from the cheapest setting to the best, cheapest first."""
    corners: list[int] = []
    for index in frontier(cost, quality):
        while len(corners) > 1 and _below(cost, quality, corners[-2], corners[-1], int(index)):
            corners.pop()
        corners.append(int(index))
    return np.asarray(corners, dtype=np.intp)


def _below(x: FloatArray, y: FloatArray, left: int, middle: int, right: int) -> bool:
    """Say whether the middle point lies on or under the line between its neighbours."""
    return bool((y[middle] - y[left]) * (x[right] - x[left]) <= (y[right] - y[left]) * (x[middle] - x[left]))


def _checked(score: ArrayLike, *columns: ArrayLike) -> tuple[FloatArray, list[FloatArray]]:
    arrays = [np.asarray(values, dtype=np.float64) for values in (score, *columns)]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1 or arrays[0].ndim != 1:
        raise ConfigError(f"the arrays have the shapes {sorted(shapes)}: give one value a question in each")
    if not len(arrays[0]):
        raise ConfigError("there are no questions (empty arrays): a curve needs at least one")
    missing = sum(int(np.isnan(array).sum()) for array in arrays)
    if missing:
        raise ConfigError(f"{missing} values are missing (NaN): leave out questions that are not graded or priced")
    return arrays[0], arrays[1:]
