"""What two questions say for and against one answer for both, without regard to their neighbours.

It names what is weighed and knows no weights. It must not depend on which of the two was asked first.
"""

from __future__ import annotations

import math

from tuppence.cache.decision.differences import Comparison

__all__ = ["closeness", "pair_features"]

_MANY = 4  # beyond it, one sentence more says nothing more


def pair_features(similarity: float, comparison: Comparison) -> tuple[str, dict[str, float]]:
    """Return which model weighs two questions without regard to their neighbours, and what it weighs.

    `extended` knows those of which one at most has words of its own, `reworded` those where words stand against words:
    there a word may be the other's synonym or its rival, and in a long text similarity hardly tells.
    """
    near = closeness(similarity)
    if comparison.only_first and comparison.only_second:
        # One word among many hardly moves the similarity of long texts.
        drowned = math.log(1.0 + comparison.shared)
        return "reworded", {
            "closeness": near, "drowned": drowned, "sentences": float(min(comparison.sentences, _MANY))
        }  # fmt: skip
    added = float(comparison.only_first + comparison.only_second > 0)
    return "extended", {"closeness": near, "added": added, "pointing": float(comparison.pointing)}


def closeness(similarity: float) -> float:
    """Return -ln(distance): from .98 to .99 is as far as from .80 to .90. The 0.01 is int8's own noise."""
    return -math.log(1.01 - min(similarity, 1.0))
