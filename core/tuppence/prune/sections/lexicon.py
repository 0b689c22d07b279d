"""What headings and stock phrases say of a part of a report, read once from data that a person can edit
(`lexicon.json`). It knows words and phrases; what becomes of a section is decided elsewhere.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal

HeadingKind = Literal[
    "summary", "conclusion", "recommendations", "findings", "discussion", "background", "method", "body", "appendix",
    "references", "contents", "legal", "acknowledgements", "front",
]  # fmt: skip
"""What a section can be: `front` stands before the first heading, `body` under a heading that says nothing."""
BlockKind = Literal["table", "furniture", "navigation"]
"""What a block within any section can be: a raw table; running heads and page numbers; menus and cookie banners."""

_APART = re.compile(r"[\W_]+")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"(?:[-*+•]\s+)?(?:(?:\d{1,3}(?:\.\d{1,3})*|[IVXLC]{1,6}|[A-Z])[.)]\s*|\d{1,3}(?:\.\d{1,3})*\s+)")
_LED = re.compile(
    r"[>\s•*-]*?(\*\*|__|\*|_)?([^\W\d_][^:.—–*_\n]{2,40})(?:(?:\*\*|__|\*|_)?\s?[:—–]|[:.](?:\*\*|__|\*|_))"
)
"""`Conclusion:` or `**Root cause.**` before a sentence."""
_LONGEST_HEADING = 12
"""Words; a longer one is looked up by its beginning and end alone, as every heading is."""
_TELLING = "appendix method background discussion findings conclusion recommendations summary"
"""Kinds that a heading may name two of; the later here counts."""
_SHORT_ROOT = 3
"""Letters of the shortest roots in the list of weighty words."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All lists, ready for look-ups."""

    whole: Mapping[tuple[str, ...], str]
    """A heading's words -> its kind."""
    partial: Mapping[tuple[str, ...], str]
    """Words that a heading begins or ends with -> its kind."""
    numbering: frozenset[str]
    captions: frozenset[str]
    totals: frozenset[str]
    pages: frozenset[str]
    weighty: frozenset[str]
    signposts: tuple[str, ...]
    legal_strong: tuple[str, ...]
    """Only lawyers write it."""
    legal_typical: tuple[str, ...]
    legal_weak: tuple[str, ...]
    """Says something under a legal heading alone: a contract may be what a report is about."""
    navigation_strong: tuple[str, ...]
    navigation_words: frozenset[str]


def folded(text: str) -> str:
    """Write `text` in lower case, without accents and marks, words apart by one space."""
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in plain if not unicodedata.combining(char))
    return _APART.sub(" ", text.casefold()).strip()


def unnumbered(heading: str) -> str:
    """Take marks and a leading number off a heading."""
    bare = heading.strip("#*_: ")
    return _NUMBER.sub("", bare, count=1) if _NUMBER.match(bare) else bare


@cache
def lexicon() -> Lexicon:
    """Read the lists; they ship beside this module."""
    raw: dict[str, Any] = json.loads((files("tuppence.prune.sections") / "lexicon.json").read_text("utf-8"))
    whole: dict[tuple[str, ...], str] = {}
    partial: dict[tuple[str, ...], str] = {}
    for kind, phrase in _headings(raw["headings"]):
        words = tuple(folded(phrase).split())
        whole.setdefault(words, kind)
        if not phrase.startswith("="):
            partial.setdefault(words, kind)
    return Lexicon(
        whole=whole,
        partial=partial,
        numbering=frozenset(map(folded, raw["numbering"])),
        captions=frozenset(map(folded, raw["captions"])),
        totals=frozenset(map(folded, raw["totals"])),
        pages=frozenset(map(folded, raw["pages"])),
        weighty=frozenset(folded(root) for roots in raw["weighty"].values() for root in roots),
        signposts=tuple(raw["signposts"]),
        legal_strong=tuple(raw["legal"]["strong"]),
        legal_typical=tuple(raw["legal"]["typical"]),
        legal_weak=tuple(raw["legal"]["weak"]),
        navigation_strong=tuple(raw["navigation"]["strong"]),
        navigation_words=frozenset(map(folded, raw["navigation"]["words"])),
    )


def _headings(listed: Mapping[str, Mapping[str, Iterable[str]]]) -> Iterator[tuple[str, str]]:
    for kind, tongues in listed.items():
        for phrases in tongues.values():
            yield from ((kind, phrase) for phrase in phrases)


@lru_cache(maxsize=4096)
def kind_of(heading: str) -> str:
    """Say what a heading, its number aside, announces; an empty string where the lists do not know it.

    The whole heading counts first, then the longest phrase that it begins or ends with.
    """
    bare = _words(heading)
    known = lexicon()
    if bare in known.whole:
        return known.whole[bare]
    for size in range(min(len(bare) - 1, _LONGEST_HEADING), 0, -1):
        first, last = known.partial.get(bare[:size], ""), known.partial.get(bare[-size:], "")
        if first or last:
            # `Overview of findings` tells findings, but `Appendix: findings` is an appendix.
            return first if first == "appendix" or not last else max(first, last, key=_TELLING.find)
    return ""


def named_exactly(heading: str) -> bool:
    """Say whether the whole heading is in the lists."""
    return _words(heading) in lexicon().whole


def kind_announced(text: str) -> str:
    """Say what a paragraph that begins with a heading's words and a colon is; an empty string for any other."""
    led = _LED.match(text)
    return kind_of(led[2]) if led and named_exactly(led[2]) else ""


def _words(heading: str) -> tuple[str, ...]:
    words = tuple(folded(unnumbered(heading)).split())
    return tuple(word for word in words if not word.isdigit()) or words


@lru_cache(maxsize=1 << 16)
def _weighty(word: str) -> bool:
    roots = lexicon().weighty
    plain = folded(word)
    return any(plain[:size] in roots for size in range(min(_SHORT_ROOT, len(plain)), len(plain) + 1))


def weighty_words(text: str) -> int:
    """Count the words that decisions, causes, comparisons and results are told with."""
    return sum(_weighty(word) for word in _WORD.findall(text.lower()))


def phrases_in(lowered: str, phrases: Iterable[str]) -> int:
    """Count the phrases that a lower-case text holds."""
    return sum(phrase in lowered for phrase in phrases)
