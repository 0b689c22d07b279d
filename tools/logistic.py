"""Logistic regression for the tools that train the semantic cache's models: plain numbers in, plain numbers out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

RIDGE = 1.0
"""Strength of the pull of every weight to 0, as in the usual logistic regression with C = 1."""


class Example(NamedTuple):
    """What a model learns from."""

    features: Mapping[str, float]
    label: bool
    weight: float = 1.0


def probability(model: Mapping[str, Any], features: Mapping[str, float]) -> float:
    score = model["intercept"] + sum(weight * features[name] for name, weight in model["weights"].items())
    return float(1.0 / (1.0 + np.exp(-score)))


def fitted(examples: Sequence[Example], speaks_for: Collection[str]) -> dict[str, Any]:
    """Fit a logistic regression, leaving out what would speak for an answer though it is a difference or a doubt, or
    against it though it is in `speaks_for`: chance in the data, or the way in which its examples were found."""
    names = list(examples[0].features)
    while True:
        intercept, *weights = newton(examples, names)
        found = dict(zip(names, weights, strict=True))
        absurd = [name for name in names if (found[name] < 0) == (name in speaks_for)]
        if not absurd:
            return {"intercept": intercept, "weights": {name: found.get(name, 0.0) for name in examples[0].features}}
        names.remove(max(absurd, key=lambda name: abs(found[name])))


def newton(examples: Sequence[Example], names: Sequence[str]) -> list[float]:
    """Return intercept and weights of a logistic regression with a ridge: some steps on a convex function."""
    x = np.array([[1.0, *(example.features[name] for name in names)] for example in examples])
    y = np.array([example.label for example in examples], float)
    weight = np.array([example.weight for example in examples])
    ridge = np.diag([0.0] + [RIDGE] * len(names))
    beta = np.zeros(len(names) + 1)
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-x @ beta))
        gradient = x.T @ (weight * (y - p)) - ridge @ beta
        curvature = (x * (weight * p * (1.0 - p))[:, None]).T @ x + ridge
        beta += np.linalg.solve(curvature, gradient)
    return [round(float(value), 4) for value in beta]
