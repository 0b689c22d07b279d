"""What two questions say for and against one answer for both, without regard to their neighbours."""

from __future__ import annotations

import math

from tuppence.cache.decision.differences import Comparison

__all__ = ["closeness", "pair_features"]

_MANY = 3  # beyond it, one word more says nothing more


def pair_features(similarity: float, comparison: Comparison) -> tuple[str, dict[str, float]]:
    """Return which model weighs two questions without regard to their neighbours, and what it weighs.

    `alike` knows those whose words all have a counterpart, `differing` the others: there similarity must vouch for the
    words, here it says little more.
    """
    features = {
        "closeness": closeness(similarity),
        "question": float(any(d.kind == "question" for d in comparison.differences)),
    }
    if not comparison.only_first and not comparison.only_second:
        return "alike", {**features, "grammar": float(min(comparison.grammar, _MANY))}
    return "differing", {
        **features,
        "replaced": float(min(comparison.only_first, comparison.only_second, _MANY)),
        # One word among many hardly moves the similarity of long texts.
        "drowned": math.log(1.0 + comparison.shared),
    }


def closeness(similarity: float) -> float:
    """Return -ln(distance): from .98 to .99 is as far as from .80 to .90. The 0.01 is int8's own noise."""
    return -math.log(1.01 - min(similarity, 1.0))
