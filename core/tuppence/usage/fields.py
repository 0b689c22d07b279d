"""Field access over whatever a provider's client returned: a dict, a pydantic model, an SDK object.

Everything here must stay tolerant about the container and strict about the number: a count that is not a
non-negative integer is an error, never a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuppence.errors import UsageError


def field(source: Any, *names: str) -> Any:
    """Return the first of `names` that `source` has with a value, else None; of a pydantic model, its fields only."""
    if source is None:
        return None
    if type(source) is dict:
        told: Mapping[str, Any] = source
    elif _is_model(source):
        # Asked by `getattr` for a field that it lacks, a model takes microseconds to say so, and most lack most names.
        told = source.__dict__
        if source.__pydantic_extra__:
            told = {**told, **source.__pydantic_extra__}
    elif isinstance(source, Mapping):
        told = source
    else:
        return _attribute(source, names)
    for name in names:
        value = told.get(name)
        if value is not None:
            return value
    return None


def _is_model(source: Any) -> bool:
    # Not `__pydantic_complete__`: OpenAI's and Anthropic's SDKs make their objects without the validation that sets it.
    return hasattr(type(source), "__pydantic_extra__")


def _attribute(source: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(source, name, None)
        if value is not None:
            return value
    return None


def plain(source: Any) -> Any:
    """Turn a pydantic model and the models in it into dicts, unknown fields included; leave the rest as it
    is.

    Readers ask for many names, and a dict answers fastest.
    """
    if not _is_model(source):
        return source
    known = {name: plain(value) if _is_model(value) else value for name, value in source.__dict__.items()}
    return {**known, **source.__pydantic_extra__} if source.__pydantic_extra__ else known


def count(source: Any, *names: str) -> int:
    """Return the first of `names` as a token count; 0 when the provider left it out.

    Raises `UsageError` for anything that is not a non-negative whole number.
    """
    if source is None:
        return 0
    if type(source) is dict:
        value = source.get(names[0])
        if type(value) is int and value >= 0:
            return value
    value = field(source, *names)
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
