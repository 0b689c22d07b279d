"""Which column of the sums holds what: the rows that all policies were replayed on, those of them that are graded, and
those where every model alone can be measured too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuppence.evidence.metrics.curves import FloatArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of sums over rows. A block is its number of rows, then its values, 0 for rows that it leaves out.

    Values of a row come as cost and quality of each policy, then of each model alone; NaN where not known.
    """

    policies: int
    models: int

    # -- where a column is

    @property
    def played(self) -> int:
        """Rows that all policies were replayed on; their costs follow."""
        return 0

    @property
    def graded(self) -> int:
        """Rows whose answers are graded under all policies; the qualities follow."""
        return 1 + self.policies

    @property
    def complete(self) -> int:
        """Rows where all models are priced and graded as well; cost and quality of policies, models, oracle follow."""
        return 2 * (1 + self.policies)

    @property
    def width(self) -> int:
        return self.complete + 1 + 2 * (self.policies + self.models + 1)

    def cost(self, policy: int) -> int:
        return self.played + 1 + policy

    def quality(self, policy: int) -> int:
        return self.graded + 1 + policy

    def complete_cost(self, arm: int) -> int:
        """Column of a cost over the complete rows: `arm` counts the policies, then the models, then the oracle."""
        return self.complete + 1 + 2 * arm

    def complete_quality(self, arm: int) -> int:
        return self.complete_cost(arm) + 1

    def model(self, index: int) -> int:
        """Return the arm of a model alone; -1 is the strongest."""
        return self.policies + index % self.models

    @property
    def oracle(self) -> int:
        return self.policies + self.models

    # -- from a row's values to the columns

    def columns(self, values: FloatArray) -> FloatArray:
        """Lay the values of rows out in columns without gaps."""
        arms = 2 * self.policies
        cost, quality = values[:, 0:arms:2], values[:, 1:arms:2]
        graded: Mask = np.logical_not(np.isnan(quality).any(axis=1))
        complete, model_cost, model_quality = self.alone(values)
        chosen = _oracle(model_cost, model_quality)
        everything = np.column_stack((values, *chosen))
        return np.column_stack((
            np.ones(len(values)), cost, _block(graded, quality), _block(complete, everything)
        ))  # fmt: skip

    def alone(self, values: FloatArray) -> tuple[Mask, FloatArray, FloatArray]:
        """Return which rows are complete, and cost and quality of each model alone."""
        complete: Mask = np.logical_not(np.isnan(values).any(axis=1))
        return complete, values[:, 2 * self.policies :: 2], values[:, 2 * self.policies + 1 :: 2]


def _block(rows: Mask, values: FloatArray) -> FloatArray:
    return np.column_stack((rows.astype(np.float64), np.where(rows[:, None], values, 0.0)))


def _oracle(cost: FloatArray, quality: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return cost and quality of the cheapest of the best models, row by row."""
    best = quality.max(axis=1, keepdims=True)
    return np.where(quality == best, cost, np.inf).min(axis=1), best[:, 0]
