"""Scores by what sentences mean, beside their words: each sentence, under its passage's title, is embedded and compared
with the question.

Vectors are kept by a hash of their text, so a passage that is retrieved again costs nothing; no text is kept.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuppence.embed import Embedder, MiniLM
from tuppence.errors import ConfigError
from tuppence.prune.passages.asked import read_question
from tuppence.prune.passages.features import Look, Signs
from tuppence.prune.passages.likelihoods import Likelihoods
from tuppence.prune.passages.material import Material
from tuppence.prune.passages.passage import as_sent
from tuppence.prune.passages.scorers import likelihoods_of, shipped_weights

if TYPE_CHECKING:
    from tuppence.embed import Vector, Vectors

KEPT_VECTORS = 20_000
"""About 30 MB of MiniLM's 384 dimensions."""


class EmbeddingScorer:
    """The default scorer's features and embeddings together: `EmbeddingScorer()` is MiniLM on the CPU.

    Some 90 sentences, which 20 passages have, take MiniLM 0.7 s of one core where they are new and 4 ms where they were
    seen before. Any `Embedder` serves; the weights were learned with MiniLM's vectors, of which only the order and
    spread within one question are looked at. Safe to share between threads. Raises `ConfigError` without its extra.
    """

    def __init__(self, embedder: Embedder | None = None, *, kept_vectors: int = KEPT_VECTORS) -> None:
        if kept_vectors < 0:
            raise ConfigError(f"kept_vectors is {kept_vectors}: give 0 to keep none, or how many to keep")
        self._vectors = VectorCache(embedder or MiniLM(), kept_vectors)
        self._weights = shipped_weights("passage_scorer_embedding.json")

    def __call__(self, material: Material, /) -> Likelihoods:
        asked = read_question(material.question)
        signs = Look(asked, material).signs()
        question, *sentences = self._vectors.of([material.question, *titled(material)])
        with_meanings(material, signs, [float(question @ vector) for vector in sentences])
        return likelihoods_of(asked, material, signs, self._weights)


def titled(material: Material) -> list[str]:
    """Return every sentence under its passage's title, which says what it is about."""
    return [as_sent(material.sources[one.source].passage.title, one.text) for one in material.sentences]


def with_meanings(material: Material, signs: Signs, similarities: Sequence[float]) -> None:
    """Add to the features how close each sentence is to the question, in deviations from the mean of all.

    Deviations, since two embedders put unrelated texts at quite different similarities.
    """
    mean = sum(similarities) / (len(similarities) or 1)
    deviation = (sum((one - mean) ** 2 for one in similarities) / (len(similarities) or 1)) ** 0.5 or 1.0
    close = [(one - mean) / deviation for one in similarities]
    best = max(close, default=0.0)
    for own, value in zip(signs.sentences, close, strict=True):
        own["meaning"] = value
        own["meaning to best"] = value - best
    for source in material.sources:
        inside = [close[one.number] for one in source.sentences] or [0.0]
        own = signs.passages[source.number]
        own["passage meaning"] = max(inside)
        own["passage meaning to best"] = max(inside) - best
        own["passage meaning over all"] = sum(inside) / len(inside)


class VectorCache:
    """Embeds what it has not seen; the longest unused vectors go first."""

    def __init__(self, embedder: Embedder, size: int) -> None:
        self._embedder = embedder
        self._size = size
        self._kept: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[VectorCache], tuple[Embedder, int]]:
        """Travel empty: another process embeds for itself."""
        return VectorCache, (self._embedder, self._size)

    def of(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            made: Vectors = self._embedder.embed(list(missing.values()))
            found |= dict(zip(missing, made, strict=True))
        with self._lock:
            for key in keys:
                self._kept[key] = found[key]
                self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return [found[key] for key in keys]
