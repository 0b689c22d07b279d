"""What a router must beat before it may be believed: one model alone, a random mix at the same cost, the task's label,
and the oracle that no router reaches. Works on matrices of one row a question and one column a model, cheapest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuppence.errors import ConfigError
from tuppence.evidence.metrics.curves import Curve, FloatArray, Point, quality_at_cost


@dataclass(frozen=True, slots=True, eq=False)
class Single:
    """What each model gives alone, cheapest first: one mean a model."""

    cost: FloatArray
    quality: FloatArray


def singles(quality: ArrayLike, cost: ArrayLike) -> Single:
    """Average each model's column; raises `ConfigError` for matrices that do not fit or have gaps."""
    qualities, costs = _matrices(quality, cost)
    return Single(costs.mean(axis=0), qualities.mean(axis=0))


def cheap_only(models: Single) -> Point:
    """Return what the first model gives alone."""
    return Point(np.nan, 1.0, float(models.cost[0]), float(models.quality[0]))


def strong_only(models: Single) -> Point:
    """Return what the last model gives alone."""
    return Point(np.nan, 0.0, float(models.cost[-1]), float(models.quality[-1]))


def random_at_cost(models: Single, cost: float) -> Point:
    """Return what drawing the model at random gives, at this mean cost a question.

    With two models that is the straight line between them; with more the best of all mixtures, the upper concave hull,
    which is the hardest to beat. Dearer than all models are, the rest of the money buys nothing.
    """
    quality = quality_at_cost(models.cost, models.quality, at=cost)
    return Point(np.nan, np.nan, cost, quality)


def oracle(quality: ArrayLike, cost: ArrayLike) -> Point:
    """Ask, for each question, the cheapest of the models that answer it best.

    It knows the answers: an upper bound for routers that ask one model, as RouterBench draws it (Hu et al., 2024,
    arXiv:2403.12031). A cascade has the same bound on quality.
    """
    qualities, costs = _matrices(quality, cost)
    best = qualities.max(axis=1, keepdims=True)
    chosen = np.where(qualities == best, costs, np.inf).argmin(axis=1)
    rows = np.arange(len(chosen))
    return Point(np.nan, float((chosen == 0).mean()), float(costs[rows, chosen].mean()), float(best.mean()))


@dataclass(frozen=True, slots=True, eq=False)
class ByTask:
    """What each model gives on each task, as sums: one row a task, one column a model, cheapest first."""

    questions: FloatArray
    """One number a task."""
    quality: FloatArray
    cost: FloatArray

    @classmethod
    def of(cls, tasks: Sequence[str], quality: ArrayLike, cost: ArrayLike, *, names: Sequence[str]) -> ByTask:
        """Sum questions by their task, in the order of `names`; those of other tasks fall into one last row."""
        qualities, costs = _matrices(quality, cost)
        if len(tasks) != len(qualities):
            raise ConfigError(f"there are {len(tasks)} task labels and {len(qualities)} questions: give one label each")
        place = {name: index for index, name in enumerate(names)}
        rows = np.array([place.get(task, len(names)) for task in tasks])
        tables = np.zeros((2, len(names) + 1, qualities.shape[1]))
        for table, values in zip(tables, (qualities, costs), strict=True):
            np.add.at(table, rows, values)
        return cls(np.bincount(rows, minlength=len(names) + 1).astype(np.float64), tables[0], tables[1])


def task_label_curve(learnt: ByTask, judged: ByTask) -> Curve:
    """Choose one model a task on one half, and say what that gives on the other: the router that only reads a label.

    For a price of cost, in score for the unit of cost, each task takes the model with the best score less its price.
    All prices at which a task changes its mind are tried, so the curve holds the best assignment of models to tasks for
    every cost that the first half can tell (the Lagrangian of a multiple-choice knapsack; Sinha and Zoltners,
    Operations Research 27, 1979). Tasks that the first half has not seen are taken as its average one. The thresholds
    of the curve are the negated prices; read it at a cost with `quality_at_cost`, which favours it a little.
    """
    if not learnt.questions.sum() or not judged.questions.sum():
        raise ConfigError("one half has no questions: give some to learn on and others to judge on")
    seen = learnt.questions > 0
    average = np.where(seen[:, None], [learnt.quality, learnt.cost], _total([learnt.quality, learnt.cost]))
    quality, cost = average / np.where(seen, learnt.questions, learnt.questions.sum())[:, None]
    prices = _critical_prices(quality, cost)
    points = np.array([_assigned(price, quality, cost, judged) for price in prices])
    return Curve(-prices, points[:, 0], points[:, 1], points[:, 2])


# More prices than a plot can show: assignments between two of them differ in a task or two.
_MAX_PRICES = 500


def _total(tables: Sequence[FloatArray]) -> FloatArray:
    return np.asarray([table.sum(axis=0, keepdims=True) for table in tables])


def _critical_prices(quality: FloatArray, cost: FloatArray) -> FloatArray:
    """Return prices between which no task changes its model, dearest first: there the cheapest model wins."""
    gained = quality[:, None, :] - quality[:, :, None]
    paid = cost[:, None, :] - cost[:, :, None]
    worth = gained[paid > 0] / paid[paid > 0]
    steps = np.unique(worth[worth > 0])
    if not len(steps):
        return np.array([0.0])
    between = (steps[1:] + steps[:-1]) / 2
    prices = np.concatenate(([2 * steps[-1]], between[::-1], [steps[0] / 2]))
    wanted = np.linspace(0, len(prices) - 1, min(len(prices), _MAX_PRICES))
    return np.asarray(prices[wanted.round().astype(int)])


def _assigned(price: float, quality: FloatArray, cost: FloatArray, judged: ByTask) -> tuple[float, float, float]:
    """Return the cheapest model's share, mean cost and mean quality, when each task takes its best at a price."""
    models = (quality - price * cost).argmax(axis=1)
    tasks, total = np.arange(len(models)), judged.questions.sum()
    kept = judged.questions[models == 0].sum()
    return kept / total, judged.cost[tasks, models].sum() / total, judged.quality[tasks, models].sum() / total


def _matrices(quality: ArrayLike, cost: ArrayLike) -> tuple[FloatArray, FloatArray]:
    qualities: NDArray[np.float64] = np.asarray(quality, dtype=np.float64)
    costs: NDArray[np.float64] = np.asarray(cost, dtype=np.float64)
    if qualities.ndim != 2 or qualities.shape != costs.shape or 0 in qualities.shape:
        raise ConfigError(
            f"quality has the shape {qualities.shape} and cost {costs.shape}: give (questions, models) for both"
        )
    missing = int(np.isnan(qualities).sum() + np.isnan(costs).sum())
    if missing:
        raise ConfigError(f"{missing} values are missing (NaN): leave out questions that are not graded or priced")
    return qualities, costs
