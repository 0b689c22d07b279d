"""Phrases that a prompt can do without, left out or said shorter by rule; asked for only, and worth little.

Rules are few and English. Where a phrase stands beside a word that binds, a number, a name, code or within quotes, it
stays and is named as risky: what it does there is for a person to say.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, counter_for, untouched
from tuppence.prune.prompts.constraints import constraint_at, constraints_of, spans_of_code_and_quotes

_OPENERS = (
    "please note that", "please be aware that", "please keep in mind that", "please remember that",
    "please be advised that", "it should be noted that", "it is worth noting that", "it's worth noting that",
    "it is worth mentioning that", "needless to say,", "it goes without saying that", "as you may know,",
    "as you know,", "as mentioned earlier,", "as previously mentioned,", "simply put,", "basically,", "please",
    "kindly",
)  # fmt: skip
"""What follows says the same without them."""
_SHORTER = {
    "in order to": "to", "so as to": "to", "due to the fact that": "because", "owing to the fact that": "because",
    "in spite of the fact that": "although", "despite the fact that": "although", "for the purpose of": "for",
    "at this point in time": "now", "at the present time": "now", "make use of": "use",
    "take into consideration": "consider", "take into account": "consider", "on a regular basis": "regularly",
    "in such a way that": "so that", "with regard to": "about",
}  # fmt: skip
_RULES: dict[str, str] = {**dict.fromkeys(_OPENERS, ""), **_SHORTER}
_PHRASE = re.compile(
    # To please is not to ask.
    rf"(?<![\w'’-])(?<!\bto )(?:{'|'.join(map(re.escape, sorted(_RULES, key=len, reverse=True)))})(?![\w'’-])"
    r"[ \t]+(?=\w)",
    re.IGNORECASE,
)
_WORD_BEFORE = re.compile(r"[\w'’]+[ \t]+\Z")
_WORDS_AFTER = re.compile(r"[\w'’]+(?:[ \t]+[\w'’]+)?")
"""Two of them: `please note that you must` leans on what follows."""


@dataclass(frozen=True, slots=True)
class Risky:
    """A phrase that stays, and what it stands beside."""

    line: int
    """Counted from 1."""
    phrase: str
    beside: str


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A text without fillers."""

    text: str
    audit: Audit
    risky: tuple[Risky, ...]
    diff: str
    """What changed, as a unified diff; empty where nothing did."""


def without_fillers(text: str, *, model: str = DEFAULT_MODEL, source: str = "prompt") -> Trimmed:
    """Leave out or shorten phrases that carry nothing; every word that binds, number, name and quote stays.

    On real system prompts this saves less than one token in a hundred: read the diff before you take it.
    """
    count = counter_for(model)
    guarded = spans_of_code_and_quotes(text)
    cuts: list[Cut] = []
    risky: list[Risky] = []
    for found in _PHRASE.finditer(text):
        phrase = found[0].rstrip(" \t")
        beside = _beside(text, *found.span(), guarded)
        if beside:
            risky.append(Risky(text.count("\n", 0, found.start()) + 1, phrase, beside))
            continue
        instead = _RULES[phrase.lower()]
        why = f"written {instead!r}" if instead else "says nothing"
        cuts.append(Cut("filler", source, why, count(found[0]) - count(instead), found[0], found.span()))
    shorter = _without(text, cuts)
    before, after = count(text), count(shorter)
    if after >= before or constraints_of(shorter) != constraints_of(text):
        return Trimmed(text, untouched(before, "no filler that could be left out safely"), tuple(risky), "")
    return Trimmed(shorter, Audit(before, after, tuple(cuts)), tuple(risky), _diff(text, shorter, source))


def _without(text: str, cuts: list[Cut]) -> str:
    """Leave phrases out; where a sentence began with one, it begins with the next word."""
    pieces: list[str] = []
    # From the end on: what follows a phrase may begin with one that goes too.
    until = len(text)
    for cut in reversed(cuts):
        start, end = cut.span or (0, 0)
        phrase = cut.text.rstrip(" \t")
        instead = _RULES[phrase.lower()]
        pieces.append(text[end:until])
        if instead:
            pieces.append(f"{instead}{cut.text[len(phrase) :]}")
        if not pieces[-1]:
            pieces.pop()
        if phrase[0].isupper() and pieces:
            pieces[-1] = pieces[-1][0].upper() + pieces[-1][1:]
        until = start
    return text[:until] + "".join(reversed(pieces))


def _beside(text: str, start: int, end: int, guarded: list[tuple[int, int]]) -> str:
    """Name what a phrase stands in or beside that must not be touched; empty where there is nothing."""
    before = _WORD_BEFORE.search(text, max(0, start - 40), start)
    after = _WORDS_AFTER.match(text, end)
    first, last = start if before is None else before.start(), end if after is None else after.end()
    for one, other in guarded:
        if one < last and first < other:
            return text[one:other]
    return constraint_at(text, first, last)


def _diff(before: str, after: str, source: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), source, f"{source} without fillers", lineterm="", n=1
    )
    return "\n".join(lines)
