"""Waiting no longer than a tier's `timeout_s`: for an answer, or for the next chunk of a stream.

A blocking call cannot be stopped from outside, so it runs on a thread of its own and is left behind; on an
event loop it is cancelled.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")

_QUEUED_CHUNKS = 64
_LOOK_UP_S = 0.5
# How often a pump that waits for its reader looks whether the reader has gone.


def _too_slow(tier: str, timeout_s: float) -> TimeoutError:
    return TimeoutError(
        f"tier {tier!r} did not answer within timeout_s={timeout_s}: raise it, or let the next tier answer"
    )


def bounded(work: Callable[[], T], timeout_s: float, tier: str) -> T:
    """Run blocking work on a thread of its own and leave it behind when it takes too long."""
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
    context = copy_context()

    def target() -> None:
        try:
            done.put((context.run(work), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=target, name=f"tuppence-{tier}", daemon=True).start()
    try:
        answer, error = done.get(timeout=timeout_s)
    except queue.Empty:
        raise _too_slow(tier, timeout_s) from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


def pumped(items: Iterator[T], timeout_s: float, tier: str) -> Iterator[T]:
    """Iterate on a thread of its own, so that a stream that stalls for `timeout_s` can be left."""
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_QUEUED_CHUNKS)
    gone = threading.Event()
    context = copy_context()

    def offer(entry: tuple[T | None, BaseException | None]) -> None:
        while not gone.is_set():
            try:
                ready.put(entry, timeout=_LOOK_UP_S)
            except queue.Full:
                continue
            return

    def target() -> None:
        try:
            for item in items:
                offer((item, None))
                if gone.is_set():
                    return
            offer((None, None))
        except BaseException as error:
            offer((None, error))

    threading.Thread(target=context.run, args=(target,), name=f"tuppence-{tier}", daemon=True).start()
    try:
        while True:
            try:
                item, error = ready.get(timeout=timeout_s)
            except queue.Empty:
                raise _too_slow(tier, timeout_s) from None
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        gone.set()


async def paced(items: AsyncIterator[T], timeout_s: float | None) -> AsyncGenerator[T, None]:
    """Iterate, giving each next item `timeout_s` to come."""
    async with aclosing(items) as source:  # type: ignore[type-var]
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    item = await anext(source)
            except StopAsyncIteration:
                return
            yield item
