"""What speaks for a passage and for a sentence, in numbers that need no model: shared words, runs of words, titles,
places, and whether the kind of answer that the question wants stands there.

Numbers are shares and logarithms, never raw scores, so that they mean the same for two passages and for fifty. The
names are those of the weights in `data/passage_scorer*.json`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tuppence.prune.lexical import Bm25, stem, terms
from tuppence.prune.passages.asked import Asked, run_weight
from tuppence.prune.passages.commonness import weight
from tuppence.prune.passages.material import Material, Sentence, Source, plain_words

_CAPITAL = re.compile(r"(?<!\w)[A-ZÀ-ÖØ-ÞΑ-ΩА-Я][^\W_]+")
_YEAR_OR_MONTH = re.compile(
    r"(?<!\d)(?:1\d|20)\d\d(?!\d)"
    r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b"
)
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|twenty|thirty|forty|fifty|hundred"
    r"|thousand|million|billion|percent|dozen|half)\b"
)
_PLACE = re.compile(r"\b(?:in|at|near|from|to|of|between)\s+(?:the\s+)?(?:[a-z]+ern\s+)?[A-Z]")
_REASON = re.compile(r"\b(?:because|due to|caused by|in order to|so that|as a result)\b", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\(.*?\)")
_ENDED = tuple(".!?…\"”'’)]。！？」』।")
_FEW_TERMS = 5


@dataclass(slots=True)
class Signs:
    """The features of every passage and sentence, in order."""

    passages: list[dict[str, float]]
    sentences: list[dict[str, float]]
    names: list[frozenset[str]] = field(default_factory=list)
    """The capitalised words of each sentence that the question does not have, as terms."""


class Look:
    """Looks at one question's material."""

    def __init__(self, asked: Asked, material: Material) -> None:
        self._asked = asked
        self._material = material
        sources, found = material.sources, material.sentences
        self._title_sets = [frozenset(source.title_terms) for source in sources]
        self._held = [frozenset(asked.weights) & source.distinct for source in sources]
        holding = Counter(term for held in self._held for term in held)
        # A word that few passages have says more; squared, so that common English words hardly count.
        self._rarities = {
            term: share**2 * math.log((len(sources) + 1) / (holding[term] + 0.5))
            for term, share in asked.weights.items()
        }
        self._rare_total = sum(self._rarities.values()) or 1.0
        titled = [sources[one.source].title_terms + one.terms for one in found]
        self._titled = _to_best(Bm25.of_terms(titled).scores_of_terms(asked.terms))
        self._best = [max((self._titled[x.number] for x in one.sentences), default=0.0) for one in sources]
        self._bare = _to_best(Bm25.of_terms([one.terms for one in found]).scores_of_terms(asked.terms))
        self._whole = _to_best(Bm25.of_terms([one.terms for one in sources]).scores_of_terms(asked.terms))
        self._inside = [_inside(asked, one.distinct, one.text) for one in found]
        self._runs = [_longest_run(asked, one.words) for one in found]
        self._pairs = [asked.pairs.intersection(pairwise(one.words)) for one in found]

    def signs(self) -> Signs:
        """Return all features."""
        passages = [self._of_passage(source) for source in self._material.sources]
        names = [_new_names(one, self._asked) for one in self._material.sentences]
        sentences = [
            {**self._of_words(one), **self._of_place(one), **self._of_answer(one, names[one.number])}
            for one in self._material.sentences
        ]
        return Signs(passages, sentences, [frozenset(found) for found in names])

    def _of_passage(self, source: Source) -> dict[str, float]:
        asked, at = self._asked, source.number
        title = self._title_sets[at]
        named = _IN_BRACKETS.sub("", source.passage.title)
        title_words = plain_words(named)
        run, whole = _longest_run(asked, title_words), sum(map(run_weight, title_words))
        own = [one.number for one in source.sentences]
        pairs = asked.pairs.intersection(pairwise(title_words))
        pairs = pairs.union(*(self._pairs[number] for number in own))
        held = _inside(asked, title, source.passage.title).union(*(self._inside[number] for number in own))
        bare = terms(named) if named.strip() else []
        return {
            "passage bm25": self._whole[at],
            "passage words": asked.share_in(self._held[at]),
            "passage rare words": self._rare_share(self._held[at]),
            "passage parts": _parts_share(asked, held),
            "passage best sentence": self._best[at],
            "passage run": max((self._runs[number] for number in own), default=0.0),
            "passage pairs": len(pairs) / (len(asked.pairs) or 1),
            "title words": asked.share_in(title),
            "title asked": _ratio(sum(weight(t) for t in bare if t in asked.weights), sum(weight(t) for t in bare)),
            "title run": run,
            "title in question": float(bool(title_words) and run * asked.run_total > whole - 1e-9),
        }

    def _of_words(self, one: Sentence) -> dict[str, float]:
        asked, title = self._asked, self._title_sets[one.source]
        siblings = self._material.sources[one.source].sentences
        before = siblings[one.place - 1] if one.place else None
        after = siblings[one.place + 1] if one.place + 1 < len(siblings) else None
        with_title = one.distinct | title
        return {
            "bm25": self._bare[one.number],
            "bm25 with title": self._titled[one.number],
            "best of passage": _ratio(self._titled[one.number], self._best[one.source]),
            "words": asked.share_in(one.distinct),
            "rare words": self._rare_share(one.distinct),
            "words with title": asked.share_in(with_title),
            "rare words with title": self._rare_share(with_title),
            "words with sentence before": asked.share_in(with_title | before.distinct if before else with_title),
            "parts": _parts_share(asked, self._inside[one.number] | (title & asked.weights.keys())),
            "run": self._runs[one.number],
            "pairs": len(self._pairs[one.number]) / (len(asked.pairs) or 1),
            "bm25 before": self._bare[before.number] if before else 0.0,
            "bm25 after": self._bare[after.number] if after else 0.0,
        }

    def _of_place(self, one: Sentence) -> dict[str, float]:
        siblings = self._material.sources[one.source].sentences
        return {
            "first": float(one.place == 0),
            "second": float(one.place == 1),
            "last": float(one.place == len(siblings) - 1 > 0),
            "place": one.place / len(siblings),
            "length": math.log1p(len(one.terms)),
            "few words": float(len(one.terms) < _FEW_TERMS),
            "unfinished": float(not one.text.endswith(_ENDED)),
        }

    def _of_answer(self, one: Sentence, names: Collection[str]) -> dict[str, float]:
        wants, text = self._asked.wants, one.text
        number = _NUMBER.search(text) is not None
        return {
            "new words": math.log1p(len(one.distinct - self._asked.weights.keys())),
            "new names": math.log1p(len(names)),
            "wants number": _fits(wants == "number", number),
            "wants time": _fits(wants == "time", _YEAR_OR_MONTH.search(text) is not None),
            "wants place": _fits(wants == "place", wants == "place" and _PLACE.search(text) is not None),
            "wants person": math.log1p(len(names)) if wants == "person" else 0.0,
            "wants reason": _fits(wants == "reason", wants == "reason" and _REASON.search(text) is not None),
            "number unasked": float(not wants and number),
        }

    def _rare_share(self, held: Collection[str]) -> float:
        return sum(share for term, share in self._rarities.items() if term in held) / self._rare_total


def _fits(wanted: bool, there: bool) -> float:
    return (1.0 if there else -1.0) if wanted else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _to_best(scores: Sequence[float]) -> list[float]:
    best = max(scores, default=0.0)
    return [_ratio(score, best) for score in scores]


def _inside(asked: Asked, held: Collection[str], text: str) -> frozenset[str]:
    """Find the question's terms that `text` has, or has inside longer words; compounds begin with a plus."""
    lower = text.lower()
    found = {term for term in asked.weights if term in held}
    found.update(term for term, beginning in asked.beginnings.items() if beginning in lower)
    found.update("+" + compound for compound in asked.compounds if compound in lower)
    return frozenset(found)


def _parts_share(asked: Asked, held: Collection[str]) -> float:
    """Share of the question's weight; a compound counts as half a rare word."""
    # In the question's order: a set's differs from process to process, and so would the last digit of a sum.
    whole = sum(share for term, share in asked.weights.items() if term in held)
    return (whole + 0.5 * sum(term.startswith("+") for term in held)) / asked.total


def _longest_run(asked: Asked, words: Sequence[str]) -> float:
    """Return the heaviest run of words that the question has in the same order, as a share of the question."""
    best = 0.0
    before: dict[int, float] = {}
    for word in words:
        places = asked.places.get(word)
        if places is None:
            before = {}
            continue
        before = {at: before.get(at - 1, 0.0) + asked.run_weights[at] for at in places}
        best = max(best, *before.values())
    return best / asked.run_total


def _new_names(one: Sentence, asked: Asked) -> list[str]:
    found = (stem(name.lower()) for name in _CAPITAL.findall(one.text))
    return [name for name in found if name not in asked.weights]
