"""What a router is compared with: one model alone, a lot, the task's label, the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.evidence.metrics import (
    ByTask,
    cheap_only,
    oracle,
    quality_at_cost,
    random_at_cost,
    singles,
    strong_only,
    task_label_curve,
)

QUALITY = [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
COST = [[1.0, 9.0], [1.0, 9.0], [1.0, 9.0], [1.0, 9.0]]


def test_each_model_alone() -> None:
    """The first column is the cheapest model, the last the strongest."""
    alone = singles(QUALITY, COST)
    assert (cheap_only(alone).quality, cheap_only(alone).cost) == (0.5, 1.0)
    assert (strong_only(alone).quality, strong_only(alone).cost) == (0.5, 9.0)
    assert strong_only(singles([[0.0, 1.0]], [[1.0, 9.0]])).saved(9.0) == 0.0


def test_a_lot_between_two_models_is_a_straight_line() -> None:
    """At the same cost as the policy that it is compared with."""
    alone = singles([[0.0, 1.0]], [[1.0, 9.0]])
    assert random_at_cost(alone, 3.0).quality == pytest.approx(0.25)


def test_a_lot_between_more_is_the_best_mixture() -> None:
    """Here nobody would draw the middle model: it is dear and poor."""
    alone = singles([[0.0, 0.1, 1.0]], [[1.0, 5.0, 9.0]])
    assert random_at_cost(alone, 5.0).quality == pytest.approx(0.5)


def test_the_oracle_asks_the_cheapest_of_the_best() -> None:
    """Where nobody knows the answer, it loses the cheapest price."""
    best = oracle(QUALITY, COST)
    assert (best.quality, best.cost, best.kept) == (0.75, 3.0, 0.75)


matrices = st.lists(st.tuples(st.sampled_from("abc"), *[st.sampled_from([0.0, 1.0])] * 3), min_size=2, max_size=30)


@given(matrices)
def test_no_router_beats_the_oracle(rows: list[Any]) -> None:
    """Neither one model, nor a lot, nor the labels even in hindsight."""
    quality = np.array([row[1:] for row in rows])
    cost = np.tile([1.0, 3.0, 9.0], (len(rows), 1))
    best, alone = oracle(quality, cost), singles(quality, cost)
    assert best.quality >= alone.quality.max()
    assert best.quality >= random_at_cost(alone, best.cost).quality - 1e-12
    tables = ByTask.of([row[0] for row in rows], quality, cost, names=sorted({row[0] for row in rows}))
    curve = task_label_curve(tables, tables)
    assert quality_at_cost(curve.cost, curve.quality, at=best.cost) <= best.quality + 1e-12
    assert curve.quality.max() >= alone.quality.max() - 1e-12


def by_task(tasks: str, quality: Any) -> ByTask:
    return ByTask.of(list(tasks), quality, np.tile([1.0, 9.0], (len(tasks), 1)), names="ab")


def test_labels_send_each_task_to_its_model() -> None:
    """Task `b` needs the strong model; what the labels give is measured on other questions."""
    learnt = by_task("aabb", [[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    judged = by_task("ab", [[1.0, 1.0], [0.0, 0.0]])
    curve = task_label_curve(learnt, judged)
    assert (curve.cost[0], curve.quality[0], curve.kept[0]) == (1.0, 0.5, 1.0)
    assert (curve.cost[-1], curve.quality[-1], curve.kept[-1]) == (5.0, 0.5, 0.5)


def test_a_task_that_was_not_seen_is_an_average_one() -> None:
    """On average the strong model is worth its price here, so `z` gets it, once the price is low enough."""
    learnt = by_task("aabb", [[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    curve = task_label_curve(learnt, by_task("z", [[0.0, 1.0]]))
    assert (curve.cost[-1], curve.quality[-1]) == (9.0, 1.0)
    assert curve.quality[0] == 0.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: singles([[1.0, 0.0]], [[1.0]]), r"\(questions, models\)"),
        (lambda: oracle([[1.0, np.nan]], [[1.0, 2.0]]), "1 values are missing"),
        (lambda: ByTask.of(["a"], QUALITY, COST, names="a"), "one label each"),
        (
            lambda: task_label_curve(by_task("a", [[1.0, 1.0]]), ByTask(*np.zeros((3, 3, 2)))),
            "one half has no questions",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(call: Any, said: str) -> None:
    """With the value, and what to give instead."""
    with pytest.raises(ConfigError, match=said):
        call()
