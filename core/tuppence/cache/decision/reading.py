"""One question, read once: what it asks, which words carry it, its amounts, names, negations and the order of its
parts. A reading states what is there; comparing two is another room's work.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tuppence.cache.decision.amounts import Amount, scan_amounts
from tuppence.cache.decision.tokens import Token, tokens_of
from tuppence.cache.decision.word_lists import Tongue, WordLists, known_words, word_lists

READABLE_CHARS = 2_000
"""What is longer was hardly seen by the embedder (256 tokens), so its similarity says nothing about the rest."""
KEPT_READINGS = 16_384
"""Readings kept in memory, at about 3 KB each: those of the questions that keep coming up as neighbours."""
# Beyond Latin letters, general signs and pictures; marks are part of a word in many scripts.
_FOREIGN = re.compile(
    "[^\x00-\u024f\u0300-\u036f\u1e00-\u1eff\u2000-\u2bff\u3000-\u303f\ufe0f\U0001f000-\U0001faff\\s]+"
)
_BETWEEN_SENTENCES = re.compile(r"[.?!]['\")]*\s+(?=\S)")
_LINKS = frozenset({"and", "or", "versus"})
_SIGNS = frozenset("+*^=<>|\\×÷√∫∑∞≤≥≠±→")
_ENGLISH_SHARE = 0.5
"""Of the words of an English text that are longer than three letters, most are common ones."""
_TITLE_SHARE = 0.6
"""From this share of capitals on, a capital says nothing: the text is a headline."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a question says, in forms that compare."""

    text: str
    language: str
    """Two letters; empty where no list has enough of its words."""
    listed: bool
    """The language has lists of its own."""
    unreadable: bool
    """Too long to be compared."""
    foreign: tuple[str, ...]
    """Words with letters beyond the Latin script, in order."""
    amounts: tuple[Amount, ...]
    moments: frozenset[str]
    content: tuple[str, ...]
    """Canonical words that carry meaning, in order."""
    content_set: frozenset[str]
    words: Mapping[str, int]
    """All canonical words, with those that carry little, and how often each comes."""
    markers: Mapping[str, str]
    """Content word -> the preposition that leads to it, or an empty text."""
    names: frozenset[str]
    """Canonical names: capitals inside a sentence, acronyms, known places and companies."""
    negations: int
    quantifiers: Mapping[str, int]
    """Classes such as `all`, `some` and `at least`, and how often each comes."""
    asks: str
    """`how`, `how many`, `why`, `yes or no` ...; empty for a statement or a wish."""
    past: bool
    """Some verb is in the past."""
    future: bool
    signs: str
    ordered: tuple[str, ...]
    """All canonical words in order."""
    initials: str
    """Their first letters, by which an acronym is recognised."""
    sentences: int
    pointing: bool
    """It speaks of something that it does not hold, such as "this picture" or "the list below"."""
    links: frozenset[frozenset[str]]
    """Pairs of content words joined by "and", "or" or "versus": their order says nothing."""
    shown: Mapping[str, str]
    """Canonical word -> the word as it was written."""
    acronyms: frozenset[str]


@lru_cache(maxsize=KEPT_READINGS)
def read(question: str) -> Reading:
    """Read `question`; the same text gives the same object for as long as it is remembered."""
    lists = word_lists()
    unreadable = len(question) > READABLE_CHARS
    tokens = tokens_of(question[:READABLE_CHARS])
    language = _language(tokens, lists)
    tongue = lists.tongue(language)
    scan = scan_amounts(tokens, lists, tongue)
    rest = [token for token in scan.rest if token.word not in _SIGNS]
    words = [token.word for token in rest]
    canon = [tongue.canonical(word) for word in words]
    content, markers, shown, links = _content(rest, canon, lists, tongue)
    acronyms = frozenset(
        name for token, name in zip(rest, canon, strict=True) if len(token.surface) > 1 and token.surface.isupper()
    )
    return Reading(
        text=question,
        language=language,
        listed=language in lists.tongues or (not language and _looks_english(words)),
        unreadable=unreadable,
        foreign=()
        if question.isascii()
        else tuple(_FOREIGN.findall(unicodedata.normalize("NFKC", question).casefold())),
        amounts=tuple(scan.amounts),
        moments=frozenset(scan.moments),
        content=content,
        content_set=frozenset(content),
        words=_counted(canon),
        markers=markers,
        names=_names(rest, canon, lists, language),
        negations=sum(map(tongue.negators.__contains__, words)),
        quantifiers=_counted([lists.quantifiers[word] for word in words if word in lists.quantifiers]),
        asks=_asks(tokens, tongue),
        past=not lists.past.isdisjoint(words),
        future=not lists.future.isdisjoint(words),
        signs="".join(token.word for token in tokens if token.word in _SIGNS),
        ordered=tuple(canon),
        initials="".join(word[0] for word in words),
        sentences=1 + len(_BETWEEN_SENTENCES.findall(question)),
        pointing=not lists.pointers.isdisjoint(words),
        links=links,
        shown=shown,
        acronyms=acronyms,
    )


def _counted(words: Sequence[str]) -> dict[str, int]:
    """Count as `Counter` does, which takes ten times as long for a few words."""
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found


def _language(tokens: Sequence[Token], lists: WordLists) -> str:
    """Return the language that most function words are of; English where it is a draw."""
    scores = _counted([name for token in tokens for name in lists.languages.get(token.word, ())])
    best = max(scores, key=lambda name: (scores[name], name == "en"), default="")
    return best if best and (scores[best] >= 2 or len(tokens) <= 3) else ""


def _looks_english(words: Sequence[str]) -> bool:
    """Tell by its long words what language a text without small words is in."""
    long = [word for word in words if len(word) > 3]
    return sum(word in known_words() for word in long) >= _ENGLISH_SHARE * len(long)


def _content(
    tokens: Sequence[Token], canon: Sequence[str], lists: WordLists, tongue: Tongue
) -> tuple[tuple[str, ...], dict[str, str], dict[str, str], frozenset[frozenset[str]]]:
    """Return the words that carry meaning, the preposition that leads to each, how each was written, and the links."""
    content: list[str] = []
    markers: dict[str, str] = {}
    shown: dict[str, str] = {}
    links: set[frozenset[str]] = set()
    marker = last = ""
    linked = False
    for token, root in zip(tokens, canon, strict=True):
        word = token.word
        if word in _LINKS:
            marker, linked = last, True
        elif word in lists.prepositions:
            marker = word
        shown.setdefault(root, token.surface or word)
        if word in tongue.stop or root in tongue.stop:
            continue
        if linked and content:
            links.add(frozenset({content[-1], root}))
        content.append(root)
        markers.setdefault(root, marker)
        marker, last, linked = "", marker, False
    return tuple(content), markers, shown, frozenset(links)


def _names(tokens: Sequence[Token], canon: Sequence[str], lists: WordLists, language: str) -> frozenset[str]:
    inside = [token.surface[0].isupper() for token in tokens if token.surface and not token.opens]
    # German writes every noun with a capital.
    headline = language == "de" or (len(inside) >= 3 and sum(inside) > _TITLE_SHARE * len(inside))
    found = set()
    for token, root in zip(tokens, canon, strict=True):
        surface = token.surface
        if root in lists.places and (token.capital or token.word not in lists.names_when_capital):
            found.add(root)
        elif headline or surface == token.word:
            continue
        elif len(surface) == 1:
            # "Vitamin C", but hardly "A" and "I", or what opens a sentence.
            if not token.opens and surface not in "AI":
                found.add(root)
        elif any(map(str.isupper, surface[1:] if token.opens else surface)):
            found.add(root)
    return frozenset(found)


def _asks(tokens: Sequence[Token], tongue: Tongue) -> str:
    """Return what is asked for, by how a sentence begins; else by any question word there is."""
    for i, token in enumerate(tokens):
        if token.opens or not i:
            if token.word in tongue.yes_no:
                return "yes or no"
            for following in tokens[i : i + 2]:
                if following.word in tongue.questions:
                    return tongue.questions[following.word]
    return next((tongue.questions[token.word] for token in tokens if token.word in tongue.questions), "")
