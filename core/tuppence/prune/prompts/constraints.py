"""What a prompt must not lose: negations, obligations, bounds, numbers, units, dates, names, quoted words and code.

English only, by lists: it is meant to find too much. What it finds, nothing may take away or stand on.
"""

from __future__ import annotations

import re
from collections import Counter

_WORDS = frozenset(
    "no not never none nothing nobody neither nor without cannot except unless only must shall should may might can "
    "could will would need needs required require mandatory forbidden prohibited allowed avoid ensure always "
    "exactly precisely maximum minimum max min least most more less fewer than above below over under before after "
    "until till since within between during all any every each both either if when whenever while but however "
    "instead rather otherwise first second third last next once twice zero one two three four five six seven eight "
    "nine ten eleven twelve twenty thirty fifty hundred thousand million billion dozen half quarter january "
    "february march april june july august september october november december monday tuesday wednesday thursday "
    "friday saturday sunday today tomorrow yesterday percent dollars euros cents seconds minutes hours days weeks "
    "months years words characters tokens sentences lines pages kb mb gb ms kg km important critical crucial "
    "warning caution".split()
)
_PIECE = re.compile(r"\w+(?:['’]\w+)*")
_CODE = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`|https?://\S+|\{[^{}\n]*\}|<[^<>\n]*>|\b\w+(?:_\w+)+\b|\b\w+\(\)"
    r"|\b[a-z]+[A-Z]\w*\b|(?<!\w)(?:\.{0,2}/)?\w+(?:[/\\]\w[\w.-]*)+|--\w[\w-]*",
    re.DOTALL,
)
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|(?<!\w)'[^'\n]*'(?!\w)|‘[^’\n]*’(?!\w)")
_SENTENCE_END = re.compile(r"(?:[.!?:][\"')\]]*\s+|\n\s*(?:[-*+#>]+\s*|\d+[.)]\s*)*|\A\s*(?:[-*+#>]+\s*)*)\Z")


def spans_of_code_and_quotes(text: str) -> list[tuple[int, int]]:
    """Return where code, placeholders, addresses and quoted words stand."""
    return sorted(found.span() for pattern in (_CODE, _QUOTED) for found in pattern.finditer(text))


def constraint_at(text: str, start: int, end: int) -> str:
    """Name the first thing between two places that must not be lost; empty where there is none."""
    for found in _PIECE.finditer(text, start, end):
        word = found[0]
        if _binds(word):
            return word
        if word[0].isupper() and not _begins_a_sentence(text, found.start()):
            return word
    return ""


def constraints_of(text: str) -> Counter[str]:
    """Count all that must not be lost: words that bind, numbers, names, and what is code or quoted."""
    found = Counter(text[start:end] for start, end in spans_of_code_and_quotes(text))
    for piece in _PIECE.finditer(text):
        if _binds(piece[0]):
            found[piece[0].lower()] += 1
        elif piece[0][0].isupper() and not _begins_a_sentence(text, piece.start()):
            found[piece[0]] += 1
    return found


def _binds(word: str) -> bool:
    lower = word.lower().replace("’", "'")
    return lower in _WORDS or lower.endswith("n't") or any(letter.isdigit() for letter in word)


def _begins_a_sentence(text: str, at: int) -> bool:
    return _SENTENCE_END.search(text, max(0, at - 40), at) is not None or at == 0
