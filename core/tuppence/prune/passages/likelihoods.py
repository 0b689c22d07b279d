"""How likely each passage and each sentence is to hold what a question is after: what every scorer returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Shares of one certainty: the sentences' sum to 1, and so do the passages'."""

    sentences: tuple[float, ...]
    """In the order of `Material.sentences`."""
    passages: tuple[float, ...]
    """In the order of `Material.sources`: how likely each is to be needed."""
    unsure: str = ""
    """Why these numbers say little, in words; empty where they can be relied on."""


def shares(scores: Sequence[float]) -> tuple[float, ...]:
    """Return `scores`, none below 0, as shares of their sum; equal shares where all are 0."""
    total = sum(scores)
    if not total > 0 or not math.isfinite(total):
        return tuple(1 / len(scores) for _ in scores)
    return tuple(score / total for score in scores)


def softmax(scores: Sequence[float]) -> tuple[float, ...]:
    """Return what the conditional logit model makes of scores: shares that grow exponentially with them."""
    best = max(scores, default=0.0)
    return shares([math.exp(score - best) for score in scores])


def weighed(weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    """Add up `features` by `weights`; a feature without a weight does not count."""
    return sum(value * weights[name] for name, value in features.items() if name in weights)


def log_share(share: float) -> float:
    """Return a share's logarithm as the models know it: below a thousandth nothing changes any more."""
    return math.log(share + 1e-3)
