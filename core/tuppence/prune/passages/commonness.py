"""How much a single word says, whatever the passages at hand: common English words little, rare ones and names a lot.

Twenty passages are too few to tell: where none of them says "come", it would pass for the rarest word of a question.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files

from tuppence.prune.lexical import stem

_FIRST_WORD = 1996
"""BERT's vocabulary lists its whole words by how often they occur, from `the` at this line (counted from 0) on."""
_UNLISTED = 28_000
"""The rank of a word that the list does not have: about the last one's."""
_NUMBER = 0.8
"""A number tells as much as a word of rank 4,000."""


@cache
def _ranks() -> dict[str, int]:
    """Rank stems by their commonest word."""
    listed = files("tuppence").joinpath("data/bert_base_uncased_vocab.txt").read_bytes().decode("utf-8").split("\n")
    ranks: dict[str, int] = {}
    for rank, word in enumerate(listed[_FIRST_WORD:], 1):
        if word.isalpha():
            ranks.setdefault(stem(word), rank)
    return ranks


def weight(term: str) -> float:
    """Return from 0 (`the`) to 1 (rare, or not English) how much a term says: the logarithm of its rank."""
    if term.isdigit():
        return _NUMBER
    return math.log(_ranks().get(term, _UNLISTED)) / math.log(_UNLISTED)
