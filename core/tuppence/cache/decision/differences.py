"""What differs between two questions, by name and in words for a person. It compares readings and judges nothing: which
differences forbid one answer for both is said on each, what the others weigh is learned elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tuppence.cache.decision.amounts import Amount
from tuppence.cache.decision.places import DIRECTED, exchanged, redirected
from tuppence.cache.decision.reading import Reading
from tuppence.cache.decision.slips import pair_up
from tuppence.cache.decision.word_lists import Tongue, WordLists, word_lists

_STRICT = frozenset(
    {"who", "when", "where", "why", "how many", "how much", "how long", "how often", "how far", "how old", "how tall"}
)
"""Question words that each want another kind of answer."""
_NEAR = frozenset(
    map(
        frozenset,
        [
            ("how long", "when"), ("how much", "how many"), ("what", "who"), ("what", "where"), ("what", "how many"),
            ("what", "how much"), ("what", "how long"), ("what", "how often"), ("what", "how far"), ("what", "how old"),
            ("what", "how tall"),
        ],
    )
)  # fmt: skip
"""Those of which the one can say the other: "what is the population" and "how many people live"."""
_FAMILY = {
    "calendar": "time", "dollar": "money", "euro": "money", "sterling": "money", "yen": "money", "yuan": "money",
    "rupee": "money", "franc": "money", "ruble": "money", "won": "money", "peso": "money", "celsius": "temperature",
    "fahrenheit": "temperature", "kelvin": "temperature",
}  # fmt: skip
"""Units of one family stand for one another in a question, and exclude one another."""
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "anti", "de", "ab")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two questions do not share."""

    kind: str
    words: str
    """For a person, as in `14 against 40`."""
    decisive: bool = True
    """The answer must change with it."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.words}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two questions side by side."""

    differences: tuple[Difference, ...]
    """The decisive ones first."""
    only_first: int
    """Words with a meaning that only the first has, after slips and synonyms."""
    only_second: int
    shared: int
    grammar: int
    """Small words ("from", "some", "she") that one of them has more often."""
    sentences: int
    """Of the one that has fewer."""
    pointing: bool
    """One of them speaks of something that it does not hold, such as "this picture"."""

    @property
    def decisive(self) -> Difference | None:
        """The first difference that forbids one answer for both."""
        return self.differences[0] if self.differences and self.differences[0].decisive else None


@dataclass(frozen=True, slots=True)
class _Words:
    """Which words two questions share."""

    more_first: set[str]
    """All words that the first has more often."""
    more_second: set[str]
    only_first: set[str]
    """Words with a meaning that only the first has, after slips and synonyms."""
    only_second: set[str]
    shared: set[str]


def compare(first: Reading, second: Reading) -> Comparison:
    """Tell what differs between two questions; symmetric but for the order in which the words name the sides."""
    sentences, pointing = min(first.sentences, second.sentences), first.pointing or second.pointing
    if first.text == second.text:
        return Comparison((), 0, 0, len(first.content_set), 0, sentences, pointing)
    lists = word_lists()
    words = _words(first, second)
    found = [
        *_scripts(first, second),
        *_amounts(first.amounts, second.amounts),
        *_sets("date", first.moments, second.moments),
        *_opposites(first, second, words, lists.tongue(first.language or second.language)),
        *_units(first, second, words, lists),
        *_negation(first, second, words, lists),
        *_quantifiers(first, second, lists),
        *_asked(first, second),
        *_tense(first, second),
        *_names(first, second, words),
        *_places(first, second, words),
        *_signs(first, second),
        *_other_words(first, second, words),
    ]
    found.sort(key=lambda difference: not difference.decisive)
    grammar = (words.more_first - first.content_set) | (words.more_second - second.content_set)
    return Comparison(
        tuple(found), len(words.only_first), len(words.only_second), len(words.shared), len(grammar - lists.idle),
        sentences, pointing,
    )  # fmt: skip


def _words(first: Reading, second: Reading) -> _Words:
    more_first, more_second = _surplus(first.words, second.words), _surplus(second.words, first.words)
    shared = set(first.content_set & second.content_set)
    only_first, only_second = set(first.content_set - shared), set(second.content_set - shared)
    # Said once more is nothing new, unless the other side says another word in its place.
    again_first = more_first & shared if only_second else set()
    again_second = more_second & shared if only_first else set()
    only_first |= again_first
    only_second |= again_second
    # In one order, so that it does not matter which question is asked about which.
    if first.text <= second.text:
        pair_up(first, second, only_first, only_second)
    else:
        pair_up(second, first, only_second, only_first)
    return _Words(more_first, more_second, only_first, only_second, shared)


def _surplus(mine: Mapping[str, int], theirs: Mapping[str, int]) -> set[str]:
    return {word for word, times in mine.items() if times > theirs.get(word, 0)}


def _shown(reading: Reading, words: Collection[str]) -> list[str]:
    """Return `words` as they were written, in the order of the question."""
    return [written for word, written in reading.shown.items() if word in words]


def _sides(first: Iterable[str], second: Iterable[str]) -> str:
    sides = [", ".join(side) for side in (first, second)]
    if not sides[1] or not sides[0]:
        return f"{sides[0] or sides[1]} in one only"
    return f"{sides[0]} against {sides[1]}"


def _scripts(first: Reading, second: Reading) -> list[Difference]:
    found = []
    if first.unreadable or second.unreadable:
        found.append(Difference("length", "too long to compare"))
    if first.foreign != second.foreign:
        found.append(Difference("script", _sides(first.foreign, second.foreign)))
    if first.language and second.language and first.language != second.language:
        found.append(Difference("language", f"{first.language} against {second.language}"))
    return found


def _amounts(first: tuple[Amount, ...], second: tuple[Amount, ...]) -> list[Difference]:
    if first == second:
        return []
    mine, theirs = Counter(a[:2] for a in first), Counter(a[:2] for a in second)
    if mine == theirs:
        return []
    rest_first = [a for a in first if a[:2] in mine - theirs]
    rest_second = [a for a in second if a[:2] in theirs - mine]
    if (all(a.soft for a in rest_first) and not rest_second) or (all(a.soft for a in rest_second) and not rest_first):
        return []
    kinds = {a.kind for a in rest_first} | {a.kind for a in rest_second}
    name = "time of day" if "clock" in kinds else "amount" if kinds - {""} else "number"
    return [Difference(name, _sides([a.shown for a in rest_first], [a.shown for a in rest_second]))]


def _sets(kind: str, first: frozenset[str], second: frozenset[str]) -> list[Difference]:
    if first == second:
        return []
    return [Difference(kind, _sides(sorted(first - second), sorted(second - first)))]


def _opposites(first: Reading, second: Reading, words: _Words, tongue: Tongue) -> list[Difference]:
    mine, theirs = words.more_first & tongue.opposites.keys(), words.more_second & tongue.opposites.keys()
    if not mine or not theirs:
        return []
    groups = {group: word for word in sorted(mine) for group in tongue.opposites[word]}
    for word in sorted(theirs):
        for group in tongue.opposites[word]:
            opposite = groups.get(group, word)
            if opposite != word and frozenset({opposite, word}) not in DIRECTED:
                return [Difference("opposite", _sides(_shown(first, {opposite}), _shown(second, {word})))]
    return []


def _units(first: Reading, second: Reading, words: _Words, lists: WordLists) -> list[Difference]:
    kinds = lists.unit_kinds
    for word in sorted(words.only_first & kinds.keys()):
        for other in sorted(words.only_second & kinds.keys()):
            if _FAMILY.get(kinds[word], kinds[word]) == _FAMILY.get(kinds[other], kinds[other]):
                return [Difference("unit", _sides(_shown(first, {word}), _shown(second, {other})))]
    return []


def _negation(first: Reading, second: Reading, words: _Words, lists: WordLists) -> list[Difference]:
    if (first.negations - second.negations) % 2:
        return [Difference("negation", "in one only")]
    mine, theirs = words.only_first & lists.reversers, words.only_second & lists.reversers
    if bool(mine) != bool(theirs) and not words.shared & lists.reversers:
        return [Difference("negation", _sides(_shown(first, mine), _shown(second, theirs)))]
    for only, reading, other in ((words.only_first, first, second), (words.only_second, second, first)):
        for word in sorted(only):
            if base := _unprefixed(word, other.words, lists):
                return [Difference("negation", _sides(_shown(reading, {word}), _shown(other, {base})))]
    return []


def _unprefixed(word: str, words: Mapping[str, int], lists: WordLists) -> str | None:
    """Return the word that `word` negates, where the other question has it."""
    for prefix in _PREFIXES if word.startswith(_PREFIXES) else ():
        if word.startswith(prefix) and word[len(prefix) :] in words and not word.startswith(lists.kept_prefixes):
            return word[len(prefix) :]
    return word[:-4] if word.endswith("less") and word[:-4] in words else None


def _quantifiers(first: Reading, second: Reading, lists: WordLists) -> list[Difference]:
    if first.quantifiers == second.quantifiers:
        return []
    mine = _surplus(first.quantifiers, second.quantifiers)
    theirs = _surplus(second.quantifiers, first.quantifiers)
    if (mine and theirs) or (mine | theirs) & lists.strict_quantifiers:
        return [Difference("quantifier", _sides(sorted(mine), sorted(theirs)))]
    return [Difference("quantifier", _sides(sorted(mine), sorted(theirs)), False)] if mine or theirs else []


def _asked(first: Reading, second: Reading) -> list[Difference]:
    a, b = first.asks, second.asks
    if a == b or not a or not b:
        return []
    strict = bool(_STRICT & {a, b}) and frozenset({a, b}) not in _NEAR
    return [Difference("question", f"{a} against {b}", strict)]


def _tense(first: Reading, second: Reading) -> list[Difference]:
    """Tell apart who is and who was, what did and what will: of other questions the tense is mostly manners."""
    turned = (first.past, first.future, second.past, second.future) in (
        (True, False, False, True),
        (False, True, True, False),
    )
    if turned or (first.asks == second.asks == "who" and first.past != second.past):
        return [Difference("tense", "past in one only")]
    return []


def _names(first: Reading, second: Reading, words: _Words) -> list[Difference]:
    mine, theirs = first.names & words.only_first, second.names & words.only_second
    if mine or theirs:
        return [Difference("name", _sides(_shown(first, mine), _shown(second, theirs)))]
    return []


def _signs(first: Reading, second: Reading) -> list[Difference]:
    if first.signs == second.signs:
        return []
    return [Difference("sign", f"{first.signs or 'none'} against {second.signs or 'none'}")]


def _other_words(first: Reading, second: Reading, words: _Words) -> list[Difference]:
    """Name the words without a counterpart; decisive where no list says which of them matter."""
    if not words.only_first and not words.only_second:
        return []
    sides = _sides(_shown(first, words.only_first), _shown(second, words.only_second))
    return [Difference("words", sides, not (first.listed and second.listed))]


def _places(first: Reading, second: Reading, words: _Words) -> list[Difference]:
    found = []
    if turned := redirected(first, second, words.shared):
        word, mine, theirs = turned
        (written,) = _shown(first, {word})
        found.append(Difference("direction", f"{mine} {written} against {theirs} {written}"))
    if pair := exchanged(first, second, words.shared):
        found.append(Difference("order", f"{' and '.join(sorted(_shown(first, pair)))} have changed places"))
    return found
