"""An event loop for a sync caller with many calls: thousands wait on it, where each would hold a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_AT_ONCE = 32
"""Calls that go at once side by side, where nobody says otherwise: as many as `asyncio` has at most."""


def run_all(calls: Sequence[Callable[[], Awaitable[T]]], *, at_once: int | None = None) -> list[T | BaseException]:
    """Run calls side by side to their ends, and return answers and errors in their order.

    At most `at_once` of them do what blocks at the same time. If the caller is interrupted, all are told.
    """

    async def all_of_them() -> list[T | BaseException]:
        pool = ThreadPoolExecutor(at_once or _AT_ONCE, thread_name_prefix="tuppence-lane")
        asyncio.get_running_loop().set_default_executor(pool)
        return await asyncio.gather(*(call() for call in calls), return_exceptions=True)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(all_of_them())
    return _beside_a_loop(all_of_them)


def _beside_a_loop(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` in a thread, since this one runs a loop already, as a notebook's does."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def told() -> T:
        task = asyncio.current_task()
        assert task is not None
        begun.set_result((asyncio.get_running_loop(), task))
        return await main()

    with ThreadPoolExecutor(1) as one:
        done = one.submit(copy_context().run, asyncio.run, told())
        try:
            return done.result()
        except BaseException:
            if not done.done():
                loop, task = begun.result()
                loop.call_soon_threadsafe(task.cancel)
            raise
