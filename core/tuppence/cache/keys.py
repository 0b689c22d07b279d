"""Which requests may be answered from the exact cache, and under which key.

It must never give one key to two tenants, nor to two requests that could be answered differently; when in
doubt a request has no key. What a key covers is `Request.fingerprint`'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuppence.errors import ScopeError
from tuppence.request import Request


@dataclass(frozen=True, slots=True)
class Uncacheable:
    """Why a request has no key."""

    reason: str


def cache_key(
    request: Request,
    scope: str,
    *,
    tool_turns: bool = False,
    sampled: bool = False,
    require_tenant: bool = False,
) -> str | Uncacheable:
    """Return the key of `request` in `scope` as 32 hex digits, or why it has none.

    The only tag that enters is `tenant`. Raises `ScopeError` where a tenant is required and the request names
    none.
    """
    tenant = request.tags.get("tenant")
    if require_tenant and not tenant:
        raise ScopeError(
            f"the cache requires a tenant and the request has none (tags: {dict(request.tags)!r}): "
            "tag the call with tenant='...'"
        )
    if not tool_turns and is_tool_turn(request):
        return Uncacheable("a tool-calling turn")
    if not sampled and (asked := _sampling(request.params)):
        return Uncacheable(f"sampled: {asked}")
    if part := _unhashable_part(request):
        return Uncacheable(f"{part} with a value that is not JSON")
    # One scope text or two: the lengths differ, so that no tenant's name can stand for "no tenant".
    return request.fingerprint(scope) if tenant is None else request.fingerprint(scope, tenant)


def is_tool_turn(request: Request) -> bool:
    return bool(request.tools) or any(m.tool_calls or m.role == "tool" for m in request.messages)


def _sampling(params: Mapping[str, Any]) -> str | None:
    """Say by which parameter the caller asked for variety; what is unset, or None, was not asked for."""
    if (n := params.get("n")) not in (None, 1):
        return f"n={n!r}"
    temperature = params.get("temperature")
    if temperature is not None:
        return f"temperature={temperature!r}" if temperature != 0 else None
    top_p = params.get("top_p")
    return f"top_p={top_p!r}" if top_p not in (None, 0, 1) else None


def _unhashable_part(request: Request) -> str | None:
    """Name the part of `request` whose fingerprint would hang on a `repr`.

    A repr may name an address, which another object can have a moment later, or leave out what tells two
    objects apart.
    """
    if request.params and not _is_json(request.params):
        return "params"
    if request.tools and not _is_json(request.tools):
        return "tools"
    if request.schema is not None and not _is_json(request.schema):
        return "schema"
    return next(("a message" for m in request.messages if m.extra is not None and not _is_json(m.extra)), None)


def _is_json(value: object) -> bool:
    if value is None or isinstance(value, str | int | float):
        return True
    if isinstance(value, dict):
        # Keys of mixed types cannot be sorted; all int is what `logit_bias` looks like.
        kinds = {type(name) for name in value}
        return (not kinds or kinds == {str} or kinds == {int}) and all(map(_is_json, value.values()))
    return isinstance(value, list | tuple) and all(map(_is_json, value))
