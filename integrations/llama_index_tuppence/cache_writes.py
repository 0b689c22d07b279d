"""How long Anthropic keeps what a call wrote to its prompt cache: an hour at twice the input price, or five minutes.

Only a stream's first event splits the writes by lifetime, and LlamaIndex's class drops that event. A tier's client is
therefore copied, and the copy repeats in a stream's last count what the first one said. It must never change a client
that the user holds, nor choose a lifetime where neither the provider nor the request tells it.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any, Self

from pydantic import BaseModel

from tuppence.errors import UsageError
from tuppence.usage.fields import count, field, has
from tuppence.usage.from_anthropic import untold_writes

_ORDINARY = "5m"
"""What a `cache_control` without `ttl` asks for: https://platform.claude.com/docs/en/build-with-claude/prompt-caching"""
_SPLIT = {_ORDINARY: "ephemeral_5m_input_tokens", "1h": "ephemeral_1h_input_tokens"}


def lifetime_untold(usage: Any) -> int:
    """Count the cache writes in a usage payload of Anthropic's of which it does not say how long they are kept."""
    # Gateways that speak OpenAI's words add Anthropic's count to them.
    return 0 if has(usage, "prompt_tokens") else untold_writes(usage)


def only_lifetime(asked: Any) -> str | None:
    """Name the one lifetime (`5m`, `1h`) that every `cache_control` in what was asked has; None for none, or several.

    Reads a request as it is sent, and LlamaIndex's messages.
    """
    found: set[str] = set()
    pending = [asked]
    while pending:
        one = pending.pop()
        if isinstance(one, BaseModel):
            one = vars(one)
        if isinstance(one, Mapping):
            control = one.get("cache_control")
            if control:
                found.add(field(control, "ttl") or _ORDINARY)
            pending.extend(one.values())
        elif isinstance(one, list | tuple):
            pending.extend(one)
    return found.pop() if len(found) == 1 else None


def telling(client: Any) -> Any:
    """Copy an Anthropic client; every answer that comes through the copy says all it can of its cache writes."""
    told = copy.copy(client)
    told.messages = copy.copy(client.messages)
    create = client.messages.create

    def telling_create(**request: Any) -> Any:
        answer = create(**request)
        return _awaited(answer, request) if inspect.isawaitable(answer) else _told(answer, request)

    told.messages.create = telling_create
    return told


async def _awaited(answer: Awaitable[Any], request: Mapping[str, Any]) -> Any:
    return _told(await answer, request)


def _told(answer: Any, request: Mapping[str, Any]) -> Any:
    if request.get("stream"):
        return _Stream(answer, request)
    _split(field(answer, "usage"), request)
    return answer


def _split(usage: Any, request: Mapping[str, Any]) -> None:
    """Say how long writes are kept where only the request tells it: a gateway leaves the split out, and a stream's
    last event may count more than its first one split.
    """
    try:
        untold = lifetime_untold(usage)
    except UsageError:
        return  # Whoever reads the usage says so, and the answer goes on.
    if untold and (kept := _SPLIT.get(only_lifetime(request) or "")):
        told = {name: count(field(usage, "cache_creation"), name) for name in _SPLIT.values()}
        usage.cache_creation = {**told, kept: told[kept] + untold}


class _Stream:
    """A stream of events whose `message_delta` repeats what only `message_start` said of the usage."""

    def __init__(self, events: Any, request: Mapping[str, Any]) -> None:
        self._events = events
        self._request = request
        self._begun: Mapping[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._seen(next(self._events))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._seen(await anext(self._events))

    def _seen(self, event: Any) -> Any:
        kind = field(event, "type")
        if kind == "message_start":
            begun = event.message.usage
            self._begun = {} if begun is None else {**vars(begun), **(begun.__pydantic_extra__ or {})}
        elif kind == "message_delta" and event.usage is not None:
            for name, value in self._begun.items():
                if field(event.usage, name) is None:
                    setattr(event.usage, name, value)
            _split(event.usage, self._request)
        return event
