"""What the guards of the semantic cache know of words, read once from data that a person can edit. It knows lists and
one light stemmer; what a difference between two questions means is decided elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import product
from typing import Any

_SIBILANTS = ("ses", "xes", "zes", "ches", "shes")
_ENDINGS = (("ing", 3), ("ed", 3), ("ly", 4), ("ation", 6), ("ion", 5), ("ment", 5))
"""What is taken off, and how many letters must be left: fewer make strangers equal."""
_VOWELS = frozenset("aeiouy")
_WHOLE = frozenset(("news always less plus bus gas lens perhaps series species thing department apartment").split())
"""Words that only look inflected."""


@dataclass(frozen=True, slots=True)
class Tongue:
    """The lists of one language."""

    stop: frozenset[str]
    negators: frozenset[str]
    questions: Mapping[str, str]
    yes_no: frozenset[str]
    numerals: Mapping[str, int]
    endings: tuple[str, ...]
    """Inflections, taken off words of at least four letters more; English has a stemmer of its own."""
    opposites: Mapping[str, tuple[int, ...]]
    """Canonical word -> the groups of words that exclude one another."""

    def canonical(self, word: str) -> str:
        """Return what stands for `word` and its other forms."""
        return _rooted(word, self.endings) if self.endings else canonical(word)


@dataclass(frozen=True, slots=True)
class WordLists:
    """All lists, ready for look-ups."""

    contractions: Mapping[str, tuple[str, ...]]
    phrases: Mapping[tuple[str, ...], tuple[str, ...]]
    """Phrase -> what stands for it."""
    phrase_lengths: Mapping[str, tuple[int, ...]]
    """First word -> how many words its phrases have, the longest first."""
    fillers: frozenset[tuple[str, ...]]
    filler_lengths: Mapping[str, tuple[int, ...]]
    filler_end_lengths: Mapping[str, tuple[int, ...]]
    """Last word -> how many words the fillers have that end with it."""
    pointers: frozenset[str]
    """Small words that point at something beside the question."""
    idle: frozenset[str]
    """Small words that come and go without a change of sense."""
    prepositions: frozenset[str]
    past: frozenset[str]
    future: frozenset[str]
    reversers: frozenset[str]
    kept_prefixes: tuple[str, ...]
    quantifiers: Mapping[str, str]
    strict_quantifiers: frozenset[str]
    ranks: Mapping[str, int]
    units: Mapping[str, tuple[str, float]]
    """Unit, singular -> (what it measures, factor)."""
    unit_kinds: Mapping[str, str]
    """Canonical unit -> what it measures."""
    short_units: Mapping[str, tuple[str, float]]
    scales: Mapping[str, int]
    months: Mapping[str, str]
    ambiguous_months: frozenset[str]
    weekdays: Mapping[str, str]
    relative_days: frozenset[str]
    relative_spans: frozenset[str]
    relative_words: frozenset[str]
    moment_words: frozenset[str]
    """All that begins a weekday, a month or a relative day."""
    places: Mapping[str, str]
    """Canonical name -> what it is the name of."""
    names_when_capital: frozenset[str]
    languages: Mapping[str, tuple[str, ...]]
    """Word -> the languages in which a text can hardly do without it."""
    tongues: Mapping[str, Tongue]

    def tongue(self, language: str) -> Tongue:
        """Return the lists of `language`, the English ones where it has none."""
        return self.tongues.get(language) or self.tongues["en"]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Take the inflection off `word`, lower-case: plural, `-ing`, `-ed`, `-ly`, `-ation`, `-ment` and a final e."""
    word = _irregular().get(word, word)
    if len(word) <= 3 or word in _WHOLE:
        return word
    if word.endswith("s"):
        word = _singular(word)
    for ending, least in _ENDINGS:
        base = word[: -len(ending)]
        if word.endswith(ending) and len(base) >= least and not _VOWELS.isdisjoint(base) and not word.endswith("eed"):
            word = base + "y" if ending == "ed" and base[-1] == "i" else _undoubled(base)
            break
    if len(word) > 5 and word.endswith("ll"):
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


@cache
def _irregular() -> dict[str, str]:
    return {form: word for word, forms in _data()["irregular"].items() for form in forms.split()}


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(_SIBILANTS) and len(word) > 4:
        return word[:-2]
    return word if word.endswith(("ss", "us", "is")) else word[:-1]


def _undoubled(base: str) -> str:
    return base[:-1] if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz" else base


@lru_cache(maxsize=65_536)
def canonical(word: str) -> str:
    """Return what stands for `word` and its synonyms: the stem of the first of them."""
    if word.endswith("'s"):
        word = word[:-2]
    root = stem(word)
    return _synonyms().get(root, root)


@lru_cache(maxsize=65_536)
def _rooted(word: str, endings: tuple[str, ...]) -> str:
    return next((word[: -len(e)] for e in endings if word.endswith(e) and len(word) - len(e) >= 4), word)


@cache
def _synonyms() -> dict[str, str]:
    found: dict[str, str] = {}
    for group in _data()["synonyms"]:
        roots = [stem(word) for word in group.split()]
        for root in roots:
            found.setdefault(root, found.get(roots[0], roots[0]))
    return found


@cache
def known_words() -> frozenset[str]:
    """List words that are spelled right, and their stems: those of the embedding model's vocabulary."""
    vocabulary = (files("tuppence") / "data" / "bert_base_uncased_vocab.txt").read_text("utf-8").splitlines()
    words = {word for word in vocabulary if word.isalpha() and len(word) > 3}
    return frozenset(words | {stem(word) for word in words})


@cache
def _data() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("tuppence") / "data" / "cache_words.json").read_text("utf-8"))
    return found


@cache
def word_lists() -> WordLists:
    """Read the lists, once a process."""
    data = _data()
    words = {name: frozenset(text.split()) for name, text in data.items() if isinstance(text, str)}
    fillers = [tuple(text.split()) for text in data["fillers"]]
    phrases = {form: tuple(meant.split()) for phrase, meant in data["phrases"].items() for form in _forms(phrase)}
    months = {name: name for name in data["months"].split()} | data["month_forms"]
    weekdays = {name: name for name in data["weekdays"].split()} | data["weekday_forms"]
    return WordLists(
        contractions={short: tuple(long.split()) for short, long in data["contractions"].items()},
        phrases=phrases,
        phrase_lengths=_lengths(phrases, 0),
        fillers=frozenset(fillers),
        filler_lengths=_lengths(fillers, 0),
        filler_end_lengths=_lengths(fillers, -1),
        pointers=words["pointers"],
        idle=words["idle"],
        prepositions=words["prepositions"],
        past=words["past"],
        future=words["future"],
        reversers=frozenset(map(canonical, words["reversers"])),
        kept_prefixes=tuple(words["kept_prefixes"]),
        quantifiers={word: name for name, group in data["quantifiers"].items() for word in group.split()},
        strict_quantifiers=frozenset(data["strict_quantifiers"]),
        ranks=data["ranks"],
        units={unit: (kind, factor) for kind, of_kind in data["units"].items() for unit, factor in of_kind.items()},
        unit_kinds={canonical(unit): kind for kind, of_kind in data["units"].items() for unit in of_kind},
        short_units={unit: (kind, factor) for unit, (kind, factor) in data["short_units"].items()},
        scales=data["scales"],
        months=months,
        ambiguous_months=words["ambiguous_months"],
        weekdays=weekdays,
        relative_days=words["relative_days"],
        relative_spans=words["relative_spans"],
        relative_words=words["relative_words"],
        moment_words=words["relative_days"] | words["relative_words"] | weekdays.keys() | months.keys(),
        places={canonical(name): kind for kind, group in data["places"].items() for name in group.split()},
        names_when_capital=words["names_when_capital"],
        languages=_owners(data["languages"]),
        tongues={"en": _tongue(data)} | {name: _tongue(lists) for name, lists in data["foreign"].items()},
    )


def _tongue(lists: Mapping[str, Any]) -> Tongue:
    opposites: dict[str, tuple[int, ...]] = {}
    tongue = Tongue(
        stop=frozenset(lists["stop"].split()),
        negators=frozenset(lists["negators"].split()),
        questions=lists["questions"],
        yes_no=frozenset(lists.get("yes_no", "").split()),
        numerals=lists["numerals"],
        endings=tuple(lists.get("endings", "").split()),
        opposites=opposites,
    )
    for number, group in enumerate(lists["opposites"]):
        for word in dict.fromkeys(map(tongue.canonical, group.split())):
            opposites[word] = (*opposites.get(word, ()), number)
    return tongue


def _lengths(phrases: Iterable[tuple[str, ...]], place: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, set[int]] = {}
    for phrase in phrases:
        found.setdefault(phrase[place], set()).add(len(phrase))
    return {word: tuple(sorted(lengths, reverse=True)) for word, lengths in found.items()}


def _owners(lists: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Turn lists by name into the names of the lists that each word is on."""
    found: dict[str, tuple[str, ...]] = {}
    for name, words in lists.items():
        for word in dict.fromkeys(words.split()):
            found[word] = (*found.get(word, ()), name)
    return found


def _forms(phrase: str) -> Iterable[tuple[str, ...]]:
    """Spell out the alternatives of `what (is|are) the`."""
    choices = [part.split("|") for part in re.split(r"[()]", phrase) if part]
    return {tuple("".join(chosen).split()) for chosen in product(*choices)}
