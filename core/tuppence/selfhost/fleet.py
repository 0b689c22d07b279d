"""One address for several servers: an HTTP transport that sends each request to the least busy of them.

It is what an SDK's client is given as `http_client`, so that LangChain, LlamaIndex and the raw clients need to know of
nothing. A server that is not there, or turns a request away with 503, is passed over for the next; what a server has
begun to answer is never sent again from here, for that may be billed twice: whether to is the flow's to say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import httpx

from tuppence.selfhost.servers import NOT_THERE, Server, Servers

_FULL = 503
# As many as the OpenAI SDK allows a client of its own (openai/_constants.py, DEFAULT_CONNECTION_LIMITS).
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
# After these a server has gone while it was answering: others are asked until it is seen to be there again.
_GONE = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)


class LeastWaiting(httpx.BaseTransport):
    """Sends each request to the least busy of several servers: `httpx.Client(transport=LeastWaiting(urls))`.

    Give the client any of the servers' addresses as `base_url`. `inner` is what really sends.
    """

    def __init__(self, servers: Servers | str | Sequence[str], *, inner: httpx.BaseTransport | None = None) -> None:
        self.servers = servers if isinstance(servers, Servers) else Servers(servers)
        self._inner = inner or httpx.HTTPTransport(limits=_LIMITS)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request on; raise what the last server raised where none is there."""
        ordered = self.servers.in_order()
        for server in ordered[:-1]:
            try:
                response = self._sent(server, request)
            except NOT_THERE:
                continue
            if response.status_code != _FULL:
                return response
            response.close()
        return self._sent(ordered[-1], request)

    def close(self) -> None:
        self._inner.close()

    def _sent(self, server: Server, request: httpx.Request) -> httpx.Response:
        server.begun()
        try:
            response = self._inner.handle_request(_addressed(request, server, self.servers))
        except BaseException as error:
            _ended(server, error)
            raise
        assert isinstance(response.stream, httpx.SyncByteStream)
        return _told(response, _Counted(response.stream, server))


class AsyncLeastWaiting(httpx.AsyncBaseTransport):
    """Does the same for `httpx.AsyncClient`."""

    def __init__(
        self, servers: Servers | str | Sequence[str], *, inner: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.servers = servers if isinstance(servers, Servers) else Servers(servers)
        self._inner = inner or httpx.AsyncHTTPTransport(limits=_LIMITS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request on; raise what the last server raised where none is there."""
        ordered = self.servers.in_order()
        for server in ordered[:-1]:
            try:
                response = await self._sent(server, request)
            except NOT_THERE:
                continue
            if response.status_code != _FULL:
                return response
            await response.aclose()
        return await self._sent(ordered[-1], request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _sent(self, server: Server, request: httpx.Request) -> httpx.Response:
        server.begun()
        try:
            response = await self._inner.handle_async_request(_addressed(request, server, self.servers))
        except BaseException as error:
            _ended(server, error)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return _told(response, _AsyncCounted(response.stream, server))


class _UnderWay:
    """A request that counts until its answer is closed, however often that is."""

    def __init__(self, server: Server) -> None:
        self._server: Server | None = server

    def over(self, error: BaseException | None = None) -> None:
        server, self._server = self._server, None
        if server is not None:
            _ended(server, error)


class _Counted(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, server: Server) -> None:
        self._stream = stream
        self._under_way = _UnderWay(server)

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except httpx.TransportError as error:
            self._under_way.over(error)
            raise

    def close(self) -> None:
        self._under_way.over()
        self._stream.close()


class _AsyncCounted(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, server: Server) -> None:
        self._stream = stream
        self._under_way = _UnderWay(server)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except httpx.TransportError as error:
            self._under_way.over(error)
            raise

    async def aclose(self) -> None:
        self._under_way.over()
        await self._stream.aclose()


def _addressed(request: httpx.Request, server: Server, servers: Servers) -> httpx.Request:
    """Return the same request, addressed to this server; under its path, where it has one, in place of another's."""
    there = server.url
    path = there.raw_path.rstrip(b"/") + servers.path_within(request.url.raw_path)
    url = request.url.copy_with(scheme=there.scheme, host=there.host, port=there.port, raw_path=path)
    headers = request.headers.copy()
    headers["host"] = there.netloc.decode("ascii")
    return httpx.Request(
        request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
    )  # fmt: skip


def _told(response: httpx.Response, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.Response:
    return httpx.Response(
        response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
    )  # fmt: skip


def _ended(server: Server, error: BaseException | None) -> None:
    server.ended()
    if isinstance(error, (*NOT_THERE, *_GONE)):
        server.failed()


def http_clients(servers: Servers | Sequence[str]) -> tuple[httpx.Client, httpx.AsyncClient]:
    """Make the two HTTP clients that an SDK takes, sync and async, over the same servers."""
    shared = servers if isinstance(servers, Servers) else Servers(servers)
    return httpx.Client(transport=LeastWaiting(shared)), httpx.AsyncClient(transport=AsyncLeastWaiting(shared))
