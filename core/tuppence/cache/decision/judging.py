"""May the answer of a stored question serve a new one? From similarity, differences and neighbours to a probability,
and a reason in words.

It knows nothing of stores and thresholds: what is safe enough is passed in, and may be learned per scope. It must never
let similarity outvote a difference that changes the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.cache.decision.differences import Comparison, compare
from tuppence.cache.decision.models import probability
from tuppence.cache.decision.pairing import pair_features
from tuppence.cache.decision.reading import Reading, read
from tuppence.cache.decision.voting import SUPPORTERS, Vote, vote_features, votes
from tuppence.cache.entries import Entry, Neighbour

__all__ = ["SAFE_THRESHOLD", "Judgement", "judge", "opposed"]

SAFE_THRESHOLD = 0.9
"""What is served where nothing was learned from audits. Of pairs that the models had not seen it served 282 of 2,192
from Quora, 24 of them labelled as other questions (of such labels about one in four was right, read by hand), 3 of 262
medical ones, rightly, 236 of 359 with a courtesy or a slip, rightly, and 6 of 610 with a random word replaced.
`tools/train_cache_decision.py` prints these figures, `tools/train_cache_votes.py` those of questions with standing
answers."""
EXPLAINED = frozenset({"", "how", "why"})
"""What is asked where the answer explains something, rather than naming a value or saying yes or no."""
CONSIDERED = 5
"""Neighbours that are compared word by word: a true repeat is hardly ever behind five traps."""
LEAST_SIMILARITY = 0.5
"""What is further off is refused unread: at this distance no pair of questions is likely enough, no vote is heard."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a stored answer serves, and why."""

    serve: bool
    probability: float
    """That the answer serves the new question too."""
    reason: str
    entry: Entry | None
    """The one to serve, or the nearest one that was refused."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One answer, by the nearest question that got it, with what speaks for and against it."""

    neighbour: Neighbour
    probability: float
    opposed: str
    vetoed: bool
    vote: Vote


def judge(question: str, neighbours: Sequence[Neighbour], *, threshold: float) -> Judgement:
    """Decide whether one of `neighbours`, nearest first and all of one scope, answers `question`.

    Serves the likeliest of them if its probability is at least `threshold`.
    """
    if not neighbours:
        return Judgement(False, 0.0, "nothing stored in this scope", None)
    nearest = neighbours[0]
    if nearest.similarity < LEAST_SIMILARITY:
        reason = f"nearest is {_quoted(nearest)}, too far (similarity {nearest.similarity:.2f})"
        return Judgement(False, 0.0, reason, nearest.entry)
    reading = read(question)
    best = max((_case(reading, vote) for vote in votes(neighbours)[:CONSIDERED]), key=lambda case: case.probability)
    if best.vetoed:
        return Judgement(False, 0.0, f"{best.opposed}; nearest is {_quoted(nearest)}", nearest.entry)
    serve = best.probability >= threshold
    reason = _served(best) if serve else _refused(best, threshold)
    return Judgement(serve, best.probability, reason, best.neighbour.entry)


def opposed(first: str, second: str) -> str | None:
    """Name the difference that two texts cannot both be right with, such as `number: 14 against 40`, or None."""
    decisive = compare(read(first), read(second)).decisive
    return None if decisive is None else str(decisive)


@dataclass(frozen=True, slots=True)
class Alike:
    """The question of an answer that the asked one is compared with."""

    neighbour: Neighbour
    comparison: Comparison
    serves: bool
    """Nothing that differs forbids one answer for both."""


def nearest_alike(reading: Reading, members: Sequence[Neighbour]) -> Alike:
    """Find the nearest of an answer's questions that differs in nothing decisive, else the nearest.

    The answer is the same: what counts is whether any of its questions is the asked one.
    """
    others = [read(member.entry.question) for member in members[:CONSIDERED]]
    for neighbour, other in zip(members, others, strict=False):
        if (comparison := compare(reading, other)).decisive is None:
            return Alike(neighbour, comparison, True)
    return Alike(members[0], compare(reading, others[0]), _immaterial(reading, others))


def _case(reading: Reading, vote: Vote) -> _Case:
    alike = nearest_alike(reading, vote.members)
    neighbour, comparison = alike.neighbour, alike.comparison
    against = str(comparison.differences[0]) if comparison.differences else ""
    if not alike.serves:
        return _Case(neighbour, 0.0, against, True, vote)
    likely = 0.0 if comparison.decisive else probability(*pair_features(neighbour.similarity, comparison))
    if vote.evidence is not None:
        # That others got this answer too never speaks against it.
        likely = max(likely, probability("vote", vote_features(vote.evidence, comparison)))
    return _Case(neighbour, likely, against, False, vote)


def _immaterial(reading: Reading, members: Sequence[Reading]) -> bool:
    """Tell whether what differs changes nothing here: questions that differ decisively got the very same explanation.

    A short answer, such as "yes" or "31", is the same for many questions without covering the next, so what asks for
    one is never served across a difference.
    """
    if reading.asks not in EXPLAINED:
        return False
    return sum(compare(members[0], other).decisive is not None for other in members[1:]) >= SUPPORTERS


def _quoted(neighbour: Neighbour) -> str:
    question = " ".join(neighbour.entry.question.split())
    return f"'{question if len(question) <= 60 else question[:57] + '...'}'"


def _served(case: _Case) -> str:
    differs = f"differs in {case.opposed}" if case.opposed else "nothing differs"
    return f"serves {_quoted(case.neighbour)} (similarity {case.neighbour.similarity:.2f}, {differs}{_backed(case)})"


def _backed(case: _Case) -> str:
    if (evidence := case.vote.evidence) is None:
        return ""
    others = len(case.vote.members) - 1
    return (
        f", {others} more near questions have its answer: {evidence.say:.2f} against {evidence.rival:.2f} for another"
    )


def _refused(case: _Case, threshold: float) -> str:
    differs = case.opposed or "nothing differs"
    return (
        f"{differs}; nearest is {_quoted(case.neighbour)} (similarity {case.neighbour.similarity:.2f}, "
        f"probability {case.probability:.3f} below {threshold:.3f}{_backed(case)})"
    )
