"""Which old turns are about a question: by words, and by meaning where an embedder is at hand.

Each way gives a ranking, and the rankings are fused: their scores have no common scale.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuppence.embed import Embedder
from tuppence.prune.lexical import Bm25

_FUSION = 60
"""Reciprocal rank fusion's constant; Cormack, Clarke and Buettcher (2009), section 2, found 60 near the best."""


def relevant(question: str, texts: Sequence[str], most: int, embedder: Embedder | None = None) -> set[int]:
    """Return the places of the `most` texts that are most about `question`; fewer where no other shares a word."""
    if not texts or not most:
        return set()
    by_words = [float(score) for score in Bm25(texts).scores(question)]
    rankings = [{place: score for place, score in enumerate(by_words) if score > 0}]
    if embedder is not None:
        vectors = embedder.embed([question, *texts])
        rankings.append({place: float(vectors[0] @ vector) for place, vector in enumerate(vectors[1:])})
    fused: dict[int, float] = {}
    for scores in rankings:
        for place, score in scores.items():
            rank = 1 + sum(other > score for other in scores.values())
            fused[place] = fused.get(place, 0.0) + 1 / (_FUSION + rank)
    # Of two that are as likely, the later one.
    return set(sorted(fused, key=lambda place: (-fused[place], -place))[:most])
