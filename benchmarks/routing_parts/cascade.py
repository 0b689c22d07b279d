"""What a learned cascade gives: learned on one half of the questions, with a threshold chosen there, judged on the
other.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from tuppence.attempts import Verdict
from tuppence.checks.learned import LearnedModel, learned
from tuppence.effects import Consult
from tuppence.evidence.certificate.ladder import Ladder
from tuppence.evidence.learning.climbing import STRICTEST, asked, expected_ladder, ladder, scores
from tuppence.evidence.learning.labelled import FloatArray, Labelled, reply_of
from tuppence.evidence.learning.ordering import cheapest_order
from tuppence.evidence.learning.training import train
from tuppence.evidence.metrics import apgr, oracle, quality_at_cost, random_at_cost, singles, task_label_curve
from tuppence.evidence.metrics.controls import ByTask
from tuppence.evidence.outcomes import Outcomes
from tuppence.evidence.replay import request_of

TARGETS = (95, 98, 99)
_MATCHED = 98
"""The controls cost what the cascade costs at this target."""
_DECISIONS = 500


def cascade_figures(labels: Labelled, tasks: Sequence[str], *, repeats: int, seed: int) -> dict[str, Any]:
    """Average the figures of several halvings."""
    halvings = [_halved(labels, tasks, seed=seed + repeat) for repeat in range(repeats)]
    return {name: round(float(np.mean([one[name] for one in halvings])), 4) for name in halvings[0]}


def _halved(labels: Labelled, tasks: Sequence[str], *, seed: int) -> dict[str, float]:
    order = np.random.default_rng(seed).permutation(len(labels))
    learning, judging = order[: len(order) // 2], order[len(order) // 2 :]
    learn, judge = labels.take(learning), labels.take(judging)
    found: dict[str, float] = {}
    strong = judge.quality[:, -1].mean(), judge.cost_usd[:, -1].mean()
    for target in TARGETS:
        order = cheapest_order(learn, target=target / 100)
        climbing = learn.climbing(order), judge.climbing(order)
        model = train(climbing[0])
        at = _judged_at(target / 100, model, *climbing)
        for name, judged in at.items():
            found[f"{name}saved_{target}"] = float(1.0 - judged.cost.mean() / strong[1])
            found[f"{name}quality_{target}"] = float(judged.quality.mean() / strong[0])
        cost = float(at[""].cost.mean())
        if target == _MATCHED:
            found |= _controls(learn, judge, tasks, (learning, judging), cost=cost)
            found |= _areas(model, judge, order)
    return found


def _judged_at(target: float, model: LearnedModel, learn: Labelled, judge: Labelled) -> dict[str, Ladder]:
    """Choose a threshold on one half, by what the model believes of it and by what was recorded on it, and climb with
    it on the other.
    """
    tried = _all_thresholds(model, learn)
    wanted = target * float(learn.quality[:, -1].mean())
    ways = {"": expected_ladder(model, learn, tried), "recorded_": ladder(model, learn, tried)}
    return {name: ladder(model, judge, tried[[_cheapest(way, wanted)]]) for name, way in ways.items()}


def _all_thresholds(model: LearnedModel, labels: Labelled) -> FloatArray:
    return np.concatenate(([STRICTEST], np.unique(scores(model, labels))[::-1], [0.0]))


def _cheapest(expected: Ladder, quality: float) -> int:
    good = expected.quality.mean(axis=1) >= quality
    return int(np.argmin(np.where(good, expected.cost.mean(axis=1), np.inf)))


def _areas(model: LearnedModel, judge: Labelled, order: Sequence[str]) -> dict[str, float]:
    """Measure APGR over the share of calls that reach the strongest tier, as RouteLLM does, and over their cost."""
    means = judge.quality.mean(axis=0)
    climbing = judge.climbing(order)
    curve = ladder(model, climbing, _all_thresholds(model, climbing))
    if not means[-1] > means[0]:
        return {"apgr": float("nan"), "apgr_by_cost": float("nan")}
    reached = asked(model, climbing, curve.thresholds)[..., -1].mean(axis=1)
    cheapest, dearest = judge.cost_usd[:, 0].mean(), judge.cost_usd[:, -1].mean()
    by_cost = (curve.cost.mean(axis=1) - cheapest) / (dearest - cheapest)
    quality = curve.quality.mean(axis=1)
    gap = {"weak": float(means[0]), "strong": float(means[-1])}
    return {"apgr": apgr(reached, quality, **gap), "apgr_by_cost": apgr(by_cost, quality, **gap)}


def _controls(
    learn: Labelled, judge: Labelled, tasks: Sequence[str], halves: tuple[Any, Any], *, cost: float
) -> dict[str, float]:
    """Say what a random mix, the task's label and an oracle give at this cost (an oracle has its own)."""
    alone = singles(judge.quality, judge.cost_usd)
    names = sorted(set(tasks))
    by_task = [
        ByTask.of([tasks[i] for i in index], half.quality, half.cost_usd, names=names)
        for half, index in zip((learn, judge), halves, strict=True)
    ]
    labelled = task_label_curve(*by_task)
    best, strong = oracle(judge.quality, judge.cost_usd), judge.cost_usd[:, -1].mean()
    return {
        "random_quality": random_at_cost(alone, cost).quality,
        "task_label_quality": quality_at_cost(labelled.cost, labelled.quality, at=cost),
        "matched_saved": float(1.0 - cost / strong),
        "oracle_quality": best.quality,
        "oracle_saved": float(1.0 - best.cost / strong),
        "cheap_quality": float(alone.quality[0]),
        "cheap_saved": float(1.0 - alone.cost[0] / strong),
        "strong_quality": float(alone.quality[-1]),
    }


def controls(found: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Lay the controls' figures out under their names."""
    matched = found["matched_saved"]
    return {
        "random": {"quality": found["random_quality"], "saved": matched},
        "cheap_only": {"quality": found["cheap_quality"], "saved": found["cheap_saved"]},
        "strong_only": {"quality": found["strong_quality"], "saved": 0.0},
        "task_label": {"quality": found["task_label_quality"], "saved": matched},
        "oracle": {"quality": found["oracle_quality"], "saved": found["oracle_saved"]},
    }


def decision_us(model: LearnedModel, rows: Sequence[Outcomes]) -> float:
    """Time the check itself on real answers, the opinion of a helper given; microseconds, the median."""
    check, tier = learned(model), model.tiers[0]
    times = []
    for row in rows[:_DECISIONS]:
        request, reply = request_of(row), reply_of(row.by_model[tier], tier)
        opinion = None if model.helper is None else reply_of(row.by_model[model.helper], model.helper)
        started = time.perf_counter()
        verdict = check(request, reply)
        if not isinstance(verdict, Verdict):
            with suppress(StopIteration):
                effect = next(verdict)
                while True:
                    effect = verdict.send(opinion if isinstance(effect, Consult) else True)
        times.append(time.perf_counter() - started)
    return round(float(np.median(times)) * 1e6, 1)
