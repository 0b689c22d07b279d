"""How much of a question, or of the passages themselves, each passage carries; a topic carries what its passages do."""

from __future__ import annotations

from collections.abc import Sequence

from tuppence.prune.lexical import Bm25
from tuppence.prune.passages import Passage


def masses(passages: Sequence[Passage], similarities: Sequence[Sequence[float]], question: str) -> list[float]:
    """Return each passage's share, 1 in all: of the question where any passage shares a word with it.

    A passage's share of the question is its share of all BM25 scores. Otherwise it is its degree centrality: how alike
    it is to all passages, itself among them (Erkan and Radev, "LexRank", 2004, 3.1, without their threshold).
    """
    weights = Bm25([f"{one.title}\n{one.text}" for one in passages]).scores(question)
    if not any(weights):
        weights = [sum(max(0.0, value) for value in row) for row in similarities]
    total = sum(weights)
    return [weight / total if total else 1 / len(passages) for weight in weights]
