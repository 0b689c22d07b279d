"""Words of two questions that are the same after all: slips of the pen, words written apart, acronyms spelled out.

It must never take two known words for one another, however near they are written.
"""

from __future__ import annotations

from collections.abc import Collection

from tuppence.cache.decision.reading import Reading
from tuppence.cache.decision.word_lists import known_words

_SLIP_CHARS = 6
"""Shorter words have too many neighbours one letter away."""
_ACRONYM_CHARS = 3
"""Two letters begin two neighbouring words by chance."""


def pair_up(first: Reading, second: Reading, only_first: set[str], only_second: set[str]) -> None:
    """Drop from both sets the words of one question that are words of the other in another form."""
    for own, mine, other, theirs in (
        (first, only_first, second, only_second),
        (second, only_second, first, only_first),
    ):
        for word in sorted(word for word in mine if len(word) >= _SLIP_CHARS or word in own.acronyms):
            if word not in mine:
                continue
            if match := next((w for w in sorted(theirs) if w[0] == word[0] and _is_slip(word, w)), None):
                mine.discard(word)
                theirs.discard(match)
            elif word in own.acronyms and len(word) >= _ACRONYM_CHARS and (at := other.initials.find(word)) >= 0:
                mine.discard(word)
                theirs.difference_update(other.ordered[at : at + len(word)])
            elif parts := _halves(word, theirs):
                mine.discard(word)
                theirs.difference_update(parts)


def _halves(word: str, words: Collection[str]) -> tuple[str, str] | None:
    """Return the two of `words`, of three letters or more, that `word` is when they are written together."""
    starts = [start for start in words if 3 <= len(start) <= len(word) - 3 and word.startswith(start)]
    return next(((start, word[len(start) :]) for start in sorted(starts) if word[len(start) :] in words), None)


def _is_slip(a: str, b: str) -> bool:
    """Tell whether one of two words is the other misspelt by one letter, rather than another word.

    Of the two one must be a known word; of two unknown ones only letters that changed places or came twice are a slip.
    """
    if min(len(a), len(b)) < _SLIP_CHARS or abs(len(a) - len(b)) > 1 or a[0] != b[0]:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    known = known_words()
    if len(a) == len(b):
        if a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]:
            return not (a in known and b in known)
        return a[start + 1 :] == b[start + 1 :] and (a in known) != (b in known)
    short, long = (a, b) if len(a) < len(b) else (b, a)
    if short[start:] != long[start + 1 :]:
        return False
    return (a in known) != (b in known) or (long[start] == long[start - 1] and not (a in known and b in known))
