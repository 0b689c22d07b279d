"""A schema's shared definitions: those that nothing refers to left out, those that one place refers to put there.

Only references that plainly name a definition of the schema itself are followed; with any other, all stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tuppence.prune.prompts.vocabulary import mapped

_PLACES = ("$defs", "definitions")
_PLAIN_REF = re.compile(r"#/(\$defs|definitions)/([^/~%]+)")
_OTHER_WAYS = frozenset({"$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor"})
_REMARKS = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"})
"""What may stand beside a reference without changing what is valid, in every draft of JSON Schema."""

_Name = tuple[str, str]


def settled(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return an equal schema in which every definition is referred to more than once."""
    known = {(place, name): one for place in _PLACES for name, one in _definitions(schema, place).items()}
    body = {key: value for key, value in schema.items() if key not in _PLACES}
    if not known or not _followed(schema, known):
        return dict(schema)
    used = _uses(body, known)
    once = {name for name, times in used.items() if times == 1 and isinstance(known[name], Mapping)}
    kept = set(used) - once

    def put(one: Any) -> Any:
        if not isinstance(one, Mapping):
            return one
        name = _target(one.get("$ref"))
        if name in once and _REMARKS.issuperset(one.keys() - {"$ref"}):
            remarks = {key: value for key, value in one.items() if key != "$ref"}
            return put({**remarks, **{key: value for key, value in known[name].items() if key not in remarks}})
        if name in once:
            kept.add(name)
        return mapped(one, put)

    found: dict[str, Any] = dict(put(body))
    return found | _placed(kept, known, put)


def _placed(kept: set[_Name], known: Mapping[_Name, Any], put: Callable[[Any], Any]) -> dict[str, Any]:
    """Write the definitions that stay; one of them may need another."""
    done: dict[_Name, Any] = {}
    while waiting := [name for name in known if name in kept and name not in done]:
        done |= {name: put(known[name]) for name in waiting}
    placed: dict[str, Any] = {}
    for name in known:
        if name in done:
            placed.setdefault(name[0], {})[name[1]] = done[name]
    return placed


def _definitions(schema: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    found = schema.get(place)
    return found if isinstance(found, Mapping) else {}


def _followed(schema: Any, known: Mapping[_Name, Any]) -> bool:
    """Say whether every reference of the schema is understood."""
    return all(
        key not in _OTHER_WAYS and (key != "$ref" or (_target(value) in known)) for key, value in _entries(schema)
    )


def _uses(body: Mapping[str, Any], known: Mapping[_Name, Any]) -> Counter[_Name]:
    """Count how often each definition is referred to, from what is itself referred to."""
    used: Counter[_Name] = Counter()
    waiting: list[Any] = [body]
    while waiting:
        for key, value in _entries(waiting.pop()):
            name = _target(value) if key == "$ref" else None
            if name is None:
                continue
            if name not in used:
                waiting.append(known[name])
            used[name] += 1
    return used


def _target(ref: Any) -> _Name | None:
    found = _PLAIN_REF.fullmatch(ref) if isinstance(ref, str) else None
    return None if found is None else (found[1], found[2])


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value anywhere within, data included: what only looks like a reference is counted as one."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _entries(inner)
