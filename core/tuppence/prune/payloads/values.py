"""JSON values and their plain spelling: what a payload stands for, and when two payloads are the same.

Two values are the same when their JSON is: 1 is not 1.0, "1" is not 1, and the order of keys counts. Nothing here
accepts what JSON cannot say exactly.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tuppence.errors import RequestError

JsonValue = Any
"""None, bool, int, float, str, or lists and string-keyed dicts of them."""

_UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\ud800-\udfff\ufffe\uffff]")
"""Characters that are not seen, end a line for some readers, or have no UTF-8: they stay escaped."""


def compact(value: JsonValue) -> str:
    """Write a value as JSON without whitespace, letters of every script as they are.

    Raises `RequestError` where `json.dumps` would fail, and for NaN and the infinities, which JSON does not know.
    """
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(
            f"this {type(value).__name__} is no JSON value ({error}): pass what json.dumps takes"
        ) from None
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def parsed(text: str) -> JsonValue:
    """Read JSON and refuse what would not come back as it stood.

    Raises `RequestError` for what is no JSON, for a key that an object has twice, and for numbers that are none or
    that a float cannot hold.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
    except RequestError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"{str(text)[:40]!r} is no JSON ({error}): pass one JSON value") from None


def same(one: JsonValue, other: JsonValue) -> bool:
    """Say whether two values are the same, types and the order of keys included."""
    return compact(one) == compact(other)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise RequestError(f"an object has the key {twice!r} twice: which of them counts is a guess, so keep one")


def _no_number(name: str) -> JsonValue:
    raise RequestError(f"{name} is no JSON number: write null, or a number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise RequestError(f"{text} is larger than a float can be: write it as a string")
    return number
