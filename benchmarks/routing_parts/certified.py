"""What a certificate is worth: how much of the best saving in hindsight it finds, and how often its promise breaks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tuppence.evidence.certificate import Certified
from tuppence.evidence.certificate.ladder import Ladder
from tuppence.evidence.learning.calibrating import calibrate_labelled
from tuppence.evidence.learning.climbing import STRICTEST, ladder, scores
from tuppence.evidence.learning.labelled import Labelled, labelled
from tuppence.evidence.learning.training import train
from tuppence.evidence.outcomes import Outcomes

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Promise:
    """What is asked of a certificate, and how often it is tried."""

    target: float
    delta: float
    labels: int
    repeats: int
    seed: int


def certified_figures(labels: Labelled, promise: Promise) -> dict[str, Any]:
    """Calibrate on labels of one half, judge on the other, many times over.

    `violation_rate` is of all splits, judged by the other half, whose own noise counts in; `violation_rate_population`
    judges by all questions, from which both halves are drawn. A refusal saves nothing and breaks nothing.
    """
    tried = np.array([_tried(labels, promise, promise.seed + repeat) for repeat in range(promise.repeats)])
    saved, best, broken, broken_at_all, refused, dearer = tried.mean(axis=0).tolist()
    return {
        "saved_mean": round(saved, 4),
        "best_saved": round(best, 4),
        "share_of_best": round(saved / best, 4) if best > 0 else None,
        "violation_rate": round(broken, 4),
        "violation_rate_population": round(broken_at_all, 4),
        "refused_share": round(refused, 4),
        "dearer_than_strongest": round(dearer, 4),
    }


def _tried(labels: Labelled, promise: Promise, seed: int) -> tuple[float, float, float, float, float, float]:
    order = np.random.default_rng(seed).permutation(len(labels))
    learn, judge = labels.take(order[: len(order) // 2][: promise.labels]), labels.take(order[len(order) // 2 :])
    calibration = calibrate_labelled(learn, target=promise.target, delta=promise.delta, seed=seed)
    # What is refused at the first look still has a best threshold in hindsight.
    model = calibration.model or train(learn)
    judge, labels = judge.climbing(model.tiers), labels.climbing(model.tiers)
    strong_cost = judge.cost_usd[:, -1].mean()
    everything = np.concatenate(([STRICTEST], np.unique(scores(model, judge))[::-1], [0.0]))
    hindsight = ladder(model, judge, everything)
    kept = ~_breaks(hindsight, promise.target)
    best = max(0.0, 1.0 - float(hindsight.cost.mean(axis=1)[kept].min() / strong_cost))
    verdict = calibration.verdict
    if not isinstance(verdict, Certified):
        return 0.0, best, 0.0, 0.0, 1.0, 0.0
    threshold = np.array([verdict.threshold])
    judged, overall = ladder(model, judge, threshold), ladder(model, labels, threshold)
    saved = 1.0 - float(judged.cost.mean() / strong_cost)
    return (
        saved, best, float(_breaks(judged, promise.target)[0]), float(_breaks(overall, promise.target)[0]), 0.0,
        float(saved < -_ROUNDING),
    )  # fmt: skip


def _breaks(judged: Ladder, target: float) -> Any:
    return judged.quality.mean(axis=1) < target * judged.strongest_quality.mean() - _ROUNDING


def every_pair(rows: Sequence[Outcomes], promise: Promise) -> list[tuple[str, str, dict[str, Any]]]:
    """Certify every ordered pair of models as a cascade of two, whichever is cheaper or better."""
    models = sorted({name for row in rows for name in row.by_model})
    pairs = [(first, last) for first in models for last in models if first != last]
    with ProcessPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:
        figures = pool.map(partial(_pair_figures, list(rows), promise), pairs, chunksize=1)
        return [(*pair, found) for pair, found in zip(pairs, figures, strict=True)]


def _pair_figures(rows: list[Outcomes], promise: Promise, pair: tuple[str, str]) -> dict[str, Any]:
    return certified_figures(labelled(rows, tiers=pair), promise)


def over_pairs(found: Sequence[tuple[str, str, dict[str, Any]]], *, delta: float) -> dict[str, Any]:
    """Sum the pairs up: shares are averaged over the pairs where hindsight saves anything."""
    figures = [one for _, _, one in found]
    paying = [one for one in figures if one["best_saved"] > 0]
    certified = [one for one in figures if one["refused_share"] < 1]
    return {
        "pairs": len(figures),
        "paying": len(paying),
        "share_of_best_mean": round(float(np.mean([one["share_of_best"] for one in paying])), 4),
        "worst_violation_rate": max((one["violation_rate"] for one in certified), default=0.0),
        "worst_violation_rate_population": max((one["violation_rate_population"] for one in certified), default=0.0),
        "pairs_over_delta": [(a, b, one["violation_rate"]) for a, b, one in found if one["violation_rate"] > delta],
        "dearer_than_strongest": sum(one["dearer_than_strongest"] > 0 for one in figures),
        "refused_always": len(figures) - len(certified),
    }
