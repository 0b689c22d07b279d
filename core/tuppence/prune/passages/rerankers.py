"""A user's own ranking beside the scorer's: a cross-encoder, a hosted reranker, or the scores that passages came with.

Only the order of foreign scores is read: their scales have nothing in common. Half of every likelihood is the ranking's
and half the scorer's, so that neither can drop alone what the other holds to be needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuppence.errors import RequestError
from tuppence.prune.passages.likelihoods import Likelihoods, shares
from tuppence.prune.passages.material import Material
from tuppence.prune.passages.passage import as_sent
from tuppence.prune.passages.scorers import LearnedScorer, Scorer

Rank = Callable[[str, Sequence[str]], Sequence[float]]
"""Question and texts in, one number a text out: the higher, the likelier to be needed."""


class RerankedPassages:
    """Let `rank` order whole passages, titles included; which of their sentences, `beside` decides."""

    def __init__(self, rank: Rank, *, beside: Scorer | None = None) -> None:
        self._rank = rank
        self._beside = beside or LearnedScorer()

    def __call__(self, material: Material, /) -> Likelihoods:
        texts = [as_sent(source.passage.title, source.passage.text) for source in material.sources]
        return _by_passage(material, self._beside(material), _asked(self._rank, material.question, texts))


class RerankedSentences:
    """Let `rank` order sentences, each under its passage's title: finer, and some four times the texts."""

    def __init__(self, rank: Rank, *, beside: Scorer | None = None) -> None:
        self._rank = rank
        self._beside = beside or LearnedScorer()

    def __call__(self, material: Material, /) -> Likelihoods:
        texts = [as_sent(material.sources[one.source].passage.title, one.text) for one in material.sentences]
        own, scores = self._beside(material), _asked(self._rank, material.question, texts)
        return Likelihoods(_halved(own.sentences, _by_rank(scores)), own.passages)


class RankedByScore:
    """Read the passages' own scores, the higher the better; those without one come last, all alike."""

    def __init__(self, *, beside: Scorer | None = None) -> None:
        self._beside = beside or LearnedScorer()

    def __call__(self, material: Material, /) -> Likelihoods:
        own = self._beside(material)
        known = [source.passage.score for source in material.sources]
        scored = [score for score in known if score is not None]
        if not scored:
            return own
        last = min(scored) - 1
        return _by_passage(material, own, [last if score is None else score for score in known])


def _asked(rank: Rank, question: str, texts: Sequence[str]) -> Sequence[float]:
    scores = [float(score) for score in rank(question, texts)]
    if len(scores) != len(texts):
        raise RequestError(f"the reranker gave {len(scores)} scores for {len(texts)} texts: it must give one for each")
    return scores


def _by_passage(material: Material, own: Likelihoods, scores: Sequence[float]) -> Likelihoods:
    """Give every passage what the ranking and the scorer think of it, and its sentences their parts of that."""
    passages = _halved(own.passages, _by_rank(scores))
    sums = [sum(own.sentences[one.number] for one in source.sentences) for source in material.sources]
    parts = [
        passages[one.source] * own.sentences[one.number] / sums[one.source] if sums[one.source] > 0 else 0.0
        for one in material.sentences
    ]
    # The ranking is trusted where words say nothing: that is what it was brought for.
    return Likelihoods(shares(parts), passages)


def _halved(own: Sequence[float], foreign: Sequence[float]) -> tuple[float, ...]:
    return tuple((one + other) / 2 for one, other in zip(own, foreign, strict=True))


def _by_rank(scores: Sequence[float]) -> tuple[float, ...]:
    """Return shares that fall as 1, 1/2, 1/3 ... down the order; equal scores share their ranks."""
    places: dict[float, list[int]] = {}
    for place, score in enumerate(sorted(scores, reverse=True), 1):
        places.setdefault(score, []).append(place)
    return shares([sum(1 / place for place in places[score]) / len(places[score]) for score in scores])
