"""May the answer of a stored question serve a new one? From similarity, differences and neighbours to a probability,
and a reason in words.

It knows nothing of stores and thresholds: what is safe enough is passed in, and may be learned per scope. It must never
let similarity outvote a difference that changes the answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tuppence.cache.decision.differences import Comparison, compare
from tuppence.cache.decision.personal import unshareable
from tuppence.cache.decision.reading import Reading, read
from tuppence.cache.entries import Entry, Neighbour

__all__ = [
    "SAFE_THRESHOLD",
    "Judgement",
    "Vote",
    "judge",
    "opposed",
    "pair_features",
    "unshareable",
    "vote_features",
    "votes",
]

SAFE_THRESHOLD = 0.9
"""What is served where nothing was learned from audits. On questions that the models had not seen it served 0 of 11
traps that no rule had stopped, 0 of 117 with another question word, 2 of 204 with a random word replaced, and 3,637 of
8,751 in streams of 64 intents, 3.1% of them wrongly; `tools/train_cache_decision.py` prints these figures."""
EXPLAINED = frozenset({"", "how", "why"})
"""What is asked where the answer explains something, rather than naming a value or saying yes or no."""
CONSIDERED = 5
"""Neighbours that are compared word by word: a true repeat is hardly ever behind five traps."""
LEAST_SIMILARITY = 0.6
"""What is further off is refused unread. Chosen by hand: in a stream of 64 intents, .5 served 4 questions in 100
more, nearly as well, but where unrelated questions all got one refusal, their agreement says nothing about the next."""
VOTE_SHARPNESS = 20.0
"""How fast a neighbour's say falls with its distance: e^(20 x difference of the cosines), so that one that is .035
further off has half the say."""
NEIGHBOURS_VOTING = 20
"""Neighbours that the vote was learned with; more of them add strangers, fewer hide whether those near agree."""
SUPPORTERS = 2
"""Other questions with the very same answer from which on a scope counts as one of standing answers."""
_MANY = 3  # beyond it, one word more says nothing more


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
    supporters: int


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


def _case(reading: Reading, vote: Vote) -> _Case:
    supporters = len(vote.members) - 1
    compared = [(member, read(member.entry.question)) for member in vote.members[:CONSIDERED]]
    neighbour, other = compared[0]
    comparison = compare(reading, other)
    for member, its_reading in compared[1:] if comparison.decisive else ():
        # The answer is the same: what counts is whether any of its questions is this one.
        if not (it := compare(reading, its_reading)).decisive:
            neighbour, other, comparison = member, its_reading, it
            break
    against = str(comparison.differences[0]) if comparison.differences else ""
    if comparison.decisive and not _immaterial(reading, [its_reading for _, its_reading in compared]):
        return _Case(neighbour, 0.0, against, True, supporters)
    if supporters < SUPPORTERS:
        model, features = pair_features(neighbour.similarity, comparison)
    else:
        model, features = "vote", vote_features(vote, comparison)
    return _Case(neighbour, _probability(model, features), against, False, supporters)


def _immaterial(reading: Reading, members: Sequence[Reading]) -> bool:
    """Tell whether what differs changes nothing here: questions that differ decisively got the very same explanation.

    A short answer, such as "yes" or "31", is the same for many questions without covering the next, so what asks for
    one is never served across a difference.
    """
    if reading.asks not in EXPLAINED:
        return False
    return sum(compare(members[0], other).decisive is not None for other in members[1:]) >= SUPPORTERS


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


def closeness(similarity: float) -> float:
    """Return -ln(distance): from .98 to .99 is as far as from .80 to .90. The 0.01 is int8's own noise."""
    return -math.log(1.01 - min(similarity, 1.0))


def _probability(model: str, features: Mapping[str, float]) -> float:
    weights: Mapping[str, float] = _models()[model]["weights"]
    score = _models()[model]["intercept"] + sum(weights[name] * value for name, value in features.items())
    return float(1.0 / (1.0 + math.exp(-score)))


@cache
def _models() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("tuppence") / "data" / "cache_decision.json").read_text("utf-8"))
    return found


def _quoted(neighbour: Neighbour) -> str:
    question = " ".join(neighbour.entry.question.split())
    return f"'{question if len(question) <= 60 else question[:57] + '...'}'"


def _served(case: _Case) -> str:
    differs = f"differs in {case.opposed}" if case.opposed else "nothing differs"
    backed = f", {case.supporters} near questions have the same answer" if case.supporters >= SUPPORTERS else ""
    return f"serves {_quoted(case.neighbour)} (similarity {case.neighbour.similarity:.2f}, {differs}{backed})"


def _refused(case: _Case, threshold: float) -> str:
    differs = case.opposed or "nothing differs"
    return (
        f"{differs}; nearest is {_quoted(case.neighbour)} (similarity {case.neighbour.similarity:.2f}, "
        f"probability {case.probability:.3f} below {threshold:.3f})"
    )
