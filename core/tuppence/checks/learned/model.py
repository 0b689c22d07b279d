"""A learned check as plain numbers: what was learned from labelled answers, in a file that a person can read.

Nothing is learned here (`evidence.learning` does that) and nothing is decided (`check` does).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tuppence.checks.learned.traits import Traits
from tuppence.errors import ConfigError

FORMAT = "tuppence-check/4"


@dataclass(frozen=True, slots=True)
class Weighing:
    """A weighted sum of traits; a trait that is not there counts 0."""

    intercept: float
    weights: Traits

    def __call__(self, traits: Traits) -> float:
        """Return the sum."""
        known = traits.get
        return self.intercept + sum(weight * known(name, 0.0) for name, weight in self.weights.items())

    def probability(self, traits: Traits) -> float:
        """Return the logistic function of the sum, in [0, 1]."""
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, self(traits)))))


@dataclass(frozen=True, slots=True)
class Outlook:
    """How good the answer will be that is kept then, and how good the strongest tier's would be: log odds."""

    right: Weighing
    strongest_right: Weighing


@dataclass(frozen=True, slots=True)
class Ahead:
    """What can be said of the answer that may be had before the strongest tier's: the helper's, or the next tier's."""

    alike: Weighing
    """Log odds that it will say the same."""
    usd: Weighing
    """Natural logarithm of what asking costs, in dollars."""
    if_alike: Outlook
    """With a helper the answer that is kept is the one it was asked about, else the next tier's."""
    if_not: Outlook


@dataclass(frozen=True, slots=True)
class Stage:
    """What can be said once one tier has answered, and perhaps another before it or beside it."""

    tier: str
    """Whose answer is judged."""
    other: str | None
    """Whose answer it is compared with; None where there is none yet."""
    right: Weighing
    """Log odds that this answer is right."""
    strongest_right: Weighing
    """Log odds that the strongest tier's answer would be."""
    onward_usd: Weighing
    """Natural logarithm of what the answer costs, in dollars, that is had where this one is not kept: the strongest
    tier's; on a ladder with a helper the next tier's.
    """
    ahead: Ahead | None = None
    """None where nobody is left to ask between."""


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """The stages of one ladder."""

    tiers: tuple[str, ...]
    """The ladder it was learned on, in the order in which it is climbed; the last is the strongest."""
    helper: str | None
    """A tier that is asked for its opinion only."""
    unit_usd: float
    """What the strongest tier's answer costs on average: expected losses are counted per so much saved."""
    stages: tuple[Stage, ...]
    labels: int
    """Questions it was learned from."""

    def stage(self, tier: str, other: str | None) -> Stage | None:
        """Find what is known of a tier's answer beside another's, or without one."""
        return next((stage for stage in self.stages if (stage.tier, stage.other) == (tier, other)), None)

    @property
    def version(self) -> str:
        """A hash of all its numbers."""
        body = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(body.encode(), digest_size=6).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        body = {"format": FORMAT, "version": self.version, **asdict(self)}
        Path(path).write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_model(path: str | Path) -> LearnedModel:
    """Read a learned check; raises `ConfigError` where there is none that can be read."""
    try:
        body = json.loads(Path(path).read_text("utf-8"))
        if body["format"] != FORMAT:
            raise ValueError(f"its format is {body['format']!r}, not {FORMAT!r}")
        model = _model(body)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} holds no learned check ({type(error).__name__}: {error}): train one with `tuppence calibrate`"
        ) from error
    if model.version != body["version"]:
        raise ConfigError(
            f"{path} was changed after it was written (version {body['version']}, its numbers give {model.version}): "
            "a certificate would not hold for it; train it again"
        )
    return model


def _model(body: Mapping[str, Any]) -> LearnedModel:
    stages = tuple(_stage(stage) for stage in body["stages"])
    return LearnedModel(tuple(body["tiers"]), body["helper"], float(body["unit_usd"]), stages, int(body["labels"]))


def _stage(body: Mapping[str, Any]) -> Stage:
    ahead = body["ahead"]
    return Stage(
        body["tier"],
        body["other"],
        _weighing(body["right"]),
        _weighing(body["strongest_right"]),
        _weighing(body["onward_usd"]),
        None if ahead is None else _ahead(ahead),
    )


def _ahead(body: Mapping[str, Any]) -> Ahead:
    alike, usd = _weighing(body["alike"]), _weighing(body["usd"])
    return Ahead(alike, usd, _outlook(body["if_alike"]), _outlook(body["if_not"]))


def _outlook(body: Mapping[str, Any]) -> Outlook:
    return Outlook(_weighing(body["right"]), _weighing(body["strongest_right"]))


def _weighing(body: Mapping[str, Any]) -> Weighing:
    return Weighing(float(body["intercept"]), {name: float(weight) for name, weight in body["weights"].items()})
