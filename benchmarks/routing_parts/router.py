"""What a learned route gives, judged as RouteLLM judges routers: trained on a few labels of one half of the questions,
with nothing tuned, judged on the other half, over and over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tuppence.embed import Embedder
from tuppence.evidence.learning.labelled import FloatArray
from tuppence.evidence.learning.questions import Questions, qualities, questions, right
from tuppence.evidence.learning.routing import fit_route
from tuppence.evidence.metrics import apgr, cpt
from tuppence.evidence.outcomes import Outcomes
from tuppence.signals.learned_route import LearnedRouteModel

Figures = dict[str, float | None]

_RANDOM: Figures = {"apgr": 0.5, "cpt50": 0.5, "cpt80": 0.8}
"""What choosing by lot gives: the straight line."""
_THRESHOLDS = 1_000


def router_figures(
    rows: Sequence[Outcomes], tiers: Sequence[str], *, labels: int, repeats: int, seed: int,
    embedder: Embedder | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return APGR and CPT of the learned route, means over `repeats` halvings, beside its controls.

    `labels` questions of the learning half are drawn to train on, all where there are fewer. `apgr_error` is the
    standard deviation of one halving over the root of their number; halvings share questions, so it is a little too
    small. `text_only` is the same route where nobody names the task, `task_label` one that sees nothing else, `meaning`
    the one that reads an embedding too. Figures are None where the strongest tier is not the better one.
    """
    graded, quality = qualities(rows, tiers)
    asked = questions(graded, embedder=embedder)
    seen = _views(asked)
    orders = [np.random.default_rng(seed + repeat).permutation(len(asked)) for repeat in range(repeats)]
    found = {
        name: [_halved(view, quality, tiers, order, labels=labels, seed=seed) for order in orders]
        for name, view in seen.items()
    }
    means = {name: _mean(halvings) for name, halvings in found.items()}
    controls = {"random": _RANDOM, **{name: one for name, one in means.items() if name != "learned"}}
    used = min(labels, len(asked) // 2)
    return {**means["learned"], "apgr_error": _error(found["learned"]), "labels": used, "controls": controls}


def _views(asked: Questions) -> dict[str, Questions]:
    """Say what each router may look at."""
    nothing = ("",) * len(asked)
    plain = replace(asked, vectors=None, embedder="")
    views = {"learned": plain, "text_only": replace(plain, tasks=nothing)}
    if len(set(asked.tasks)) > 1:
        views["task_label"] = replace(plain, shape=np.zeros_like(asked.shape), terms=((),) * len(asked))
    if asked.vectors is not None:
        views["meaning"] = asked
    return views


def _halved(
    asked: Questions, quality: FloatArray, tiers: Sequence[str], order: Any, *, labels: int, seed: int
) -> Figures:
    half = len(order) // 2
    learning, judging = order[:half][:labels], order[half:]
    model = fit_route(asked.take(learning), quality[learning], tiers=tiers, seed=seed)
    return judged(model, asked.take(judging), quality[judging])


def judged(model: LearnedRouteModel, asked: Questions, quality: FloatArray) -> Figures:
    """Try the route at every threshold: what share of calls goes to the strongest tier, and what quality that gives."""
    weak, strong = float(quality[:, 0].mean()), float(quality[:, -1].mean())
    if not strong > weak:
        return {"apgr": None, "cpt50": None, "cpt80": None}
    x, got = _curve(right(model, asked), quality)
    return {
        "apgr": apgr(x, got, weak=weak, strong=strong),
        "cpt50": cpt(0.5, x, got, weak=weak, strong=strong),
        "cpt80": cpt(0.8, x, got, weak=weak, strong=strong),
    }


def _curve(probable: FloatArray, quality: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return share of strong calls and quality for thresholds that fall: each question starts where the route says."""
    loss = probable[:, -1:] - probable[:, :-1]
    # Below every loss the strongest tier answers all.
    thresholds = np.concatenate(([-np.inf], np.quantile(loss.min(axis=1), np.linspace(0.0, 1.0, _THRESHOLDS))))
    everyone, strongest = np.arange(len(quality)), quality.shape[1] - 1
    points = []
    for threshold in thresholds:
        within = np.column_stack((loss <= threshold, np.ones(len(quality), dtype=bool)))
        start = within.argmax(axis=1)
        points.append(((start == strongest).mean(), quality[everyone, start].mean()))
    x, got = np.array(points).T
    return x, got


def _mean(halvings: Sequence[Mapping[str, float | None]]) -> Figures:
    """Average what is known; None where it never is."""
    known = {name: [value for one in halvings if (value := one[name]) is not None] for name in halvings[0]}
    return {name: round(float(np.mean(values)), 4) if values else None for name, values in known.items()}


def _error(halvings: Sequence[Mapping[str, float | None]]) -> float | None:
    known = [value for one in halvings if (value := one["apgr"]) is not None]
    return round(float(np.std(known, ddof=1) / np.sqrt(len(known))), 4) if len(known) > 1 else None
