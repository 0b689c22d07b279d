"""Scalars without quotes where nothing else could be meant: shared by the forms that write words bare.

A string that a person might take for a number, a truth value or nothing stays in quotes.
"""

from __future__ import annotations

import json
import re

from tuppence.prune.payloads.values import JsonValue, compact

_PLAIN = re.compile(r'[^\s,{}\[\]":*-][^,{}\[\]"]*')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None}
_TAKEN = frozenset({*_WORDS, "none", "nil"})
"""Words, in lower case, that are not written bare."""


def is_plain(text: str) -> bool:
    """Say whether a string may stand without quotes."""
    if _PLAIN.fullmatch(text) is None or text[-1] == " " or not text.isprintable():
        return False
    return text.lower() not in _TAKEN and not _reads_as_number(text)


def spelt(value: JsonValue) -> str:
    """Write a scalar, a string without quotes where it can do without."""
    return value if isinstance(value, str) and is_plain(value) else compact(value)


def scalar(text: str) -> JsonValue:
    """Read a scalar that stands without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    return json.loads(text) if _NUMBER.fullmatch(text) else text


def _reads_as_number(text: str) -> bool:
    # Python's own reading is the widest at hand: leading zeros, underscores, infinities, digits of every script.
    try:
        float(text)
    except ValueError:
        return False
    return True
