"""What a learned check says of labelled answers, of all questions at once: its own arithmetic, on arrays. Who is asked
in the end is `climbing`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt

from tuppence.checks.learned import Ahead, LearnedModel, Outlook, Prospect, Stage, Weighing, limits, score
from tuppence.errors import ConfigError
from tuppence.evidence.learning.labelled import FloatArray, Labelled, Table

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What is said of answers with one set of traits; arrays of (questions, tiers - 1)."""

    scores: FloatArray
    right: FloatArray
    """Probabilities, as all are here."""
    strongest_right: FloatArray
    keep: FloatArray
    """Thresholds up to which an answer is kept and nobody else asked,"""
    straight: FloatArray
    """and above which it is not kept, and nobody else asked before the strongest tier. Between them somebody is."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What the check says of all answers below the strongest."""

    alone: Told
    """Without the helper's opinion, and with that of the tier before."""
    beside: Told | None
    """With the helper's opinion; None without a helper."""

    @property
    def kept_up_to(self) -> FloatArray:
        """Return the threshold up to which each answer is kept; with a helper its opinion decides between the two."""
        if self.beside is None:
            return self.alone.keep
        return np.clip(self.beside.scores, self.alone.keep, self.alone.straight)

    def undecided(self, threshold: FloatArray) -> BoolArray:
        """Say where asking somebody else is worth its price; thresholds (..., 1, 1), as everywhere here."""
        return np.asarray((self.alone.keep < threshold) & (threshold <= self.alone.straight))

    def told(self, name: Literal["scores", "right", "strongest_right"], threshold: FloatArray) -> FloatArray:
        """Return what is said where the helper is asked only if that is worth its price."""
        alone: FloatArray = getattr(self.alone, name)
        return alone if self.beside is None else np.where(self.undecided(threshold), getattr(self.beside, name), alone)


def scored(model: LearnedModel, labels: Labelled) -> Scored:
    """Hold the answers of all tiers below the strongest against the model; raises `ConfigError` for other tiers."""
    drafting = labels.tiers[:-1]
    if labels.helper is not None:
        return Scored(
            _together([_told(model, labels, tier, None) for tier in drafting]),
            _together([_told(model, labels, tier, labels.helper) for tier in drafting]),
        )
    before = (None, *drafting)
    return Scored(_together([_told(model, labels, *pair) for pair in zip(drafting, before, strict=False)]), None)


def _told(model: LearnedModel, labels: Labelled, tier: str, other: str | None) -> Told:
    stage, table = model.stage(tier, other), labels.table(tier, other)
    if stage is None:
        raise ConfigError(f"the model was learned on {model.tiers} with helper {model.helper}, not on {labels.tiers}")
    onward = np.exp(table.weigh(stage.onward_usd))
    if stage.ahead is None:
        right, strongest = _probabilities(table, stage)
        told = zip(strongest - right, onward, strict=True)
        alone = np.array([score(loss, onward_usd=usd, unit_usd=model.unit_usd) for loss, usd in told])
        return Told(alone, right, strongest, alone, alone)
    right, strongest = _probabilities(table, stage) if model.helper is None else _mixed(table, stage.ahead)
    asking = zip(strongest - right, _prospects(table, stage.ahead), onward, strict=True)
    found = [limits(loss, prospect, onward_usd=usd, unit_usd=model.unit_usd) for loss, prospect, usd in asking]
    keep, alone, straight = np.array(found).T
    return Told(alone, right, strongest, keep, straight)


def _prospects(table: Table, ahead: Ahead) -> list[Prospect]:
    usd, alike = np.exp(table.weigh(ahead.usd)), _probability(table, ahead.alike)
    losses = [strongest - right for right, strongest in (_probabilities(table, one) for one in _outlooks(ahead))]
    return [Prospect(*one) for one in zip(usd, alike, *losses, strict=True)]


def _mixed(table: Table, ahead: Ahead) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities that an answer is right, and that the strongest tier's is, whatever the helper says."""
    alike = _probability(table, ahead.alike)
    if_alike, if_not = (_probabilities(table, one) for one in _outlooks(ahead))
    right, strongest = (alike * one + (1.0 - alike) * other for one, other in zip(if_alike, if_not, strict=True))
    return right, strongest


def _outlooks(ahead: Ahead) -> tuple[Outlook, Outlook]:
    return ahead.if_alike, ahead.if_not


def _probabilities(table: Table, told: Stage | Outlook) -> tuple[FloatArray, FloatArray]:
    return _probability(table, told.right), _probability(table, told.strongest_right)


def _probability(table: Table, log_odds: Weighing) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(table.weigh(log_odds), -50.0, 50.0))))


def _together(tiers: list[Told]) -> Told:
    return Told(*(np.column_stack([getattr(told, field.name) for told in tiers]) for field in fields(Told)))
