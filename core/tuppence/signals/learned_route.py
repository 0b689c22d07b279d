"""A learned route as plain numbers: how probably each tier would answer a question rightly, by the question's text and
task. In a file that a person can read.

Nothing is learned here (`evidence.learning` does that), nothing is decided (`routes` does), and no model is asked.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tuppence.errors import ConfigError
from tuppence.signals.question_shape import THEMES, shape, terms

FORMAT = "tuppence-route/1"
# Half a character that was cut out of a text is a sign like any other, and must not keep a model from its file.
_ERRORS = "surrogatepass"
FURTHEST = 3.0
"""Standard deviations at which a trait is cut: a text far from all labelled ones is treated as the furthest of them."""

Weights = tuple[float, ...]
"""What one feature adds to the log odds of a right answer, one number a tier."""


@dataclass(frozen=True, slots=True)
class Trait:
    """One measure of a question's shape, standardised by the labelled questions."""

    mean: float
    spread: float
    weights: Weights
    """For one standard deviation above the mean."""

    def scaled(self, value: float) -> float:
        """Return standard deviations above the mean, cut at `FURTHEST` on either side."""
        return max(-FURTHEST, min(FURTHEST, (value - self.mean) / self.spread))


@dataclass(frozen=True, slots=True)
class Term:
    """One word, number or sign."""

    idf: float
    """How rare it is: the inverse document frequency among the labelled questions."""
    weights: Weights
    """For a question of nothing else."""


@dataclass(frozen=True, slots=True)
class EmbeddingWeights:
    """What the dimensions of an embedding say."""

    embedder: str
    """Name of the model that made the vectors: those of another are not comparable."""
    mean: tuple[float, ...]
    """Of the labelled questions, one number a dimension."""
    weights: tuple[Weights, ...]
    """For each tier, one number a dimension."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model makes of one question."""

    right: tuple[float, ...]
    """Probability that a tier answers rightly, one a tier."""
    parts: tuple[tuple[str, Weights], ...]
    """What each part of the question adds to the log odds, by a name for a person."""

    def loss(self, tier: int, strongest: int) -> float:
        """Return how much more probably `strongest` is right than `tier`; below 0 where it is the other way round."""
        return self.right[strongest] - self.right[tier]

    def speaks(self, tier: int, strongest: int, *, most: int = 2) -> str:
        """Name the parts that speak loudest; above 0 for the strongest tier, below 0 for the other."""
        said = [(weights[strongest] - weights[tier], name) for name, weights in self.parts]
        loudest = sorted(said, key=lambda one: (-abs(one[0]), one[1]))[:most]
        return ", ".join(f"{name} {added:+.2f}" for added, name in loudest if abs(added) >= _INAUDIBLE)


_INAUDIBLE = 0.005


@dataclass(frozen=True, slots=True)
class LearnedRouteModel:
    """One logistic model a tier, on features that all tiers share."""

    tiers: tuple[str, ...]
    """Cheapest first; the last is the strongest, against which a loss is counted."""
    labels: int
    """Questions that it was learned from."""
    intercepts: Weights
    shape: Mapping[str, Trait]
    terms: Mapping[str, Term]
    tasks: Mapping[str, Weights]
    """By the request's tag `task`; a task that is not here adds nothing."""
    embedding: EmbeddingWeights | None = None

    def read(self, text: str, task: str = "", vector: Sequence[float] | None = None) -> Reading:
        """Read a question; `vector` is its embedding, without which a model that learned one says less."""
        parts = [*self._shape_parts(text), *self._term_parts(text)]
        if task in self.tasks:
            parts.append((f"task {task!r}", self.tasks[task]))
        if self.embedding is not None and vector is not None:
            parts.append(("meaning", _meaning(self.embedding, vector)))
        odds = _sum(self.intercepts, [weights for _, weights in parts])
        return Reading(tuple(map(probability, odds)), tuple(parts))

    def _shape_parts(self, text: str) -> Iterator[tuple[str, Weights]]:
        """Add traits up by their theme: a dozen small weights explain nothing."""
        measured = shape(text)
        themes: dict[str, list[float]] = {}
        for name, trait in self.shape.items():
            scaled = trait.scaled(measured[name])
            sums = themes.setdefault(THEMES[name], [0.0] * len(self.tiers))
            for place, weight in enumerate(trait.weights):
                sums[place] += scaled * weight
        return ((theme, tuple(sums)) for theme, sums in themes.items())

    def _term_parts(self, text: str) -> Iterator[tuple[str, Weights]]:
        heard = term_values(terms(text), self.terms)
        return ((repr(name), tuple(value * w for w in self.terms[name].weights)) for name, value in heard.items())

    @property
    def version(self) -> str:
        """A hash of all its numbers."""
        body = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, whole or not at all: a route may be reading the file."""
        target = Path(path)
        beside = target.with_name(f"{target.name}.{os.getpid()}.new")
        beside.write_text(_laid_out({"format": FORMAT, "version": self.version, **asdict(self)}), "utf-8", _ERRORS)
        beside.replace(target)


def probability(log_odds: float) -> float:
    """Return the logistic function, in [0, 1]."""
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, log_odds))))


def term_values(found: Sequence[str], known: Mapping[str, Term]) -> dict[str, float]:
    """Weigh the terms of a question by how often they occur in it and how rare they are; their vector has length 1.

    (1 + ln count) x idf, as in G. Salton and C. Buckley, Information Processing & Management 24 (1988) 513.
    """
    counts = Counter(term for term in found if term in known)
    values = {term: (1.0 + math.log(count)) * known[term].idf for term, count in counts.items()}
    length = math.sqrt(sum(value * value for value in values.values()))
    return {term: value / length for term, value in values.items()} if length else {}


def read_route_model(path: str | os.PathLike[str]) -> LearnedRouteModel:
    """Read a learned route; raises `ConfigError` where there is none that can be read, or somebody changed it."""
    try:
        body = json.loads(Path(path).read_text("utf-8", _ERRORS))
        if body["format"] != FORMAT:
            raise ValueError(f"its format is {body['format']!r}, not {FORMAT!r}")
        model = _model(body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} holds no learned route ({type(error).__name__}: {error}): train one with `train_route` and save it"
        ) from error
    if model.version != body["version"]:
        raise ConfigError(
            f"{path} was changed after it was written (version {body['version']}, its numbers give {model.version}): "
            "train it again"
        )
    return model


def _model(body: Mapping[str, Any]) -> LearnedRouteModel:
    tiers, embedding = tuple(body["tiers"]), body["embedding"]

    def weights(numbers: Sequence[Any]) -> Weights:
        if len(numbers) != len(tiers):
            raise ValueError(f"there are {len(numbers)} weights for {len(tiers)} tiers")
        return tuple(map(float, numbers))

    traits = {
        name: Trait(float(one["mean"]), float(one["spread"]), weights(one["weights"]))
        for name, one in body["shape"].items()
    }
    if unknown := traits.keys() - THEMES.keys():
        raise ValueError(f"it weighs {sorted(unknown)}, and the traits are {sorted(THEMES)}")
    return LearnedRouteModel(
        tiers, int(body["labels"]), weights(body["intercepts"]), traits,
        {name: Term(float(one["idf"]), weights(one["weights"])) for name, one in body["terms"].items()},
        {name: weights(one) for name, one in body["tasks"].items()},
        None if embedding is None else EmbeddingWeights(
            embedding["embedder"], tuple(map(float, embedding["mean"])),
            tuple(tuple(map(float, row)) for row in embedding["weights"]),
        ),
    )  # fmt: skip


def _meaning(known: EmbeddingWeights, vector: Sequence[float]) -> Weights:
    centred = [float(value) - mean for value, mean in zip(vector, known.mean, strict=True)]
    return tuple(sum(map(float.__mul__, row, centred)) for row in known.weights)


def _sum(intercepts: Weights, parts: Sequence[Weights]) -> list[float]:
    return [sum(column) for column in zip(intercepts, *parts, strict=True)]


def _laid_out(body: Mapping[str, Any]) -> str:
    """Write one entry a line, so that a person can read the file and a diff shows what changed."""
    told = (f" {_json(name)}: {_entries(value)}" for name, value in body.items())
    return "{\n" + ",\n".join(told) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _entries(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _json(value)
    lines = [f"  {_json(name)}: {_json(one)}" for name, one in value.items()]
    return "{\n" + ",\n".join(lines) + "\n }"
