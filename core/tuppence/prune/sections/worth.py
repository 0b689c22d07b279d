"""Says how much each unit of a report is worth without asking a model: what it shares with the question or with the
summary, figures, the words of decisions and causes, where it stands. Nothing here knows of a budget.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tuppence.prune.lexical import Bm25, terms
from tuppence.prune.sections.lexicon import lexicon, phrases_in, weighty_words
from tuppence.prune.sections.units import WHOLE, Unit

BY_KIND: Mapping[str, float] = {
    "summary": 1.0, "recommendations": 0.9, "conclusion": 0.9, "findings": 0.5, "discussion": 0.35, "body": 0.3,
    "background": 0.1, "method": 0.0, "front": -0.1, "appendix": -0.5,
}  # fmt: skip
"""What standing in a section of a kind is worth, beside the other grounds below, each of which is worth up to 1."""
_GIST_TERMS = 60
"""Terms of the summary that others are compared with: more only repeat what the first say, at a price."""
_FIGURE = re.compile(r"(?<![\w.:\[])[$€£¥]?\d+(?:[.,]\d+)*\s?%?(?![\d:]|\w*\])")
"""No times of the day, no numbers of sources."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_FIGURES, _WEIGHTY = 3, 4
"""How many of them are worth the full."""
_TEMPLATE_WORDS = 5
_FRAGMENT_WORDS = 4
_RELATED, _FIGURED, _WEIGHED = 0.6, 0.6, 0.7
_OPENS, _LEADS, _CLOSES, _TOTALS = 0.25, 0.15, 0.1, 0.5
_SIGNPOST, _REPEATED, _FRAGMENT, _CAPTION, _CODE, _BALLAST = -0.6, -0.7, -0.3, -0.2, -0.6, -1.0
_ASKED = 2.0
"""What sharing all that any unit shares with the question is worth."""
_COVERED = 0.5
"""How much of a question's words, by their rarity, the best unit must hold to count as a full match. In a text of the
average length a word scores its rarity, the idf."""


def weigh(texts: Sequence[str], units: Sequence[Unit], headings: Sequence[str]) -> list[float]:
    """Score every unit by what a reader without a question would look for; `headings` are those of the sections."""
    listed = [terms(text) for text in texts]
    related = _related(listed, units, headings)
    seen: Counter[tuple[str, ...]] = Counter()
    scores = []
    for unit, text, words, near in zip(units, texts, listed, related, strict=True):
        score = BY_KIND.get(unit.kind, 0.0) + _RELATED * near + _told(text) + _placed(unit)
        template = tuple(word for word in words if not word[0].isdigit())
        if len(template) >= _TEMPLATE_WORDS:
            score += _REPEATED * (seen[template] > 0)
            seen[template] += 1
        scores.append(score)
    return scores


def asked(texts: Sequence[str], units: Sequence[Unit], headings: Sequence[str], question: str) -> list[float]:
    """Score every unit from 0 to 1 by the words that it and its heading share with `question`.

    1 is the best unit where that holds most of the question, so that "Summarise this report" favours none.
    """
    above = [terms(heading) for heading in headings]
    listed = [terms(text) + above[unit.section] for text, unit in zip(texts, units, strict=True)]
    index, wanted = Bm25.of_terms(listed), terms(question)
    return _scaled(index.scores_of_terms(wanted), _COVERED * sum(index.idf(word) for word in set(wanted)))


def with_question(worth: Sequence[float], match: Sequence[float]) -> list[float]:
    """Join both: what matches the question first, of equals what is worth more anyway."""
    return [one + _ASKED * other for one, other in zip(worth, match, strict=True)]


def _related(listed: Sequence[Sequence[str]], units: Sequence[Unit], headings: Sequence[str]) -> list[float]:
    """Score units from 0 to 1 by the terms of the summary, or of all headings where there is none."""
    index = Bm25.of_terms(listed)
    told = [word for unit, words in zip(units, listed, strict=True) if unit.kind in WHOLE for word in words]
    counts = Counter(told or [word for heading in headings for word in terms(heading)])
    ranked = sorted(counts, key=lambda word: (-counts[word] * index.idf(word), word))
    return _scaled(index.scores_of_terms(ranked[:_GIST_TERMS]))


def _scaled(scores: Sequence[float], least: float = 0.0) -> list[float]:
    most = max(least, max(scores, default=0.0))
    return [score / most if most else 0.0 for score in scores]


def _told(text: str) -> float:
    """Score what a unit says by itself: figures, weighty words, and no mere pointing elsewhere."""
    figures = [found for found in _FIGURE.findall(text) if not _YEAR.fullmatch(found.strip())]
    score = _FIGURED * min(len(figures), _FIGURES) / _FIGURES
    score += _WEIGHED * min(weighty_words(text), _WEIGHTY) / _WEIGHTY
    score += _SIGNPOST * bool(phrases_in(text.lower(), lexicon().signposts))
    return score + _FRAGMENT * (text.count(" ") + 1 < _FRAGMENT_WORDS)


def _placed(unit: Unit) -> float:
    score = _OPENS * unit.opens + _LEADS * unit.leads + _CLOSES * unit.closes + _TOTALS * unit.totals
    return score + {"caption": _CAPTION, "code": _CODE, "furniture": _BALLAST, "contents": _BALLAST}.get(unit.form, 0.0)
