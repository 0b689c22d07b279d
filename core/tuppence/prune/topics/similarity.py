"""How alike the passages of one set are: by their words, or by an embedder's vectors.

A similarity has a name, since a threshold found for one says nothing about another. It compares the passages of a set
with each other and nothing else, so that the same set always gives the same numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tuppence.embed import Embedder
from tuppence.prune.lexical import terms

Weights = dict[str, float]
"""A text as a vector of length 1, by term; empty where it has no terms."""


class Similarity(Protocol):
    """Compares texts pair by pair."""

    @property
    def name(self) -> str:
        """What compares them, model and version: a threshold holds for this name only."""
        ...

    def compare(self, texts: Sequence[str], /) -> list[list[float]]:
        """Return how alike text i and text j are, at [i][j]: symmetric, at most 1."""
        ...


@dataclass(frozen=True, slots=True)
class TermSimilarity:
    """Cosine of tf-idf vectors; what all texts of the set talk about weighs little.

    Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), 6.2 to 6.4: weight
    (1 + ln tf)(1 + ln((1 + n) / (1 + df))), smoothed so that no term weighs nothing.
    """

    name = "tf-idf"

    def compare(self, texts: Sequence[str], /) -> list[list[float]]:
        vectors = weighed([terms(text) for text in texts])
        compared = [[0.0] * len(vectors) for _ in vectors]
        for i, one in enumerate(vectors):
            compared[i][i] = 1.0 if one else 0.0
            for j in range(i):
                compared[i][j] = compared[j][i] = cosine(one, vectors[j])
        return compared


@dataclass(frozen=True, slots=True)
class EmbeddedSimilarity:
    """Cosine of an embedder's vectors."""

    embedder: Embedder

    @property
    def name(self) -> str:
        return self.embedder.name

    def compare(self, texts: Sequence[str], /) -> list[list[float]]:
        vectors = self.embedder.embed(texts)
        compared: list[list[float]] = (vectors @ vectors.T).tolist()
        return compared


def weighed(listed: Sequence[Sequence[str]]) -> list[Weights]:
    """Return the tf-idf vector of each list of terms, of length 1."""
    holding = Counter(term for words in listed for term in set(words))
    idf = {term: 1 + math.log((1 + len(listed)) / (1 + df)) for term, df in holding.items()}
    return [_unit({t: (1 + math.log(n)) * idf[t] for t, n in Counter(words).items()}) for words in listed]


def _unit(weights: Weights) -> Weights:
    length = math.sqrt(sum(w * w for w in weights.values()))
    return {term: w / length for term, w in weights.items()}


def cosine(one: Weights, other: Weights) -> float:
    """Return the cosine of two vectors of length 1."""
    if len(other) < len(one):
        one, other = other, one
    return min(1.0, math.fsum(w * other[term] for term, w in one.items() if term in other))
