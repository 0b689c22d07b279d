"""Whom a call tells what: one chain run with an LLM run for each provider call, and beside it what the user is shown.

Handlers that *count or trace* (usage, LangSmith, spend) see the chain run and every provider call under it, rejected
drafts and judges too: that is what was paid. Handlers that *show* (LangGraph's message stream, `astream_events`) see
one LLM run in its place, with the accepted answer only. So nothing is counted twice and no draft can reach a user's
stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForChainRun,
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManager,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
)
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer

from langchain_tuppence.calls import Call
from langchain_tuppence.spending import SpendCallbackHandler

M = TypeVar("M", bound=BaseCallbackManager)
NAME = "ChatTuppence"
_SERIALIZED: dict[str, Any] = {"lc": 1, "type": "not_implemented", "id": ["langchain_tuppence", NAME], "name": NAME}

# What a handler is depends on its class alone, and asking costs more than a call may.
_shows: dict[type, bool] = {}
_watches: dict[type, bool] = {}


def shows(handler: BaseCallbackHandler) -> bool:
    """Say whether a handler puts what it sees before the user (LangChain's streaming handlers)."""
    kind = type(handler)
    known = _shows.get(kind)
    if known is None:
        # The method that LangChain's own `_StreamingCallbackHandler` protocol is known by.
        known = _shows[kind] = hasattr(kind, "tap_output_aiter")
    return known


def watches(handler: BaseCallbackHandler) -> bool:
    """Say whether a handler looks at single tokens without being a tracer: most print them or send them on."""
    kind = type(handler)
    known = _watches.get(kind)
    if known is None:
        overridden = getattr(kind, "on_llm_new_token", None) is not BaseCallbackHandler.on_llm_new_token
        known = _watches[kind] = overridden and not issubclass(kind, BaseTracer | AsyncBaseTracer)
    return known


def _wants_events(handler: BaseCallbackHandler) -> bool:
    """Say whether a handler takes content-block events (LangGraph's v3 streams) in place of chunks."""
    return any(cls.__name__ == "_V2StreamingCallbackHandler" for cls in type(handler).__mro__)


class Stage:
    """The part of a run that is the same for sync and async calls: who listens, and to what."""

    __slots__ = ("events", "handlers", "shown", "spends", "watched")

    def __init__(self, manager: BaseCallbackManager) -> None:
        self.handlers = manager.handlers
        self.shown = [h for h in manager.handlers if shows(h)]
        self.watched = any(watches(h) for h in manager.handlers if not shows(h))
        self.events = any(_wants_events(h) for h in self.shown)
        self.spends = [h for h in manager.handlers if isinstance(h, SpendCallbackHandler)]

    def split(self, manager: M) -> M:
        """Take those who show out of `manager`; return a manager of them alone."""
        stage = manager.copy()
        stage.handlers, stage.inheritable_handlers = self.shown, []
        manager.handlers = [h for h in manager.handlers if not shows(h)]
        manager.inheritable_handlers = [h for h in manager.inheritable_handlers if not shows(h)]
        return stage

    def entered(self, chain: CallbackManagerForChainRun | AsyncCallbackManagerForChainRun, call: Call) -> None:
        """Let the call's models run under its chain run, in the sight of those who count."""
        for handler in self.spends:
            handler.entered(chain.run_id)
        call.models.opened(
            chain.get_child(), chain.run_id, shown=bool(self.shown), watched=self.watched, spends=self.spends
        )

    def left(self, run_id: UUID) -> None:
        for handler in self.spends:
            handler.left(run_id)

    def note(self, run_id: UUID, facts: dict[str, Any]) -> None:
        note(self.handlers, run_id, facts)


def note(handlers: Iterable[BaseCallbackHandler], run_id: UUID, facts: Mapping[str, Any]) -> None:
    """Put what a call came to into its run's metadata, where a tracer (LangSmith) shows it."""
    for handler in handlers:
        runs = getattr(handler, "run_map", None)
        run = runs.get(str(run_id)) if isinstance(runs, dict) else None
        if run is not None and isinstance(run.extra, dict):
            run.extra.setdefault("metadata", {}).update({f"tuppence.{k}": v for k, v in facts.items()})


NOBODY = Stage(BaseCallbackManager([]))
"""Who listens where nobody does."""


class Told:
    """One sync call's runs: opened, shown chunks, then ended or failed, exactly once. Without handlers there are
    none.
    """

    __slots__ = ("chain", "stage", "view")

    def __init__(self, llm: Any, call: Call) -> None:
        config = call.config
        manager = CallbackManager.configure(*_callbacks(llm, config))
        self.chain: CallbackManagerForChainRun | None = None
        self.view: CallbackManagerForLLMRun | None = None
        self.stage = NOBODY
        if not manager.handlers:
            call.models.child = manager
            return
        self.stage = Stage(manager)
        stage = self.stage.split(manager) if self.stage.shown else None
        name, messages = config.get("run_name") or NAME, call.messages
        self.chain = manager.on_chain_start(None, {"messages": messages}, name=name, run_id=config.get("run_id"))
        if stage is not None:
            self.view = stage.on_chat_model_start(
                _SERIALIZED, [messages], run_id=self.chain.run_id, name=name, invocation_params={}, options={}
            )[0]
        self.stage.entered(self.chain, call)

    def show(self, chunk: AIMessageChunk) -> None:
        if self.view is not None:
            self.view.on_llm_new_token(_token(chunk), chunk=ChatGenerationChunk(message=chunk))

    def event(self, event: Any) -> None:
        if self.view is not None:
            self.view.on_stream_event(event)

    def ended(self, call: Call) -> None:
        if self.chain is None:
            return
        self.stage.left(self.chain.run_id)
        if self.view is not None:
            self.view.on_llm_end(_generated(call.answer))
        self.stage.note(self.chain.run_id, call.facts)
        self.chain.on_chain_end(call.answer)

    def failed(self, error: BaseException, call: Call) -> None:
        if self.chain is None:
            return
        self.stage.left(self.chain.run_id)
        if self.view is not None:
            self.view.on_llm_error(error, response=LLMResult(generations=[]))
        self.chain.on_chain_error(error)


class AsyncTold:
    """One async call's runs; made by `opened`."""

    __slots__ = ("chain", "stage", "view")

    def __init__(self) -> None:
        self.chain: AsyncCallbackManagerForChainRun | None = None
        self.view: AsyncCallbackManagerForLLMRun | None = None
        self.stage = NOBODY

    @classmethod
    async def opened(cls, llm: Any, call: Call) -> AsyncTold:
        told = cls()
        config = call.config
        manager = AsyncCallbackManager.configure(*_callbacks(llm, config))
        if not manager.handlers:
            call.models.child = manager
            return told
        told.stage = Stage(manager)
        stage = told.stage.split(manager) if told.stage.shown else None
        name, messages = config.get("run_name") or NAME, call.messages
        told.chain = await manager.on_chain_start(None, {"messages": messages}, name=name, run_id=config.get("run_id"))
        if stage is not None:
            views = await stage.on_chat_model_start(
                _SERIALIZED, [messages], run_id=told.chain.run_id, name=name, invocation_params={}, options={}
            )
            told.view = views[0]
        told.stage.entered(told.chain, call)
        return told

    async def show(self, chunk: AIMessageChunk) -> None:
        if self.view is not None:
            await self.view.on_llm_new_token(_token(chunk), chunk=ChatGenerationChunk(message=chunk))

    async def event(self, event: Any) -> None:
        if self.view is not None:
            await self.view.on_stream_event(event)

    async def ended(self, call: Call) -> None:
        if self.chain is None:
            return
        self.stage.left(self.chain.run_id)
        if self.view is not None:
            await self.view.on_llm_end(_generated(call.answer))
        self.stage.note(self.chain.run_id, call.facts)
        await self.chain.on_chain_end(call.answer)

    async def failed(self, error: BaseException, call: Call) -> None:
        if self.chain is None:
            return
        self.stage.left(self.chain.run_id)
        if self.view is not None:
            await self.view.on_llm_error(error, response=LLMResult(generations=[]))
        await self.chain.on_chain_error(error)


def _callbacks(llm: Any, config: RunnableConfig) -> tuple[Any, ...]:
    """Return what a callback manager is configured with: the call's and the model's handlers, tags and metadata."""
    return (
        config.get("callbacks"), llm.callbacks, llm.verbose, config.get("tags"), llm.tags, config.get("metadata"),
        llm.metadata,
    )  # fmt: skip


def _token(chunk: AIMessageChunk) -> Any:
    return chunk.content


def _generated(message: AIMessage) -> LLMResult:
    return LLMResult(generations=[[ChatGeneration(message=message)]])
