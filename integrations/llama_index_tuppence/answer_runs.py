"""One question to a LlamaIndex query engine: how it is run, and what its own models cost meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextvars import ContextVar
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from llama_index.core.llms.llm import LLM
from llama_index.core.schema import QueryBundle
from llama_index_instrumentation import get_dispatcher

from llama_index_tuppence.answer_forms import Head
from llama_index_tuppence.messages import native
from llama_index_tuppence.models import finish_told
from llama_index_tuppence.spend import SpendEventHandler
from tuppence.answers import RunSpend
from tuppence.request import Request


class QueryRun:
    """The `Run` of one question."""

    __slots__ = ("_bundle", "_engine", "_judge")

    def __init__(self, engine: BaseQueryEngine, bundle: QueryBundle, judge: LLM | None) -> None:
        self._engine = engine
        self._bundle = bundle
        self._judge = judge

    def run(self, spent: RunSpend) -> Any:
        watch = _Watch(spent)
        try:
            return self._engine.query(self._bundle)
        finally:
            watch.close()

    async def arun(self, spent: RunSpend) -> Any:
        watch = _Watch(spent)
        try:
            return await self._engine.aquery(self._bundle)
        finally:
            watch.close()

    def stream(self, spent: RunSpend) -> Generator[Any, None, None]:
        watch = _Watch(spent)
        try:
            response = self._engine.query(self._bundle)
            yield Head(response.source_nodes, response.metadata)
            if isinstance(response, StreamingResponse):
                yield from response.response_gen
            else:
                yield str(response)
        finally:
            watch.close()

    async def astream(self, spent: RunSpend) -> AsyncGenerator[Any, None]:
        watch = _Watch(spent)
        try:
            response = await self._engine.aquery(self._bundle)
            yield Head(response.source_nodes, response.metadata)
            if isinstance(response, AsyncStreamingResponse):
                async for piece in response.response_gen:
                    yield piece
            elif isinstance(response, StreamingResponse):
                for piece in response.response_gen:
                    yield piece
            else:
                yield str(response)
        finally:
            watch.close()

    def judge(self, request: Request) -> str:
        assert self._judge is not None
        return _said(self._judge.chat(_asked(request)).message)

    async def ajudge(self, request: Request) -> str:
        assert self._judge is not None
        return _said((await self._judge.achat(_asked(request))).message)


def _asked(request: Request) -> list[ChatMessage]:
    return [native(message) for message in request.messages]


def _said(message: ChatMessage) -> str:
    return message.content or ""


_watching: ContextVar[_Watch | None] = ContextVar("llama_index_tuppence_watching", default=None)


class _Watch:
    """Adds up what models other than TuppenceLLM cost in one run; of its own calls `spent` hears by itself.

    It watches from where it is made on, in the context of the run.
    """

    __slots__ = ("_outer", "_seen", "_spent")

    def __init__(self, spent: RunSpend) -> None:
        self._spent = spent
        self._seen = SpendEventHandler()
        self._outer = _watching.get()
        """Who watches the run that this one is part of."""
        _watching.set(self)

    def handle(self, event: BaseEvent) -> None:
        if self._outer is not None:
            self._outer.handle(event)
        self._seen.handle(event)
        if isinstance(event, LLMChatEndEvent | LLMCompletionEndEvent) and event.response is not None:
            self._spent.partial |= finish_told(event.response) in ("length", "content_filter")

    def close(self) -> None:
        self._spent.attempts += self._seen.attempts


class _Router(BaseEventHandler):
    """Hands each event to who watches the run that it happens in."""

    @classmethod
    def class_name(cls) -> str:
        return "tuppence.answers"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        watch = _watching.get()
        if watch is not None:
            watch.handle(event)


def watch_runs() -> None:
    """Have LlamaIndex's events reach the runs that they happen in; once a process is enough."""
    root = get_dispatcher()
    if not any(isinstance(one, _Router) for one in root.event_handlers):
        root.add_event_handler(_Router())
