"""Plain YAML that readers of YAML 1.1 and 1.2 take for the same: a line for each entry, small objects on theirs.

Words that either of them could read as something other than a string stay in quotes.
"""

from __future__ import annotations

import re
from typing import Any

from tuppence.errors import RequestError
from tuppence.prune.payloads.values import JsonValue, compact

_WORD = re.compile(r"(?:[a-z_]|\d(?=.*[g-np-wyz]))[\w ./@+-]*", re.ASCII | re.IGNORECASE)
"""Without a colon, no number or date of either version begins with a digit and has a letter past f, but for x and o."""
_TAKEN = frozenset("true false null yes no on off y n".split())
_BARE_EXPONENT = re.compile(r"\A(-?\d+)e", re.ASCII)


def as_yaml(value: JsonValue) -> str | None:
    """Write an object or a list; None for a scalar, which has nothing to gain."""
    return "\n".join(_lines(value)) if isinstance(value, (dict, list)) and value else None


def from_yaml(text: str) -> JsonValue:
    import yaml

    # The C reader is ten times as fast; wheels for all common platforms have it.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RequestError(f"this is no YAML ({error}): pass what was written as YAML") from None


def _lines(value: JsonValue) -> list[str]:
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _entry(f"{_scalar(key)}:", inner)]
    return [line for inner in value for line in _entry("-", inner)]


def _entry(head: str, value: JsonValue) -> list[str]:
    if not isinstance(value, (dict, list)) or not any(isinstance(one, (dict, list)) and one for one in _inside(value)):
        return [f"{head} {_flow(value)}"]
    return [head, *(f" {line}" for line in _lines(value))]


def _flow(value: JsonValue) -> str:
    if isinstance(value, dict):
        return f"{{{','.join(f'{_scalar(key)}: {_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_flow, value))}]"
    return _scalar(value)


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def _scalar(value: JsonValue) -> str:
    if not isinstance(value, str):
        # Readers of YAML 1.1 take 1e+16 for a string and 1.0e+16 for a number.
        return _BARE_EXPONENT.sub(r"\1.0e", compact(value))
    word = _WORD.fullmatch(value) is not None and value[-1] != " "
    return value if word and value.lower() not in _TAKEN else compact(value)
