"""The control that only reads a label, from a stream: sums by task and model in two halves, each of which chooses for
the other, so that no question is judged by an assignment that it helped to choose.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tuppence.evidence.metrics.controls import ByTask, task_label_curve
from tuppence.evidence.metrics.curves import FloatArray, quality_at_cost

# A label that every question has to itself is no label, and would fill the memory.
_MAX_TASKS = 1_000


class Labels:
    """Questions, quality and cost by half, task and model."""

    __slots__ = ("_cost", "_names", "_quality", "_questions")

    def __init__(self, models: int) -> None:
        self._names: dict[str, int] = {}
        self._questions = np.zeros((2, _MAX_TASKS))
        self._quality = np.zeros((2, _MAX_TASKS, models))
        self._cost = np.zeros((2, _MAX_TASKS, models))

    def add(self, tasks: Sequence[str], keys: NDArray[np.uint64], quality: FloatArray, cost: FloatArray) -> None:
        """Add rows: a label and a key each, and (rows, models) without gaps."""
        places = np.array([self._place(task) for task in tasks], dtype=np.intp)
        # The lowest bit: the bootstrap mixes the whole key before it uses any of it.
        halves = (keys & np.uint64(1)).astype(np.intp)
        np.add.at(self._questions, (halves, places), 1.0)
        np.add.at(self._quality, (halves, places), quality)
        np.add.at(self._cost, (halves, places), cost)

    def quality_at(self, cost: float) -> float | None:
        """Return what the labels alone give at a mean cost; None with fewer than two labels or an empty half."""
        questions = self._questions.sum(axis=1)
        if len(self._names) < 2 or not questions.all():
            return None
        first, second = self._half(0), self._half(1)
        curves = task_label_curve(second, first), task_label_curve(first, second)
        return float(np.average([quality_at_cost(c.cost, c.quality, at=cost) for c in curves], weights=questions))

    def _half(self, half: int) -> ByTask:
        used = len(self._names)
        return ByTask(self._questions[half, :used], self._quality[half, :used], self._cost[half, :used])

    def _place(self, task: str) -> int:
        place = self._names.get(task)
        if place is None:
            place = min(len(self._names), _MAX_TASKS - 1)
            if place < _MAX_TASKS - 1:
                self._names[task] = place
        return place
