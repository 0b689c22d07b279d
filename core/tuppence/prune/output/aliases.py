"""Short names for the keys and enum values of a schema: initials where they are free, letters where not, and none where
a name is as short already. A short name never equals a name that stays, so that the way back is never in doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, product
from string import ascii_lowercase

from tuppence.prune.audit import TokenCounter
from tuppence.prune.output.schema_walk import Schema, reached

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_Values = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Aliases:
    """What each long name is called."""

    short_keys: Mapping[str, str]
    """Long name to short one, for the keys that have one: the same everywhere in the schema."""
    long_keys: Mapping[str, str]
    shown: frozenset[str]
    """Every key that an answer in short names may have."""
    values: Mapping[_Values, Mapping[str, str]]
    """By the values of an enum: long value to short one."""

    def values_at(self, node: Schema) -> Mapping[str, str]:
        """Return the short values of the enum at a part of the schema; none where there is no enum."""
        return self.values.get(_values(node), {})

    def short_value(self, node: Schema, value: str) -> str:
        return self.values_at(node).get(value, value)

    def long_value(self, node: Schema, value: str) -> str:
        return next((long for long, short in self.values_at(node).items() if short == value), value)


def aliases_for(root: Schema, counter: TokenCounter) -> Aliases:
    """Choose short names for all that an answer can reach; the same schema gives the same names.

    An enum that may stand where another schema could hold too keeps its values: a short one might be the other's text.
    """
    names: dict[str, None] = {}
    sure: dict[_Values, None] = {}
    unsure: set[_Values] = set()
    for node, only in reached(root):
        names.update(dict.fromkeys(node.get("properties", ())))
        if "enum" in node and only:
            sure[_values(node)] = None
        elif "enum" in node:
            unsure.add(_values(node))
    keys = _shortened(names, lambda name: counter(f'{{"{name}":'))
    return Aliases(
        keys,
        {short: name for name, short in keys.items()},
        frozenset(keys.get(name, name) for name in names),
        {
            values: _shortened([one for one in values if isinstance(one, str)], lambda value: counter(f'"{value}"'))
            for values in sure
            if values not in unsure
        },
    )


def _values(node: Schema) -> _Values:
    # True is 1 in Python and not in JSON: the type goes with the value.
    return tuple(value if isinstance(value, str) else (type(value).__name__, value) for value in node.get("enum", ()))


def _shortened(names: Iterable[str], tokens: Callable[[str], int]) -> dict[str, str]:
    names = list(names)
    taken = set(names)
    short: dict[str, str] = {}
    for name in names:
        limit = tokens(name)
        if limit <= tokens("a"):
            continue
        for candidate in _candidates(name):
            if candidate not in taken:
                if tokens(candidate) < limit:
                    short[name] = candidate
                    taken.add(candidate)
                break
    return short


def _candidates(name: str) -> Iterator[str]:
    """Offer initials, the first letter, then all letters, pairs of letters and so on."""
    initials = "".join(word[0] for word in _WORD.findall(name)).lower()
    yield from filter(None, (initials, initials[:1]))
    for length in count(1):
        for letters in product(ascii_lowercase, repeat=length):
            yield "".join(letters)
