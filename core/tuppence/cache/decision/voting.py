"""What a question's neighbours say together: in a scope where many questions share few answers, the company that an
answer keeps says more than any one similarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tuppence.cache.decision.agreement import Evidence, weigh
from tuppence.cache.decision.differences import Comparison
from tuppence.cache.entries import Neighbour

__all__ = ["SUPPORTERS", "Vote", "vote_features", "votes"]

SUPPORTERS = 2
"""Other questions with the very same answer from which on a scope counts as one of standing answers."""
NEAR = 0.4
"""Cosine from which a question is one of those: where unrelated questions all got one refusal, most of them are further
off from the next, and their agreement says nothing about it. At .5 the streams of `tools/train_cache_votes.py` lost 3
hits in 100; of unrelated questions 26 % were served instead of 37 %."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What a question's neighbours say for one answer."""

    members: Sequence[Neighbour]
    """Those that have it, nearest first."""
    evidence: Evidence | None
    """None where they are too few to be heard."""


def votes(neighbours: Sequence[Neighbour]) -> list[Vote]:
    """Part neighbours by their answers, in the order of the nearest of each; who has no answer stands alone."""
    numbers: dict[object, int] = {}
    answers = [numbers.setdefault(one.entry.answer or id(one), len(numbers)) for one in neighbours]
    members: list[list[Neighbour]] = [[] for _ in numbers]
    for neighbour, answer in zip(neighbours, answers, strict=True):
        members[answer].append(neighbour)
    standing = [len(group) > SUPPORTERS and group[SUPPORTERS].similarity >= NEAR for group in members]
    evidence = weigh(neighbours, answers) if any(standing) else [None] * len(members)
    return [
        Vote(group, found if heard else None) for group, found, heard in zip(members, evidence, standing, strict=True)
    ]


def vote_features(evidence: Evidence, comparison: Comparison) -> dict[str, float]:
    """Return what the vote model weighs, for an answer and the question of it that the asked one is compared with."""
    return {**asdict(evidence), "unshared": _unshared(comparison)}


def _unshared(comparison: Comparison) -> float:
    own = comparison.only_first + comparison.only_second
    return own / (own + 2 * comparison.shared) if own else 0.0
