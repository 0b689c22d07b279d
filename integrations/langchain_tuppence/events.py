"""`stream_events(version="v3")`: LangChain's content-block protocol over the facade's own stream.

LangChain's own entry would open a second LLM run around the facade, in which every usage handler counts the answer
again. Here the same protocol objects are fed from the facade's stream, whose runs are already the right ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

try:
    from langchain_core.language_models._compat_bridge import achunks_to_events, chunks_to_events
    from langchain_core.language_models.chat_model_stream import AsyncChatModelStream, ChatModelStream
except ImportError as missing:  # pragma: no cover - langchain-core before 1.3 has no such protocol
    _MISSING: ImportError | None = missing
else:
    _MISSING = None

_EMPTY = "the stream ended without an answer"


def sync_events(chunks: Iterator[AIMessageChunk]) -> Iterator[Any]:
    """Turn chunks into protocol events as they come."""
    return chunks_to_events(ChatGenerationChunk(message=chunk) for chunk in chunks)


def async_events(chunks: AsyncIterator[AIMessageChunk]) -> AsyncIterator[Any]:
    """Turn chunks into protocol events as they come."""
    return achunks_to_events(_generations(chunks))


async def _generations(chunks: AsyncIterator[AIMessageChunk]) -> AsyncIterator[ChatGenerationChunk]:
    async with aclosing(chunks) as source:  # type: ignore[type-var]
        async for chunk in source:
            yield ChatGenerationChunk(message=chunk)


def sync_stream(open_events: Callable[[], Iterator[Any]]) -> ChatModelStream:
    """Make LangChain's v3 stream object, pulled by its reader; nothing is asked before the first pull."""
    _needed()
    stream = ChatModelStream()
    source: Iterator[Any] | None = None

    def start() -> None:
        nonlocal source
        if source is None:
            source = open_events()

    def pump_one() -> bool:
        start()
        assert source is not None
        try:
            stream.dispatch(next(source))
            if stream.done:
                # The reader will not pull again, and the runs end with the source.
                for _ in source:
                    pass
        except StopIteration:
            if not stream.done:
                stream.fail(ValueError(_EMPTY))
            return False
        except BaseException as error:  # noqa: BLE001 - the reader gets it from the stream, as LangChain's own gives it
            stream.fail(error)
            return False
        return True

    stream.set_start(start)
    stream.bind_pump(pump_one)
    return stream


def async_stream(open_events: Callable[[], AsyncIterator[Any]]) -> AsyncChatModelStream:
    """Make LangChain's v3 stream object, fed by a task that starts with the first read; `aclose` cancels it."""
    _needed()
    stream = AsyncChatModelStream()
    lock = asyncio.Lock()

    async def produce() -> None:
        try:
            async with aclosing(open_events()) as source:  # type: ignore[type-var]
                async for event in source:
                    stream.dispatch(event)
            if not stream.done:
                stream.fail(ValueError(_EMPTY))
        except asyncio.CancelledError as error:
            stream.fail(error)
            raise
        except BaseException as error:  # noqa: BLE001 - the reader gets it from the stream, as LangChain's own gives it
            stream.fail(error)

    async def start() -> None:
        async with lock:
            if stream._producer_task is None:
                stream._producer_task = asyncio.get_running_loop().create_task(produce())

    stream.set_start(start)
    return stream


def _needed() -> None:
    if _MISSING is not None:
        raise NotImplementedError(
            "this langchain-core has no version='v3' events: upgrade it, or use version='v2'"
        ) from _MISSING
