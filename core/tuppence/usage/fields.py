"""Field access over whatever a provider's client returned: a dict, a pydantic model, an SDK object.

Everything here must stay tolerant about the container and strict about the number: a count that is not a
non-negative integer is an error, never a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuppence.errors import UsageError


def field(source: Any, *names: str) -> Any:
    """Return the first of `names` that `source` has with a value, else None."""
    if type(source) is dict or isinstance(source, Mapping):
        for name in names:
            value = source.get(name)
            if value is not None:
                return value
        return None
    for name in names:
        value = getattr(source, name, None)
        if value is not None:
            return value
    return None


def plain(source: Any) -> Any:
    """Turn a pydantic model and the models in it into dicts, unknown fields included; leave the rest as it
    is.

    Asking a model for a field that it lacks takes microseconds, and readers ask for many.
    """
    if not getattr(type(source), "__pydantic_complete__", False):
        return source
    known = {name: plain(value) for name, value in vars(source).items()}
    return known | (source.__pydantic_extra__ or {})


def count(source: Any, *names: str) -> int:
    """Return the first of `names` as a token count; 0 when the provider left it out.

    Raises `UsageError` for anything that is not a non-negative whole number.
    """
    value = field(source, *names) if source is not None else None
    if type(value) is int and value >= 0:
        return value
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{names[0]} is {value!r}, which is not a count; expected a whole number of 0 or more")
    return value


def has(source: Any, *names: str) -> bool:
    """Say whether `source` carries any of `names` with a value."""
    return field(source, *names) is not None


def part(whole: int, *parts: int, names: str) -> int:
    """Return what is left of `whole` after its `parts`.

    Raises `UsageError` when the parts are more than the whole: a server that reports cached tokens outside of
    its total would otherwise be billed wrongly in silence.
    """
    rest = whole - sum(parts)
    if rest < 0:
        raise UsageError(
            f"{names}: the parts {parts} exceed their total {whole}; "
            "the payload counts them separately, so read it with the api it was written for"
        )
    return rest


def need(payload: Any, *names: str) -> None:
    """Raise `UsageError` unless the payload carries one of the fields that make it usage."""
    if payload is None or not has(payload, *names):
        got = sorted(payload) if isinstance(payload, Mapping) else type(payload).__name__
        raise UsageError(f"no usage in the payload: expected one of {', '.join(names)}, got {got}; "
                         "pass the response's usage object and the api it came from")  # fmt: skip
