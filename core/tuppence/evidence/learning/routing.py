"""Train the learned route: from a few hundred questions that every tier answered and somebody graded, how probably each
tier is right. Seconds on one core; the result is plain numbers. Nothing here looks at an answer: a route has none yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array, hstack, vstack
from sklearn.linear_model import LogisticRegression

from tuppence.embed import Embedder
from tuppence.errors import ConfigError
from tuppence.evidence.learning.labelled import FloatArray
from tuppence.evidence.learning.questions import TRAITS, Questions, qualities, questions, term_matrix, vocabulary
from tuppence.evidence.learning.relevance import relevances
from tuppence.evidence.outcomes import Outcomes
from tuppence.signals.learned_route import FURTHEST, EmbeddingWeights, LearnedRouteModel, Term, Trait, Weights

# Fewer labels than this say nothing about two dozen traits.
_LEAST_LABELS = 50
# A term of fewer questions says something of these questions only, and does not belong in a file.
_TERM_QUESTIONS = 3
_MOST_TERMS = 2_000
# The relevance of four groups is known well enough from so many, and the time grows with the cube.
_RELEVANCE_LABELS = 500
_DIGITS = 5
_LEAST_SPREAD = 1e-6


def train_route(
    rows: Sequence[Outcomes], *, tiers: Sequence[str], embedder: Embedder | None = None, seed: int = 0
) -> LearnedRouteModel:
    """Learn where to start from rows on which all of `tiers` (cheapest first, the strongest last) are graded.

    One logistic regression a tier, on features that all share: the question's shape, its words, its task, and its
    meaning where an `embedder` is given. Each group of features has a ridge penalty of its own, for all tiers the same,
    chosen so that the *differences* from the strongest tier become most likely: these are what a route decides by.
    Scores between 0 and 1 count as that share of a right answer. `seed` draws the rows on which the penalties are
    chosen where there are more than 500. Raises `ConfigError` with fewer than 50 usable rows.
    """
    graded, quality = qualities(rows, tiers)
    if len(graded) < _LEAST_LABELS:
        raise ConfigError(
            f"{len(graded)} of {len(rows)} rows are graded for all of {list(tiers)}: give at least {_LEAST_LABELS}"
        )
    return fit_route(questions(graded, embedder=embedder), quality, tiers=tiers, seed=seed)


def fit_route(asked: Questions, quality: FloatArray, *, tiers: Sequence[str], seed: int = 0) -> LearnedRouteModel:
    """Do as `train_route` does, with questions that were read already and their scores, (questions, tiers)."""
    groups = _groups(asked)
    drawn = np.random.default_rng(seed).permutation(len(asked))[:_RELEVANCE_LABELS]
    kernels = [(group.values[drawn] @ group.values[drawn].T).toarray() for group in groups]
    shares = relevances(kernels, quality[drawn, -1:] - quality[drawn, :-1])
    fitted = [_log_odds(groups, shares, quality[:, tier]) for tier in range(len(tiers))]
    weights = np.column_stack([coefficients for _, coefficients in fitted])
    return _model(asked, groups, tuple(tiers), _tuple([intercept for intercept, _ in fitted]), weights)


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Features of one kind, scaled so that a question's inner product with itself is about 1."""

    kind: Literal["shape", "terms", "tasks", "meaning"]
    names: tuple[str, ...]
    values: csr_array
    """(questions, features)"""
    divisor: float = 1.0
    """What all features were divided by, so that many of them count no more than few."""


def _groups(asked: Questions) -> list[_Group]:
    found = (_shape_group(asked), _term_group(asked), _task_group(asked), _meaning_group(asked))
    return [group for group in found if group is not None and group.names]


def _shape_group(asked: Questions) -> _Group:
    mean, spread = asked.shape.mean(axis=0), asked.shape.std(axis=0)
    kept = spread > _LEAST_SPREAD
    names = tuple(name for name, is_kept in zip(TRAITS, kept, strict=True) if is_kept)
    scaled = np.clip((asked.shape[:, kept] - mean[kept]) / spread[kept], -FURTHEST, FURTHEST)
    divisor = float(np.sqrt(max(1, len(names))))
    return _Group("shape", names, csr_array(scaled / divisor), divisor)


def _term_group(asked: Questions) -> _Group:
    known = vocabulary(asked, at_least=_TERM_QUESTIONS, at_most=_MOST_TERMS)
    return _Group("terms", tuple(known), term_matrix(asked, known))


def _task_group(asked: Questions) -> _Group | None:
    # One task that all share says no more than the intercept does.
    if len(set(asked.tasks)) < 2:
        return None
    names = tuple(sorted(set(asked.tasks) - {""}))
    told = np.array([[float(task == name) for name in names] for task in asked.tasks])
    return _Group("tasks", names, csr_array(told))


def _meaning_group(asked: Questions) -> _Group | None:
    if asked.vectors is None:
        return None
    centred = asked.vectors - asked.vectors.mean(axis=0)
    divisor = float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0
    return _Group("meaning", tuple(map(str, range(centred.shape[1]))), csr_array(centred / divisor), divisor)


def _log_odds(groups: Sequence[_Group], shares: FloatArray, scores: FloatArray) -> tuple[float, FloatArray]:
    """Fit one tier; return the intercept, and the weights of all groups' features one after the other.

    A share of the variance of probabilities is that share / p(1 - p) on the scale of log odds (the delta method), at
    the tier's mean p.
    """
    count, total = len(scores), float(scores.sum())
    # Add-half smoothing (Jeffreys) keeps the odds of a tier that is always right finite.
    mean = (total + 0.5) / (count + 1.0)
    if not groups or not 0.0 < total < count:
        return float(np.log(mean / (1.0 - mean))), np.zeros(sum(len(group.names) for group in groups))
    wide = np.sqrt(shares / (mean * (1.0 - mean)))
    values = hstack([group.values * width for group, width in zip(groups, wide, strict=True)], format="csr")
    model = LogisticRegression(C=1.0, solver="lbfgs", tol=1e-6, max_iter=1_000)
    # A score counts as so much of a right and the rest of a wrong answer.
    weights = np.concatenate((scores, 1.0 - scores))
    model.fit(vstack((values, values), format="csr"), np.repeat((1, 0), count), sample_weight=weights)
    widths = np.repeat([w / g.divisor for w, g in zip(wide, groups, strict=True)], [len(g.names) for g in groups])
    return float(model.intercept_[0]), np.asarray(model.coef_[0] * widths)


def _model(
    asked: Questions, groups: Sequence[_Group], tiers: tuple[str, ...], intercepts: Weights, weights: FloatArray
) -> LearnedRouteModel:
    """Hand the weights, (features, tiers), to what each belongs to."""
    ends = np.cumsum([len(group.names) for group in groups], dtype=np.intp)
    of = {
        group.kind: dict(zip(group.names, map(_tuple, part), strict=True))
        for group, part in zip(groups, np.split(weights, ends)[:-1], strict=True)
    }
    mean, spread = asked.shape.mean(axis=0), asked.shape.std(axis=0)
    rarity = vocabulary(asked, at_least=_TERM_QUESTIONS, at_most=_MOST_TERMS)
    return LearnedRouteModel(
        tiers,
        len(asked),
        intercepts,
        {
            name: Trait(_rounded(mean[TRAITS.index(name)]), _rounded(spread[TRAITS.index(name)]), one)
            for name, one in of.get("shape", {}).items()
        },
        {name: Term(_rounded(rarity[name]), one) for name, one in of.get("terms", {}).items()},
        of.get("tasks", {}),
        _embedding(asked, list(of.get("meaning", {}).values())),
    )


def _embedding(asked: Questions, weights: Sequence[Weights]) -> EmbeddingWeights | None:
    if asked.vectors is None:
        return None
    return EmbeddingWeights(asked.embedder, _tuple(asked.vectors.mean(axis=0)), tuple(zip(*weights, strict=True)))


def _tuple(values: Iterable[float]) -> Weights:
    return tuple(map(_rounded, values))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
