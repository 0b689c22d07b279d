"""The lane as a connection: an SDK's client sends its request as ever, and gets its answer hours later.

So the body is the one that the user's own model makes, and the answer is read by it, whatever framework it belongs to.
What cannot go through the lane, or must not wait any longer, is sent on at once, unchanged, over the client's own
connections. No header and no key ever reaches the queue.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from tuppence.batch.queue import going
from tuppence.batch.queue.going import Going

C = TypeVar("C")

_URLS: Mapping[str, str] = {
    "/chat/completions": "/v1/chat/completions", "/responses": "/v1/responses", "/embeddings": "/v1/embeddings",
    "/messages": "/v1/messages",
}  # fmt: skip
_DECODED = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def endpoint_of(client: Any) -> str:
    """Name the API that an SDK's client asks, as the queue does: `https://api.openai.com/v1`."""
    base = str(client.base_url).rstrip("/")
    speaks_messages = hasattr(client, "messages") and not hasattr(client, "chat")
    return f"{base}/v1" if speaks_messages else base


def over_lane(client: C, at_once: Any) -> C:
    """Copy an SDK's client, sync or async; the copy asks through the lane. `at_once` is a sync client of the same API:
    what cannot wait goes over its connections, whatever event loop asks.
    """
    sdk: Any = client
    library = _library(sdk._client)
    kind = library.AsyncClient if hasattr(sdk._client, "aclose") else library.Client
    # Proxies are the inner client's matter.
    http = kind(transport=LaneTransport(at_once._client, library), trust_env=False)
    copy: C = sdk.with_options(http_client=http)
    return copy


def _library(http_client: Any) -> Any:
    """Return the HTTP library that an SDK is built on: newer ones have another than httpx."""
    roots = (cls.__module__.partition(".")[0] for cls in type(http_client).__mro__)
    return importlib.import_module(next(root for root in roots if root.startswith("httpx")))


class LaneTransport:
    """What the copy's HTTP client sends its requests by."""

    def __init__(self, inner: Any, library: Any) -> None:
        self._inner = inner
        self._library = library

    def handle_request(self, request: Any) -> Any:
        under_way = going.current()
        if under_way is not None and (parcel := _parcel(request, under_way)) is not None:
            answer = under_way.wait(*parcel)
            if answer is not None:
                return self._response(answer)
        return self._inner.send(request, stream=True)

    async def handle_async_request(self, request: Any) -> Any:
        under_way = going.current()
        if under_way is not None and (parcel := _parcel(request, under_way)) is not None:
            answer = await under_way.await_(*parcel)
            if answer is not None:
                return self._response(answer)
        # In a thread: an async client's connections belong to the loop that it was first used in.
        return await asyncio.to_thread(self._sent, request)

    def _sent(self, request: Any) -> Any:
        told = self._inner.build_request(
            request.method, request.url, headers=request.headers, content=request.content,
            extensions=request.extensions,
        )  # fmt: skip
        answer = self._inner.send(told)
        headers = [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in _DECODED]
        return self._library.Response(answer.status_code, headers=headers, content=answer.content)

    def _response(self, body: str) -> Any:
        headers = {"content-type": "application/json"}
        return self._library.Response(200, headers=headers, content=body.encode("utf-8"))

    def close(self) -> None:
        """Close nothing: the connections are another client's."""

    async def aclose(self) -> None:
        """Close nothing: the connections are another client's."""


def _parcel(request: Any, under_way: Going) -> tuple[str, str, dict[str, Any]] | None:
    """Read endpoint, url and body out of a request; None, with the reason told, for one that no batch takes."""
    address = str(request.url)
    suffix = next((one for one in _URLS if address.endswith(one)), None)
    if suffix is None:
        under_way.refuse("batches take nothing for this address")
        return None
    if request.headers.get("anthropic-beta"):
        under_way.refuse("it needs beta headers, which batches do not carry")
        return None
    body = json.loads(request.content)
    if body.pop("stream", False):
        under_way.refuse("it is a stream")
        return None
    return address.removesuffix(suffix), _URLS[suffix], body
