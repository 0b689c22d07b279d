"""Which sentences to send under a budget: those that add most for a token, until the budget or the need is met.

The first sentence of a passage costs its title too, and brings the passage in: a reader then knows that it is there,
and what leads on from it. Nothing here knows where likelihoods come from.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection
from dataclasses import dataclass, field

from tuppence.prune.passages.likelihoods import Likelihoods
from tuppence.prune.passages.material import Material, Sentence

PRESENCE = 0.3
"""What bringing in a passage that is certainly needed is worth, a certain sentence being worth 1."""


@dataclass(slots=True)
class Chosen:
    """What was chosen so far."""

    sentences: list[Sentence] = field(default_factory=list)
    """The most valuable for a token first."""
    tokens: int = 0
    held: float = 0.0
    """The likelihoods of the sentences, added up."""
    present: float = 0.0
    """The likelihoods of their passages, each once."""

    @property
    def certainty(self) -> float:
        """How likely everything needed is there: an answer, and something of each passage that leads to it."""
        return min(self.held, self.present)


def choose(
    material: Material, likelihoods: Likelihoods, budget: int, *, until: float = math.inf, barred: Collection[int] = ()
) -> Chosen:
    """Choose sentences of at most `budget` tokens, until both their likelihoods and their passages' add up to `until`.

    Sentences numbered in `barred` are left out. Chosen is never empty where one sentence is allowed: if none fits, it
    is the one with fewest tokens, header included.
    """
    chosen, opened = Chosen(), set[int]()
    allowed = [one for one in material.sentences if one.number not in barred]
    # An entry is stale once its passage is in: what it costs and brings has changed, and it was entered anew.
    heap = [(-_worth(material, likelihoods, one, opened), one.number, False) for one in allowed]
    heapq.heapify(heap)
    barred = {*barred}
    while heap and chosen.certainty < until:
        _, number, inside = heapq.heappop(heap)
        one = material.sentences[number]
        if inside != (one.source in opened) or chosen.tokens + _cost(material, one, opened) > budget:
            continue
        chosen.tokens += _cost(material, one, opened)
        chosen.held += likelihoods.sentences[number]
        chosen.sentences.append(one)
        barred.add(number)
        if one.source not in opened:
            opened.add(one.source)
            chosen.present += likelihoods.passages[one.source]
            for other in material.sources[one.source].sentences:
                if other.number not in barred:
                    heapq.heappush(heap, (-_worth(material, likelihoods, other, opened), other.number, True))
    if not chosen.sentences and allowed:
        chosen.sentences.append(min(allowed, key=lambda one: (_cost(material, one, ()), one.number)))
    return chosen


def _cost(material: Material, one: Sentence, opened: Collection[int]) -> int:
    return one.tokens + (0 if one.source in opened else material.sources[one.source].header_tokens)


def _worth(material: Material, likelihoods: Likelihoods, one: Sentence, opened: Collection[int]) -> float:
    """Return what a sentence adds for a token."""
    presence = 0.0 if one.source in opened else PRESENCE * likelihoods.passages[one.source]
    return (likelihoods.sentences[one.number] + presence) / max(1, _cost(material, one, opened))
