"""What a ladder with a learned check would have given on labelled questions, at every threshold at once. The replay
runs the flow itself and is slower; a test holds that both decide alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuppence.checks.learned import LEAST_AGREEMENT, LearnedModel, Stage, Weighing
from tuppence.errors import ConfigError
from tuppence.evidence.certificate.ladder import Ladder
from tuppence.evidence.learning.labelled import FloatArray, Labelled, Table

BoolArray = npt.NDArray[np.bool_]

STRICTEST = np.nextafter(1.0, 2.0)
"""Above every score: the strongest tier always answers, and nothing below it is asked."""
_STEPS = 50
_DIGITS = 9


def scores(model: LearnedModel, labels: Labelled) -> FloatArray:
    """Score the answers of all tiers below the strongest, (questions, tiers - 1), as the check would on the way up."""
    return _judged(model, labels).scores


def thresholds(found: FloatArray) -> FloatArray:
    """Choose thresholds to try, strictest first: the strongest tier alone, quantiles of the scores, and any answer.

    Where traits are few, many answers have one score: a threshold lies just below it, so that the last bits of a sum,
    which come out otherwise in another place, decide nothing.
    """
    quantiles = np.quantile(found.max(axis=1), np.linspace(0.02, 0.98, _STEPS))
    inner = np.unique(quantiles.round(_DIGITS)) - 0.5 * 10.0**-_DIGITS
    return np.concatenate(([STRICTEST], inner[::-1], [0.0]))


def ladder(model: LearnedModel, labels: Labelled, tried: FloatArray) -> Ladder:
    """Climb with each threshold in turn: quality and cost of every question, by what was recorded."""
    return _climbed(labels, _judged(model, labels), tried, labels.quality)


def expected_ladder(model: LearnedModel, labels: Labelled, tried: FloatArray) -> Ladder:
    """Climb as `ladder` does, with the model's own probabilities for qualities: less noise, and the model is believed.

    Good for choosing a threshold that meets a target on average; no ground for a promise.
    """
    judged = _judged(model, labels)
    expected = np.column_stack((judged.right, judged.strongest_right[:, -1]))
    return _climbed(labels, judged, tried, expected)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """What the check says of all answers below the strongest; each (questions, tiers - 1)."""

    scores: FloatArray
    right: FloatArray
    strongest_right: FloatArray
    opinion_usd: FloatArray
    """What the helper cost beside each; 0 where it was not worth asking."""


def _judged(model: LearnedModel, labels: Labelled) -> _Judged:
    tiers = [_tier_judged(model, labels, position) for position in range(len(labels.tiers) - 1)]
    return _Judged(*(np.column_stack(parts) for parts in zip(*tiers, strict=True)))


def _tier_judged(model: LearnedModel, labels: Labelled, position: int) -> tuple[FloatArray, ...]:
    tier = labels.tiers[position]
    if labels.helper is None:
        before = labels.tiers[position - 1] if position else None
        return *_said(model, *_stage(model, labels, tier, before)), np.zeros(len(labels))
    table, alone = _stage(model, labels, tier, None)
    asked = _worth_asking(table, alone)
    beside = _said(model, *_stage(model, labels, tier, labels.helper))
    found = tuple(np.where(asked, *both) for both in zip(beside, _said(model, table, alone), strict=True))
    return *found, np.where(asked, labels.helper_usd, 0.0)


def _said(model: LearnedModel, table: Table, stage: Stage) -> tuple[FloatArray, FloatArray, FloatArray]:
    right, strongest = _probability(table, stage.right), _probability(table, stage.strongest_right)
    loss = np.maximum(0.0, strongest - right)
    return 1.0 / (1.0 + loss * model.unit_usd / np.exp(table.weigh(stage.onward_usd))), right, strongest


def _worth_asking(table: Table, alone: Stage) -> BoolArray:
    if alone.opinion is None:
        return np.ones(len(table.values), dtype=bool)
    agrees = np.maximum(LEAST_AGREEMENT, _probability(table, alone.opinion.agrees))
    return np.asarray(agrees * np.exp(table.weigh(alone.onward_usd)) > np.exp(table.weigh(alone.opinion.usd)))


def _climbed(labels: Labelled, judged: _Judged, tried: FloatArray, quality: FloatArray) -> Ladder:
    count, below = judged.scores.shape
    got, paid = np.empty((len(tried), count)), np.empty((len(tried), count))
    everyone = np.arange(count)
    spent = np.cumsum(labels.cost_usd, axis=1)
    spent[:, :below] += np.cumsum(judged.opinion_usd, axis=1)
    spent[:, below] += judged.opinion_usd.sum(axis=1)
    for row, threshold in enumerate(tried):
        if threshold >= STRICTEST:
            got[row], paid[row] = quality[:, -1], labels.cost_usd[:, -1]
            continue
        passes = np.column_stack((judged.scores >= threshold, np.ones(count, dtype=bool)))
        answered = passes.argmax(axis=1)
        got[row], paid[row] = quality[everyone, answered], spent[everyone, answered]
    return Ladder(tried, got, paid, quality[:, -1], labels.cost_usd[:, -1])


def _probability(table: Table, log_odds: Weighing) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(table.weigh(log_odds), -50.0, 50.0))))


def _stage(model: LearnedModel, labels: Labelled, tier: str, other: str | None) -> tuple[Table, Stage]:
    stage, table = model.stage(tier, other), labels.stage(tier, other)
    if stage is None or table is None:
        raise ConfigError(f"the model was learned on {model.tiers} with helper {model.helper}, not on {labels.tiers}")
    return table, stage
