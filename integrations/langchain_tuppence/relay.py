"""From a call's stream to those who are shown it: chunks for readers, tokens or protocol events for the handlers that
show.

Each function is one hop, and each hop closes the one below it: a reader who goes away is noticed down to the
provider.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.messages import AIMessageChunk

from langchain_tuppence.calls import Call
from langchain_tuppence.events import async_events, sync_events
from langchain_tuppence.runs import AsyncTold, Told
from tuppence import drivers
from tuppence.flow import plan


def _chunks(call: Call) -> Iterator[AIMessageChunk]:
    """Run the call as a stream; its last chunk waits for the books, so that it can say what the answer cost."""
    last: AIMessageChunk | None = None
    with closing(drivers.stream(plan(call.request, call.policy), call.port)) as source:  # type: ignore[type-var]
        for chunk in source:
            if last is not None:
                # Some integrations call several chunks the last one.
                yield last
            last = chunk if chunk.chunk_position == "last" else None
            if last is None:
                yield chunk
    yield call.last_chunk(last)


async def _achunks(call: Call) -> AsyncIterator[AIMessageChunk]:
    """Run the call as a stream; its last chunk waits for the books, so that it can say what the answer cost."""
    last: AIMessageChunk | None = None
    async with aclosing(drivers.astream(plan(call.request, call.policy), call.port)) as source:  # type: ignore[type-var]
        async for chunk in source:
            if last is not None:
                # Some integrations call several chunks the last one.
                yield last
            last = chunk if chunk.chunk_position == "last" else None
            if last is None:
                yield chunk
    yield call.last_chunk(last)


def chunks(call: Call, told: Told) -> Iterator[AIMessageChunk]:
    """Yield the accepted answer as it comes, showing each chunk first."""
    try:
        with closing(_chunks(call)) as source:  # type: ignore[type-var]
            for chunk in source:
                told.show(chunk)
                yield chunk
    except BaseException as error:
        told.failed(error, call)
        raise
    told.ended(call)


async def achunks(call: Call, told: AsyncTold) -> AsyncIterator[AIMessageChunk]:
    """Yield the accepted answer as it comes, showing each chunk first."""
    try:
        async with aclosing(_achunks(call)) as source:  # type: ignore[type-var]
            async for chunk in source:
                await told.show(chunk)
                yield chunk
    except BaseException as error:
        await told.failed(error, call)
        raise
    await told.ended(call)


def events(call: Call, told: Told) -> Iterator[Any]:
    """Yield the accepted answer as protocol events, showing each event first."""
    try:
        with closing(_chunks(call)) as source:  # type: ignore[type-var]
            for event in sync_events(source):
                told.event(event)
                yield event
    except BaseException as error:
        told.failed(error, call)
        raise
    told.ended(call)


async def aevents(call: Call, told: AsyncTold) -> AsyncIterator[Any]:
    """Yield the accepted answer as protocol events, showing each event first."""
    try:
        async with aclosing(_achunks(call)) as source, aclosing(async_events(source)) as found:  # type: ignore[type-var]
            async for event in found:
                await told.event(event)
                yield event
    except BaseException as error:
        await told.failed(error, call)
        raise
    await told.ended(call)


def drained(call: Call, told: Told) -> None:
    """Stream to those who are shown the call, for a caller who only wants the end of it."""
    for _ in (events if told.stage.events else chunks)(call, told):
        pass


async def adrained(call: Call, told: AsyncTold) -> None:
    """Stream to those who are shown the call, for a caller who only wants the end of it."""
    async with aclosing((aevents if told.stage.events else achunks)(call, told)) as source:  # type: ignore[type-var]
        async for _ in source:
            pass
