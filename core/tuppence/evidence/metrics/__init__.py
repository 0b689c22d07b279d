"""The numbers by which routers and cascades are known: curves, RouteLLM's, RouterArena's, and the controls."""

from tuppence.evidence.metrics.controls import (
    ByTask,
    Single,
    cheap_only,
    oracle,
    random_at_cost,
    singles,
    strong_only,
    task_label_curve,
)
from tuppence.evidence.metrics.curves import (
    Curve,
    Point,
    cost_share,
    frontier,
    hull,
    quality_at_cost,
    saved_at,
    threshold_curve,
)
from tuppence.evidence.metrics.routellm import apgr, cpt, pgr
from tuppence.evidence.metrics.routerarena import arena_score

__all__ = [
    "ByTask",
    "Curve",
    "Point",
    "Single",
    "apgr",
    "arena_score",
    "cheap_only",
    "cost_share",
    "cpt",
    "frontier",
    "hull",
    "oracle",
    "pgr",
    "quality_at_cost",
    "random_at_cost",
    "saved_at",
    "singles",
    "strong_only",
    "task_label_curve",
    "threshold_curve",
]
