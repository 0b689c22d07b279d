"""Which words two texts share, and how much that says: terms and BM25, in any script, with no model and no data file.

Everything in `prune` that compares texts by words asks here, so that a word is the same word everywhere. It must never
need to know a text's language.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

K1 = 1.2
"""How fast a repeated word stops counting. Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and
Beyond" (2009), 3.4: 1.2 < k1 < 2 and 0.5 < b < 0.8 are reasonably good in many circumstances."""
B = 0.75
"""How much long texts are held back, from the same page."""

_STOP = frozenset(
    """a about above across after against all along also although am an and another any anybody anyone anything are
    around as at be became because become becomes been before being below between both but by can cannot could did do
    does doing done down during each either else ever every for from further get gets give given go goes got had has
    have having he her here hers herself him himself his how i if in into is it its itself just let like many may me
    might mine more most much must my myself neither no nor not of off on once one only onto or other our ours out over
    own per rather re s same shall she should so some such t than that the their theirs them themselves then there
    these they this those through thus to too toward towards under until up upon very via was we were what whatever
    when where whether which while who whoever whom whose why will with within without would yet you your yours
    yourself eg etc ie d ll m ve don doesn didn isn aren wasn weren hasn haven hadn won wouldn couldn shouldn please
    tell
    """.split()
)
"""English words that say nothing of what a text is about, and what is left of contractions; written for tuppence."""

# Scripts that put no spaces between words: Chinese, Japanese, Thai, Lao, Burmese, Khmer.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e01-\u0eff\u1000-\u109f\u1780-\u17dd\U00020000-\U0003134f"
_UNSPACED_RUN = re.compile(f"([{_UNSPACED}]+)")
# Vowel signs of Indic scripts are no word characters to Python, and inside words.
_WORD = re.compile(r"\d+(?:[.,]\d+)+|(?:[^\W_]|[\u0900-\u0963\u0966-\u0dff\u0e01-\u0eff\u1000-\u109f\u1780-\u17dd])+")
# Accents of Latin, Greek and Cyrillic letters, and Arabic and Hebrew vowel points: often left out.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
# U.S.S., R/T, a.m.: written with and without their marks.
_INITIALS = re.compile(r"(?<![^\W_])[^\W\d_](?:[./][^\W\d_])+(?![^\W_])")
_VOWEL = re.compile("[aeiouy]")


def terms(text: str) -> list[str]:
    """List the content words of `text` in order, case-folded, without accents and inflections; numbers are kept.

    Runs of scripts without spaces come as pairs of characters. A text of function words alone gives them all, so that
    only a text without letters and digits has no terms.
    """
    found = _words(text)
    return [stem(word) for word in found if word not in _STOP] or found


def _words(text: str) -> list[str]:
    if text.isascii():
        return [_number(word) if "," in word else word for word in _WORD.findall(_solid(text.lower()))]
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = unicodedata.normalize("NFC", _ACCENTS.sub("", folded))
    found = [_number(word) if "," in word else word for word in _WORD.findall(_solid(folded))]
    return [piece for word in found for piece in ([word] if word.isascii() else _pieces(word))]


def _solid(text: str) -> str:
    return _INITIALS.sub(lambda found: found[0].replace(".", "").replace("/", ""), text)


def _number(word: str) -> str:
    """Write a number without the commas that group its digits."""
    return word.replace(",", "")


def _pieces(word: str) -> list[str]:
    parts: list[str] = []
    for part in _UNSPACED_RUN.split(word):
        if part and _UNSPACED_RUN.match(part):
            parts += [part[i : i + 2] for i in range(len(part) - 1)] or [part]
        elif part:
            parts.append(part)
    return parts


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Take plural and verb endings off an English word, so that `published` and `publishes` are one; others stay.

    Light on purpose: two words made one by mistake cost more than two forms of one word left apart.
    """
    if not word.isascii() or len(word) < 4:
        return word
    if word[0].isdigit():
        return word[:-1] if word.endswith("s") else word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "zes")) else word[:-1]
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= 3 and _VOWEL.search(root):
            return _undoubled(root)
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def _undoubled(root: str) -> str:
    """`stopp` becomes `stop`; `call` and `pass` stay."""
    return root[:-1] if root[-1] == root[-2] and root[-1] not in "aeloszy" else root.removesuffix("e")


class Bm25:
    """Ranks texts by the words that they share with a query, rare words first."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._index([terms(text) for text in texts])

    @classmethod
    def of_terms(cls, listed: Sequence[Sequence[str]]) -> Bm25:
        """Index texts whose terms are known already."""
        made = cls.__new__(cls)
        made._index(listed)
        return made

    def _index(self, listed: Sequence[Sequence[str]]) -> None:
        # Lists, not counts: a question asks for a dozen words of texts that have a hundred.
        self._listed = [list(words) for words in listed]
        self._distinct = [frozenset(words) for words in listed]
        self._holding = Counter(chain.from_iterable(self._distinct))
        average = sum(map(len, listed)) / len(listed) if listed else 0.0
        # Never 0: where no text has a term, none is long.
        self._norms = [K1 * (1 - B + B * len(words) / (average or 1.0)) for words in listed]

    def idf(self, term: str) -> float:
        """Return the weight of a term; never negative, since 1 is added inside the logarithm, as Lucene does."""
        holding = self._holding[term]
        return math.log(1 + (len(self._listed) - holding + 0.5) / (holding + 0.5))

    def scores(self, query: str) -> list[float]:
        """Score every text, in order; 0 where it shares no term with `query`."""
        return self.scores_of_terms(terms(query))

    def scores_of_terms(self, query: Sequence[str]) -> list[float]:
        """Score every text for the terms of a query, each of which counts once."""
        weights = {term: self.idf(term) * (K1 + 1) for term in dict.fromkeys(query)}
        found = []
        for words, distinct, norm in zip(self._listed, self._distinct, self._norms, strict=True):
            score = 0.0
            for term, weight in weights.items():
                if term in distinct:
                    often = words.count(term)
                    score += weight * often / (often + norm)
            found.append(score)
        return found
