"""The streams of an SDK behind a tier's stream: closed with it, so that a provider stops to generate, and to bill.

LlamaIndex never closes them, and each refers to itself, so that only the garbage collector would. A tier's client is
therefore copied, and the copy notes the streams that it opens for the ask under way. It must never change a client
that the user holds, nor touch a connection that another call may have by now.
"""

from __future__ import annotations

import copy
import inspect
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from functools import cached_property
from typing import Any

import httpx

Change = Callable[[dict[str, Any]], dict[str, Any]]

_asking: ContextVar[OpenStreams | None] = ContextVar("llama_index_tuppence_asking", default=None)


def inside_a_tier() -> bool:
    """Say whether the code that runs is a tier's own: what handlers hear then is accounted by its settled call."""
    return _asking.get() is not None


def inside_a_budget() -> bool:
    """Say whether the code that runs is a tier's own, and the budgets of its call hold room for it."""
    asking = _asking.get()
    return asking is not None and asking.budgeted


class OpenStreams:
    """The SDK streams of one ask; entered, it marks what runs as that tier's own, and takes in what that opens.

    `change` is what is to be made of the SDK's request before it is sent.

    A class, since every chunk of a stream passes through: a generator is slower.
    """

    __slots__ = ("_change", "_streams", "_token", "budgeted")

    def __init__(self, change: Change | None = None, *, budgeted: bool = False) -> None:
        self.budgeted = budgeted
        """The call has budgets of its own."""
        self._change = change
        self._streams: list[Any] = []
        self._token: Token[OpenStreams | None]

    def __enter__(self) -> None:
        self._token = _asking.set(self)

    def __exit__(self, *_: object) -> None:
        _asking.reset(self._token)

    def changed(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the request that the SDK is asked with, in this ask's words."""
        return request if self._change is None else self._change(request)

    def note(self, stream: Any) -> Any:
        # Of a client that some observer has wrapped, it may be a plain generator.
        if isinstance(getattr(stream, "response", None), httpx.Response):
            self._streams.append(stream)
        return stream

    def close(self) -> None:
        for stream in self._streams:
            stream.close()

    async def aclose(self) -> None:
        for stream in self._streams:
            closing = stream.close()
            # A class may have its sync stream stand in for the async one.
            if inspect.isawaitable(closing):
                await closing

    def cut(self) -> None:
        """Break the connections off while another thread may be reading: it wakes up and closes them itself.

        Not `close`: the number of a socket that is closed under its reader may be another socket's by the next read.
        """
        for stream in self._streams:
            response: httpx.Response = stream.response
            # A connection of HTTP/2 carries other calls as well; one whose answer was read may serve the next.
            if response.http_version != "HTTP/1.1" or response.is_closed:
                continue
            network = response.extensions.get("network_stream")
            connection = None if network is None else network.get_extra_info("socket")
            if connection is not None:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def noting(client: Any, resources: tuple[str, ...]) -> Any:
    """Copy an SDK's client; the copy notes the streams that `create` of these resources (`chat.completions`) opens."""
    noted = copy.copy(client)
    for path in resources:
        part = noted
        for name in path.split("."):
            setattr(part, name, copy.copy(getattr(part, name)))
            part = getattr(part, name)
        part.create = _noting_create(part.create)
    return noted


class LateClient:
    """A client that is made at its first use, as LlamaIndex's OpenAI class makes its own; its streams are noted."""

    def __init__(self, make: Callable[[], Any], resources: tuple[str, ...]) -> None:
        self._make = make
        self._resources = resources

    @cached_property
    def _client(self) -> Any:
        return noting(self._make(), self._resources)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _noting_create(create: Callable[..., Any]) -> Callable[..., Any]:
    def noting_create(**request: Any) -> Any:
        asking = _asking.get()
        answer = create(**(request if asking is None else asking.changed(request)))
        if asking is None or not request.get("stream"):
            return answer
        return _awaited(answer, asking) if inspect.isawaitable(answer) else asking.note(answer)

    return noting_create


async def _awaited(answer: Awaitable[Any], asking: OpenStreams) -> Any:
    return asking.note(await answer)
