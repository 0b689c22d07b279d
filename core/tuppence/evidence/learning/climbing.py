"""What a ladder with a learned check would have given on labelled questions, at every threshold at once. The replay
runs the flow itself and is slower; a test holds that both decide alike.
"""

from __future__ import annotations

import numpy as np

from tuppence.checks.learned import LearnedModel, Stage, Weighing
from tuppence.errors import ConfigError
from tuppence.evidence.certificate.ladder import Ladder
from tuppence.evidence.learning.labelled import FloatArray, Labelled, Table

STRICTEST = np.nextafter(1.0, 2.0)
"""Above every score: the strongest tier always answers, and nothing below it is asked."""
_STEPS = 50
_DIGITS = 9


def scores(model: LearnedModel, labels: Labelled) -> FloatArray:
    """Score the answers of all tiers below the strongest, (questions, tiers - 1), as the check would on the way up."""
    columns = []
    for position, tier in enumerate(labels.tiers[:-1]):
        table, stage = _stage(model, labels, position, tier)
        loss = np.maximum(0.0, _probability(table, stage.strongest_right) - _probability(table, stage.right))
        columns.append(1.0 / (1.0 + loss * model.unit_usd / np.exp(table.weigh(stage.onward_usd))))
    return np.column_stack(columns)


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
    return _climbed(labels, scores(model, labels), tried, labels.quality)


def expected_ladder(model: LearnedModel, labels: Labelled, tried: FloatArray) -> Ladder:
    """Climb as `ladder` does, with the model's own probabilities for qualities: less noise, and the model is believed.

    Good for choosing a threshold that meets a target on average; no ground for a promise.
    """
    stages = [_stage(model, labels, position, tier) for position, tier in enumerate(labels.tiers[:-1])]
    right = [_probability(table, stage.right) for table, stage in stages]
    last, known = stages[-1]
    expected = np.column_stack([*right, _probability(last, known.strongest_right)])
    return _climbed(labels, scores(model, labels), tried, expected)


def _climbed(labels: Labelled, found: FloatArray, tried: FloatArray, quality: FloatArray) -> Ladder:
    count, below = found.shape
    got, paid = np.empty((len(tried), count)), np.empty((len(tried), count))
    everyone = np.arange(count)
    for row, threshold in enumerate(tried):
        if threshold >= STRICTEST:
            got[row], paid[row] = quality[:, -1], labels.cost_usd[:, -1]
            continue
        passes = np.column_stack((found >= threshold, np.ones(count, dtype=bool)))
        answered = passes.argmax(axis=1)
        got[row] = quality[everyone, answered]
        asked = np.arange(below + 1) <= answered[:, None]
        consulted = np.minimum(answered + 1, below) * labels.helper_usd
        paid[row] = (labels.cost_usd * asked).sum(axis=1) + consulted
    return Ladder(tried, got, paid, quality[:, -1], labels.cost_usd[:, -1])


def _probability(table: Table, log_odds: Weighing) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(table.weigh(log_odds), -50.0, 50.0))))


def _stage(model: LearnedModel, labels: Labelled, position: int, tier: str) -> tuple[Table, Stage]:
    other = labels.helper if labels.helper is not None else (labels.tiers[position - 1] if position else None)
    stage = model.stage(tier, other)
    table = next((t for t in labels.stages if (t.tier, t.other) == (tier, other)), None)
    if stage is None or table is None:
        raise ConfigError(f"the model was learned on {model.tiers} with helper {model.helper}, not on {labels.tiers}")
    return table, stage
