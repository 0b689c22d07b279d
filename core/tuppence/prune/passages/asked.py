"""What a question asks for: its words and their weight, and the kind of answer that it wants.

English question words are read; of other languages only the words count.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from tuppence.prune.lexical import stem, terms
from tuppence.prune.passages.commonness import weight
from tuppence.prune.passages.material import plain_words

_WANTS = (
    ("number", re.compile(
        r"\bhow (?:many|much|long|far|old|tall|high|big|large|fast|often|deep|wide|heavy)\b"
        r"|\b(?:population|number of|percentage|age of)\b")),
    ("time", re.compile(
        r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|date|day|month|century|decade|time)\b")),
    ("place", re.compile(
        r"\bwhere\b|\b(?:what|which) (?:\w+ )?"
        r"(?:city|country|state|place|county|town|region|continent|island|province|river|location|district)\b")),
    ("person", re.compile(
        r"\bwho\b|\bwhose\b|\bwhom\b|\b(?:what|which) (?:\w+ )?"
        r"(?:actor|actress|singer|president|player|king|queen|author|person|man|woman|director|artist|band)\b")),
    ("reason", re.compile(r"\bwhy\b")),
)  # fmt: skip
_SMALL_WORD = 0.25
"""What a function word counts for in a run of words: titles such as "Don't Let Me Down" are made of them."""
_INSIDE_LETTERS = 4


@dataclass(slots=True)
class Asked:
    """A question, read."""

    text: str
    terms: list[str]
    """Each once."""
    weights: dict[str, float]
    total: float
    """The sum of the weights, never 0."""
    words: list[str]
    """All words, small ones too."""
    run_weights: list[float]
    run_total: float
    """Their sum, never 0."""
    pairs: frozenset[tuple[str, str]]
    """Neighbouring words."""
    places: dict[str, list[int]]
    """Word -> where it stands among the words."""
    beginnings: dict[str, str]
    """Term -> how it begins, for words that hold it: `fight` in `firefighting`."""
    compounds: list[str]
    """How two neighbouring words would begin as one."""
    wants: str
    """number, time, place, person, reason; or "" where the question does not say."""

    def share_in(self, held: Collection[str]) -> float:
        """Return how much of the question, by the weight of its terms, `held` has."""
        return sum(share for term, share in self.weights.items() if term in held) / self.total


def read_question(text: str) -> Asked:
    """Read a question."""
    found = list(dict.fromkeys(terms(text)))
    weights = {term: weight(term) for term in found}
    words = plain_words(text)
    places: dict[str, list[int]] = {}
    for at, word in enumerate(words):
        places.setdefault(word, []).append(at)
    lower, run_weights = text.lower(), [run_weight(word) for word in words]
    return Asked(
        text=text,
        terms=found,
        weights=weights,
        total=sum(weights.values()) or 1.0,
        words=words,
        run_weights=run_weights,
        run_total=sum(run_weights) or 1.0,
        pairs=frozenset(pairwise(words)),
        places=places,
        beginnings={term: _beginning(term) for term in found if len(term) >= _INSIDE_LETTERS},
        compounds=[_beginning(a + b) for a, b in pairwise(words) if len(a) + len(b) >= 7],
        wants=next((kind for kind, asks in _WANTS if asks.search(lower)), ""),
    )


def run_weight(word: str) -> float:
    """Return what a word counts for in a run of words."""
    return _SMALL_WORD + weight(stem(word))


def _beginning(word: str) -> str:
    """Return what other forms of a word begin with too."""
    return word if len(word) <= _INSIDE_LETTERS else word[: max(_INSIDE_LETTERS, len(word) - 2)]
