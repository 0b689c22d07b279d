"""One call under way: the plan, its port, and the native response with what the call cost written on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from typing import Any

from llama_index_tuppence.listeners import announce
from llama_index_tuppence.models import Conversation, Native, says_thinking
from llama_index_tuppence.stamp import STAMP
from tuppence import drivers
from tuppence.attempts import Result
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.request import Request
from tuppence.spend import Ledger

OpenPort = Callable[..., Port]


class Call:
    """One logical call, ready to be run once."""

    __slots__ = ("_closed", "_conversation", "_plan", "_port")

    def __init__(
        self, request: Request, policy: Policy, conversation: Conversation, *, ledger: Ledger | None, handlers: Any,
        open_port: OpenPort = Port,
    ) -> None:  # fmt: skip
        """`open_port` makes the port of a call that does not go the usual way."""
        self._conversation = conversation
        conversation.budgeted = policy.budgets is not None
        self._closed = _Closed(handlers)
        self._plan = plan(request, policy)
        self._port = open_port(conversation, cache=policy.cache, ledger=ledger, on_settled=self._closed.settled)

    def run(self) -> Any:
        return self._answer(drivers.run(self._plan, self._port))

    async def arun(self) -> Any:
        return self._answer(await drivers.arun(self._plan, self._port))

    async def arun_hosted(self) -> Any:
        """Run for a sync caller, on an event loop that ends with the calls that wait on it."""
        hosted = getattr(self._port, "hosted", None)
        if hosted is None:
            # It does not wait, and is asked as it would be anywhere.
            return await asyncio.to_thread(self.run)
        self._port = hosted()
        return await self.arun()

    def stream(self) -> Generator[Any, None, None]:
        """Yield native chunks; the last one, without text, says what the call cost."""
        waiting: Native | None = None
        last: Native | None = None
        with closing(self._conversation), closing(drivers.stream(self._plan, self._port)) as chunks:  # type: ignore[type-var]
            for chunk in chunks:
                if waiting is not None:
                    yield waiting
                waiting, last = None, chunk
                if _may_wait(chunk):
                    waiting = chunk
                else:
                    yield chunk
        yield self._closing(waiting, last)

    async def astream(self) -> AsyncGenerator[Any, None]:
        """Yield native chunks; the last one, without text, says what the call cost."""
        waiting: Native | None = None
        last: Native | None = None
        async with aclosing(drivers.astream(self._plan, self._port)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if waiting is not None:
                    yield waiting
                waiting, last = None, chunk
                if _may_wait(chunk):
                    waiting = chunk
                else:
                    yield chunk
        yield self._closing(waiting, last)

    def _answer(self, result: Result) -> Native:
        assert result.reply is not None
        response: Native = result.reply.native
        response.additional_kwargs[STAMP] = result.summary()
        return response

    def _closing(self, waiting: Native | None, last: Native | None) -> Native:
        """Write the call's summary on the last chunk, or on one more where that had to go out at once."""
        if waiting is None:
            waiting = self._conversation.wrap("") if last is None else last.model_copy(
                update={"delta": "", "raw": None, "additional_kwargs": {}}
            )  # fmt: skip
        if self._closed.result is not None:
            waiting.additional_kwargs[STAMP] = self._closed.result.summary()
        return waiting


class _Closed:
    """How a call ended. Not the call itself, which has the port that tells it: a circle would outlive every call."""

    __slots__ = ("_handlers", "result")

    def __init__(self, handlers: Any) -> None:
        self.result: Result | None = None
        self._handlers = handlers

    def settled(self, result: Result) -> None:
        self.result = result
        announce(result, self._handlers)


def _may_wait(chunk: Native) -> bool:
    """Say whether a chunk may wait for the next one without anybody reading later for it."""
    return not chunk.delta and not says_thinking(chunk)
