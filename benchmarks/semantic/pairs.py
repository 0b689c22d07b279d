"""Two questions and one of them in the cache: is it served, and should it have been?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from semantic.data import Embedded, Row
from tuppence.cache.calibration import wilson
from tuppence.cache.decision import SAFE_THRESHOLD, judge
from tuppence.effects import Entry, Neighbour

_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
_COSINES = (0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)


class Judged(NamedTuple):
    """One pair."""

    similarity: float
    """Their cosine."""
    probability: float
    """What the decision gave with `a` alone in the cache."""
    same: bool
    """The label."""


def judged(pairs: Sequence[Row], embedded: Embedded) -> list[Judged]:
    found = []
    for pair in pairs:
        entry = Entry("a", "s", pair["a"], embedded[pair["a"]], b"")
        similarity = float(embedded[pair["a"]] @ embedded[pair["b"]])
        judgement = judge(pair["b"], [Neighbour(entry, similarity)], threshold=SAFE_THRESHOLD)
        found.append(Judged(similarity, judgement.probability, bool(pair["same"])))
    return found


def figures(served: Sequence[bool], same: Sequence[bool]) -> Row:
    """Count what was served of each kind, in the order of the pairs; where all are traps there is no more to say."""
    right = sum(was and label for was, label in zip(served, same, strict=True))
    duplicates, hits = sum(same), sum(served)
    traps = {"traps_served": (hits - right) / max(1, len(same) - duplicates), "n": len(same)}
    if not duplicates:
        return traps
    return {"duplicates_served": right / duplicates, "false_share": (hits - right) / max(1, hits), **traps}


def own_figures(found: Sequence[Judged]) -> Row:
    return figures([one.probability >= SAFE_THRESHOLD for one in found], [one.same for one in found])


def sweep(found: Sequence[Judged]) -> list[Row]:
    """Ours and plain cosine at several thresholds: share of the duplicates served, and how much of it was wrong."""
    same = sum(one.same for one in found)
    table = []
    for by, column, thresholds in (("decision", 1, _THRESHOLDS), ("cosine", 0, _COSINES)):
        for threshold in thresholds:
            served = [one.same for one in found if one[column] >= threshold]
            wrong = len(served) - sum(served)
            table.append({
                "by": by, "threshold": threshold, "correct": sum(served) / max(1, same),
                "false_share": wrong / max(1, len(served)), "wilson95": wilson(wrong, len(served)),
            })  # fmt: skip
    return table
