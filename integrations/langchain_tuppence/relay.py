"""From a call's stream to those who are shown it: chunks for readers, tokens or protocol events for the handlers that
show.

Each function is one hop, and each hop closes the one below it: a reader who goes away is noticed down to the
provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.messages import AIMessageChunk

from langchain_tuppence.calls import Call
from langchain_tuppence.events import async_events, sync_events
from langchain_tuppence.runs import AsyncTold, Told
from tuppence import drivers
from tuppence.flow import plan


class _End:
    """Keeps a stream's last chunk until the books are closed, so that it can say what the answer cost."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: AIMessageChunk | None = None

    def take(self, chunk: AIMessageChunk) -> list[AIMessageChunk]:
        """Take a chunk in; return those that may go on now."""
        # Some integrations call several chunks the last one.
        freed = [] if self.held is None else [self.held]
        if chunk.chunk_position == "last":
            self.held = chunk
            return freed
        self.held = None
        return [*freed, chunk]


def _chunks(call: Call) -> Generator[AIMessageChunk, None, None]:
    """Run the call as a stream that ends with what the answer cost."""
    end = _End()
    with closing(drivers.stream(plan(call.request, call.policy), call.port)) as source:  # type: ignore[type-var]
        for chunk in source:
            yield from end.take(chunk)
    yield call.last_chunk(end.held)


async def _achunks(call: Call) -> AsyncGenerator[AIMessageChunk, None]:
    """Run the call as a stream that ends with what the answer cost."""
    end = _End()
    async with aclosing(drivers.astream(plan(call.request, call.policy), call.port)) as source:  # type: ignore[type-var]
        async for chunk in source:
            for freed in end.take(chunk):
                yield freed
    yield call.last_chunk(end.held)


def _events(call: Call) -> Generator[Any, None, None]:
    """Run the call as a stream of protocol events."""
    with closing(_chunks(call)) as source:
        yield from sync_events(source)


async def _aevents(call: Call) -> AsyncGenerator[Any, None]:
    """Run the call as a stream of protocol events."""
    async with aclosing(_achunks(call)) as source, aclosing(async_events(source)) as found:  # type: ignore[type-var]
        async for event in found:
            yield event


def _shown(call: Call, told: Told, pieces: Generator[Any, None, None], show: Callable[[Any], None]) -> Iterator[Any]:
    """Yield the pieces of a call's stream, each shown first; then say how the call ended."""
    try:
        with closing(pieces):
            for piece in pieces:
                show(piece)
                yield piece
    except BaseException as error:
        told.failed(error, call)
        raise
    told.ended(call)


async def _ashown(
    call: Call, told: AsyncTold, pieces: AsyncGenerator[Any, None], show: Callable[[Any], Awaitable[None]]
) -> AsyncIterator[Any]:
    """Yield the pieces of a call's stream, each shown first; then say how the call ended."""
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                await show(piece)
                yield piece
    except BaseException as error:
        await told.failed(error, call)
        raise
    await told.ended(call)


def chunks(call: Call, told: Told) -> Iterator[AIMessageChunk]:
    """Yield the accepted answer as it comes, showing each chunk first."""
    return _shown(call, told, _chunks(call), told.show)


def achunks(call: Call, told: AsyncTold) -> AsyncIterator[AIMessageChunk]:
    """Yield the accepted answer as it comes, showing each chunk first."""
    return _ashown(call, told, _achunks(call), told.show)


def events(call: Call, told: Told) -> Iterator[Any]:
    """Yield the accepted answer as protocol events, showing each event first."""
    return _shown(call, told, _events(call), told.event)


def aevents(call: Call, told: AsyncTold) -> AsyncIterator[Any]:
    """Yield the accepted answer as protocol events, showing each event first."""
    return _ashown(call, told, _aevents(call), told.event)


def drained(call: Call, told: Told) -> None:
    """Stream to those who are shown the call, for a caller who only wants the end of it."""
    for _ in (events if told.stage.events else chunks)(call, told):
        pass


async def adrained(call: Call, told: AsyncTold) -> None:
    """Stream to those who are shown the call, for a caller who only wants the end of it."""
    async with aclosing((aevents if told.stage.events else achunks)(call, told)) as source:  # type: ignore[type-var]
        async for _ in source:
            pass
