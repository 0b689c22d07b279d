"""What differs between two questions, by name and in words for a person. It compares readings and judges nothing: which
differences forbid one answer for both is said on each, what the others weigh is learned elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tuppence.cache.amounts import Amount
from tuppence.cache.reading import Reading
from tuppence.cache.word_lists import Tongue, WordLists, known_words, word_lists

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
_DIRECTED = frozenset({frozenset({"to", "from"}), frozenset({"for", "against"})})
"""Prepositions that turn a question round when they lead to the same word; elsewhere they are mere grammar."""
_SLIP_CHARS = 6
"""Shorter words have too many neighbours one letter away."""


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
    grammar: float
    """The part of the small words ("to", "is", "some") that has no counterpart, in [0, 1]."""

    @property
    def decisive(self) -> Difference | None:
        """The first difference that forbids one answer for both."""
        return self.differences[0] if self.differences and self.differences[0].decisive else None


def compare(first: Reading, second: Reading) -> Comparison:
    """Tell what differs between two questions; symmetric but for the order in which the words name the sides."""
    if first.text == second.text:
        return Comparison((), 0, 0, len(first.content_set), 0.0)
    lists = word_lists()
    tongue = lists.tongue(first.language)
    found: list[Difference] = []
    more_first, more_second = _surplus(first.words, second.words), _surplus(second.words, first.words)
    shared = set(first.content_set & second.content_set)
    only_first, only_second = set(first.content_set - shared), set(second.content_set - shared)
    # Said once more is nothing new, unless the other side says another word in its place.
    only_first, only_second = (
        only_first | (more_first & shared if only_second else set()),
        only_second | (more_second & shared if only_first else set()),
    )
    _pair_up(first, second, only_first, only_second)
    found += _scripts(first, second)
    found += _amounts(first.amounts, second.amounts)
    found += _sets("date", first.moments, second.moments)
    found += _opposites(more_first, more_second, tongue)
    found += _units(first, second, only_first, only_second, lists)
    found += _negation(first, second, only_first, only_second, lists)
    found += _quantifiers(first, second, lists)
    found += _asked(first, second)
    found += _names(first, second, only_first, only_second)
    found += _directions(first, second, shared)
    swapped = _swap(first, second, shared)
    if swapped:
        found.append(swapped)
    if first.signs != second.signs:
        found.append(Difference("sign", f"{first.signs or 'none'} against {second.signs or 'none'}"))
    if not (first.listed and second.listed) and (only_first or only_second):
        found.append(Difference("words", _sides(_shown(first, only_first), _shown(second, only_second))))
    found.sort(key=lambda difference: not difference.decisive)
    if (only_first or only_second) and not (found and found[0].decisive):
        found.append(Difference("words", _sides(_shown(first, only_first), _shown(second, only_second)), False))
    grammar = _grammar(first, second, more_first, more_second)
    return Comparison(tuple(found), len(only_first), len(only_second), len(shared), grammar)


def _grammar(first: Reading, second: Reading, more_first: set[str], more_second: set[str]) -> float:
    small = len(first.words) + len(second.words) - len(first.content_set) - len(second.content_set)
    odd = len(more_first - first.content_set) + len(more_second - second.content_set)
    return odd / small if small else 0.0


def _surplus(mine: Mapping[str, int], theirs: Mapping[str, int]) -> set[str]:
    return {word for word, times in mine.items() if times > theirs.get(word, 0)}


def _order(reading: Reading, shared: set[str]) -> list[str]:
    return [word for word in dict.fromkeys(reading.content) if word in shared]


def _shown(reading: Reading, words: Iterable[str]) -> list[str]:
    chosen = set(words)
    return [reading.shown.get(word, word) for word in dict.fromkeys(reading.content) if word in chosen]


def _sides(first: Iterable[str], second: Iterable[str]) -> str:
    sides = [", ".join(side) for side in (first, second)]
    if not sides[1] or not sides[0]:
        return f"{sides[0] or sides[1]} in one only"
    return f"{sides[0]} against {sides[1]}"


def _pair_up(first: Reading, second: Reading, only_first: set[str], only_second: set[str]) -> None:
    """Drop what is the same word after all: slips of the pen, words written apart, acronyms spelled out."""
    for mine, theirs in ((only_first, only_second), (only_second, only_first)):
        other = second if mine is only_first else first
        own = first if mine is only_first else second
        for word in tuple(mine):
            if word not in mine:
                continue
            if match := next((w for w in theirs if _is_slip(word, w)), None):
                mine.discard(word)
                theirs.discard(match)
            elif word in own.acronyms and len(word) > 1 and (at := other.initials.find(word)) >= 0:
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


def _opposites(mine: set[str], theirs: set[str], tongue: Tongue) -> list[Difference]:
    if not mine or not theirs:
        return []
    groups: dict[int, str] = {}
    for word in mine:
        for group in tongue.opposites.get(word, ()):
            groups[group] = word
    for word in theirs:
        for group in tongue.opposites.get(word, ()):
            if group in groups and frozenset({groups[group], word}) not in _DIRECTED:
                return [Difference("opposite", f"{groups[group]} against {word}")]
    return []


def _units(
    first: Reading, second: Reading, only_first: set[str], only_second: set[str], lists: WordLists
) -> list[Difference]:
    for word in only_first:
        kind = lists.units.get(word, ("",))[0]
        for other in only_second if kind else ():
            other_kind = lists.units.get(other, ("",))[0]
            if other_kind and _FAMILY.get(kind, kind) == _FAMILY.get(other_kind, other_kind):
                return [Difference("unit", _sides(_shown(first, [word]), _shown(second, [other])))]
    return []


def _negation(
    first: Reading, second: Reading, only_first: set[str], only_second: set[str], lists: WordLists
) -> list[Difference]:
    if (first.negations - second.negations) % 2:
        return [Difference("negation", "in one only")]
    reversed_first, reversed_second = only_first & lists.reversers, only_second & lists.reversers
    if bool(reversed_first) != bool(reversed_second) and not (first.content_set & second.content_set & lists.reversers):
        return [Difference("negation", _sides(_shown(first, reversed_first), _shown(second, reversed_second)))]
    for mine, theirs in ((only_first, second), (only_second, first)):
        for word in mine:
            if base := _unprefixed(word, theirs.words, lists):
                return [Difference("negation", f"{word} against {base}")]
    return []


def _unprefixed(word: str, words: Mapping[str, int], lists: WordLists) -> str | None:
    """Return the word that `word` negates, where the other question has it."""
    for prefix in _PREFIXES:
        if word.startswith(prefix) and word[len(prefix) :] in words and not word.startswith(lists.kept_prefixes):
            return word[len(prefix) :]
    return word[:-4] if word.endswith("less") and word[:-4] in words else None


def _quantifiers(first: Reading, second: Reading, lists: WordLists) -> list[Difference]:
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


def _names(first: Reading, second: Reading, only_first: set[str], only_second: set[str]) -> list[Difference]:
    mine, theirs = first.names & only_first, second.names & only_second
    if mine or theirs:
        return [Difference("name", _sides(_shown(first, mine), _shown(second, theirs)))]
    return []


def _directions(first: Reading, second: Reading, shared: set[str]) -> list[Difference]:
    for word in shared:
        a, b = first.markers[word], second.markers[word]
        if a != b and frozenset({a, b}) in _DIRECTED:
            return [Difference("direction", f"{a} {word} against {b} {word}")]
    return []


def _describes(reading: Reading, word: str, other: str) -> bool:
    """Tell whether one of two words stands right before the other, as in "the sandy beach"."""
    a, b = sorted((reading.ordered.index(word), reading.ordered.index(other)))
    return b - a == 1


def _swap(first: Reading, second: Reading, shared: set[str]) -> Difference | None:
    """Find two words that have changed places: each stands where, by its preposition, the other stood."""
    markers: tuple[Mapping[str, str], Mapping[str, str]] = (first.markers, second.markers)
    moved = [word for word in shared if markers[0][word] != markers[1][word]]
    for i, word in enumerate(moved):
        for other in moved[i + 1 :]:
            exchanged = markers[0][word] == markers[1][other] and markers[1][word] == markers[0][other]
            if exchanged and not (_describes(first, word, other) or _describes(second, word, other)):
                return Difference("order", f"{' and '.join(sorted((word, other)))} have changed places")
    a, b = _order(first, shared), _order(second, shared)
    if a == b or len(shared) < len(first.content_set) or len(shared) < len(second.content_set):
        return None
    out = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
    pair = {a[out[0]], a[out[-1]]}
    if len(out) != 2 or pair in first.links or pair in second.links or pair & set(moved):
        return None
    if out[1] - out[0] > 1 or pair <= first.names | second.names:
        return Difference("order", f"{' and '.join(sorted(pair))} have changed places")
    return None
