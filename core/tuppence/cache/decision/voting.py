"""What a question's neighbours say together: in a scope where many questions share few answers, the company that an
answer keeps says more than any one similarity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.cache.decision.differences import Comparison
from tuppence.cache.entries import Neighbour

__all__ = ["NEIGHBOURS_VOTING", "SUPPORTERS", "Vote", "vote_features", "votes"]

VOTE_SHARPNESS = 20.0
"""How fast a neighbour's say falls with its distance: e^(20 x difference of the cosines), so that one that is .035
further off has half the say."""
NEIGHBOURS_VOTING = 20
"""Neighbours that the vote was learned with; more of them add strangers, fewer hide whether those near agree."""
SUPPORTERS = 2
"""Other questions with the very same answer from which on a scope counts as one of standing answers."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What a question's neighbours say for one answer."""

    members: Sequence[Neighbour]
    """Those that have it, nearest first."""
    share: float
    """Their part of all say, in (0, 1]."""
    second: float
    """The part of the strongest other answer."""


def votes(neighbours: Sequence[Neighbour]) -> list[Vote]:
    """Part neighbours by their answers, in the order of the nearest of each; who has no answer stands alone."""
    nearest = neighbours[0].similarity
    members: dict[object, list[Neighbour]] = {}
    say: dict[object, float] = {}
    for neighbour in neighbours:
        answer = neighbour.entry.answer or id(neighbour)
        members.setdefault(answer, []).append(neighbour)
        weight = math.exp(VOTE_SHARPNESS * (neighbour.similarity - nearest))
        say[answer] = say.get(answer, 0.0) + weight
    total = sum(say.values())
    first, second = sorted([*say.values(), 0.0], reverse=True)[:2]
    return [
        Vote(group, say[answer] / total, (second if say[answer] == first else first) / total)
        for answer, group in members.items()
    ]


def vote_features(vote: Vote, comparison: Comparison) -> dict[str, float]:
    """Return what the vote model weighs: a scope where many questions share few answers."""
    return {
        "share": vote.share,
        "doubt": math.log(1.01 - vote.share),
        "second": vote.second,
        "supporters": math.log(len(vote.members)),
        "unshared": _unshared(comparison),
        "opposed": float(comparison.decisive is not None),
    }


def _unshared(comparison: Comparison) -> float:
    words = 2 * comparison.shared + comparison.only_first + comparison.only_second
    return (words - 2 * comparison.shared) / words if words else 0.0
