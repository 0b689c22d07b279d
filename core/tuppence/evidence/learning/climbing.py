"""What a ladder with a learned check would have given on labelled questions, at every threshold at once. The replay
runs the flow itself and is slower; a test holds that both decide alike.
"""

from __future__ import annotations

import numpy as np

from tuppence.checks.learned import LearnedModel
from tuppence.evidence.certificate.ladder import Ladder
from tuppence.evidence.learning.labelled import FloatArray, Labelled
from tuppence.evidence.learning.scoring import BoolArray, Scored, scored

STRICTEST = np.nextafter(1.0, 2.0)
"""Above every score: the strongest tier always answers, and nothing below it is asked."""
_SHARES = np.linspace(0.005, 0.995, 199)
_DIGITS = 9


def scores(model: LearnedModel, labels: Labelled) -> FloatArray:
    """Return the threshold up to which each answer below the strongest tier's is kept, (questions, tiers - 1)."""
    return scored(model, labels).kept_up_to


def thresholds(found: FloatArray) -> FloatArray:
    """Choose thresholds to try, strictest first: the strongest tier alone, quantiles of the scores, and any answer.

    Where traits are few, many answers have one score: a threshold lies just below it, so that the last bits of a sum,
    which come out otherwise in another place, decide nothing.
    """
    quantiles = np.quantile(found.max(axis=1), _SHARES)
    inner = np.unique(quantiles.round(_DIGITS)) - 0.5 * 10.0**-_DIGITS
    return np.concatenate(([STRICTEST], inner[::-1], [0.0]))


def asked(model: LearnedModel, labels: Labelled, tried: FloatArray) -> BoolArray:
    """Say which tiers are asked for an answer, (thresholds, questions, tiers); the last that is asked answers."""
    return _asked(labels, scored(model, labels), tried)


def ladder(model: LearnedModel, labels: Labelled, tried: FloatArray) -> Ladder:
    """Climb with each threshold in turn: quality and cost of every question, by what was recorded."""
    return _climbed(labels, scored(model, labels), tried)


def expected_ladder(model: LearnedModel, labels: Labelled, tried: FloatArray) -> Ladder:
    """Climb as `ladder` does, with the model's own probabilities for qualities: less noise, and the model is believed.

    Good for choosing a threshold that meets a target on average; no ground for a promise.
    """
    return _climbed(labels, scored(model, labels), tried, believed=True)


def _asked(labels: Labelled, found: Scored, tried: FloatArray) -> BoolArray:
    threshold = tried[:, None, None]
    keeps = found.kept_up_to >= threshold
    climbs = ~keeps if labels.helper is not None else found.undecided(threshold)
    drafted = np.ones_like(keeps)
    drafted[..., 1:] = np.logical_and.accumulate(climbs[..., :-1], axis=2)
    drafted &= threshold < STRICTEST
    kept = (drafted & keeps).any(axis=2, keepdims=True)
    return np.concatenate((drafted, ~kept), axis=2)


def _climbed(labels: Labelled, found: Scored, tried: FloatArray, *, believed: bool = False) -> Ladder:
    asked, threshold = _asked(labels, found, tried), tried[:, None, None]
    quality = _believed(found, threshold) if believed else labels.quality
    last = asked.shape[2] - 1 - asked[..., ::-1].argmax(axis=2, keepdims=True)
    answers = np.take_along_axis(np.broadcast_to(quality, asked.shape), last, axis=2)[..., 0]
    opinions = (asked[..., :-1] & found.undecided(threshold)).sum(axis=2)
    usd = (asked * labels.cost_usd).sum(axis=2) + opinions * labels.helper_usd
    return Ladder(tried, answers, usd, labels.quality[:, -1], labels.cost_usd[:, -1])


def _believed(found: Scored, threshold: FloatArray) -> FloatArray:
    right, strongest = found.told("right", threshold), found.told("strongest_right", threshold)[..., -1:]
    return np.concatenate((right, strongest), axis=-1)
