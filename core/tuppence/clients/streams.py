"""Streams as the SDKs' users know them, fed by the flow.

They are subclasses of the SDK's own stream class, so that code which looks at types, and the SDK's stream helpers,
work as before. Closing one, or dropping it, settles the call.
"""

from __future__ import annotations

import types
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from functools import lru_cache
from typing import Any, Protocol, get_origin

from tuppence.attempts import Result


class Source(Protocol):
    """The call that a stream shows."""

    @property
    def result(self) -> Result | None: ...
    @property
    def response(self) -> Any: ...
    def ends(self, chunk: Any, /) -> bool: ...


class _Tracked:
    """What a stream of either kind does otherwise than the SDK's: it knows its call, and may have read ahead."""

    def __init__(self, source: Source, chunks: Any) -> None:
        self._source = source
        self._chunks = chunks
        self._ahead: deque[Any] = deque()
        self._failure: Exception | None = None

    @property
    def tuppence(self) -> Result | None:
        """How the call came about; None until it is settled."""
        return self._source.result

    @property
    def response(self) -> Any:
        return _Response(self._source.response, self.close)

    @abstractmethod
    def close(self) -> Any:
        """Settle the call, wherever the reader is."""


class SyncTracked(_Tracked):
    """What a sync stream does otherwise than the SDK's."""

    _chunks: Generator[Any, None, None]

    def begin(self) -> None:
        """Read up to the first chunk, so that what the provider refuses is raised where the SDK raises it."""
        try:
            self._read()
        except StopIteration:
            return

    def __next__(self) -> Any:
        if not self._ahead:
            if self._failure is not None:
                raise self._failure
            self._read()
        return self._ahead.popleft()

    def __iter__(self) -> Any:
        return self

    def close(self) -> None:
        self._chunks.close()

    def _read(self) -> None:
        chunk = next(self._chunks)
        self._ahead.append(chunk)
        if not self._source.ends(chunk):
            return
        # Many readers stop at the finish reason: by then the call is settled, and billed exactly.
        try:
            self._ahead.extend(self._chunks)
        except Exception as error:  # noqa: BLE001 - raised where the reader gets to it
            self._failure = error


class AsyncTracked(_Tracked):
    """What an async stream does otherwise than the SDK's."""

    _chunks: AsyncGenerator[Any, None]

    async def begin(self) -> None:
        """Read up to the first chunk, so that what the provider refuses is raised where the SDK raises it."""
        try:
            await self._read()
        except StopAsyncIteration:
            return

    async def __anext__(self) -> Any:
        if not self._ahead:
            if self._failure is not None:
                raise self._failure
            await self._read()
        return self._ahead.popleft()

    def __aiter__(self) -> Any:
        return self

    async def close(self) -> None:
        await self._chunks.aclose()

    async def aclose(self) -> None:
        await self.close()

    async def _read(self) -> None:
        chunk = await anext(self._chunks)
        self._ahead.append(chunk)
        if not self._source.ends(chunk):
            return
        # Many readers stop at the finish reason: by then the call is settled, and billed exactly.
        try:
            async for rest in self._chunks:
                self._ahead.append(rest)
        except Exception as error:  # noqa: BLE001 - raised where the reader gets to it
            self._failure = error


@lru_cache(maxsize=32)
def tracked(stream_cls: Any, mixin: type) -> Callable[..., Any]:
    """Return the class of streams that are what `stream_cls` is, and tracked."""
    origin = get_origin(stream_cls) or stream_cls
    return types.new_class(f"Tracked{origin.__name__}", (mixin, origin))


class _Response:
    """The HTTP response under a stream, closing which closes the stream as a whole."""

    __slots__ = ("_close", "_real")

    def __init__(self, real: Any, close: Callable[[], Any]) -> None:
        self._real = real
        self._close = close

    def __getattr__(self, name: str) -> Any:
        if self._real is None:
            raise AttributeError(f"no HTTP response has {name!r}: this stream was not answered over HTTP")
        return getattr(self._real, name)

    def close(self) -> Any:
        return self._close()

    async def aclose(self) -> None:
        await self._close()
