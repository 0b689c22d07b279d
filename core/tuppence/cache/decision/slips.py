"""Words of two questions that are the same after all: slips of the pen, words written apart, acronyms spelled out.

It must never take two known words for one another, however near they are written.
"""

from __future__ import annotations

from collections.abc import Iterable

from tuppence.cache.decision.reading import Reading
from tuppence.cache.decision.word_lists import known_words

_SLIP_CHARS = 6
"""Shorter words have too many neighbours one letter away."""
_ACRONYM_CHARS = 3
"""Two letters begin two neighbouring words by chance."""


def pair_up(first: Reading, second: Reading, only_first: set[str], only_second: set[str]) -> None:
    """Drop from both sets the words of one question that are words of the other in another form."""
    for mine, theirs in ((only_first, only_second), (only_second, only_first)):
        other = second if mine is only_first else first
        own = first if mine is only_first else second
        for word in sorted(mine):
            if word not in mine:
                continue
            if match := next((w for w in sorted(theirs) if _is_slip(word, w)), None):
                mine.discard(word)
                theirs.discard(match)
            elif word in own.acronyms and len(word) >= _ACRONYM_CHARS and (at := other.initials.find(word)) >= 0:
                mine.discard(word)
                theirs.difference_update(other.ordered[at : at + len(word)])
            elif len(word) >= 6 and (parts := next((p for p in _halves(word) if theirs.issuperset(p)), None)):
                mine.discard(word)
                theirs.difference_update(parts)


def _halves(word: str) -> Iterable[tuple[str, str]]:
    return ((word[:i], word[i:]) for i in range(3, len(word) - 2))


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
