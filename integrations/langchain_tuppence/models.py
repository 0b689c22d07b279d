"""The seam: performs the flow's asks with the user's own LangChain models, for one call.

Every ask is an LLM run of its own under the call's run, so usage and tracing handlers see each provider call once.
Raises what the models raise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.callbacks import manager as _callbacks
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.runnables import RunnableConfig

from langchain_tuppence import replies
from langchain_tuppence.handles import Handle
from langchain_tuppence.messages import as_chunk, edited, merged, native, neutral, text_of
from langchain_tuppence.prefix_marks import marked
from langchain_tuppence.replies import reply_of
from langchain_tuppence.structured import StructuredAnswer
from langchain_tuppence.tools import OPTIONS
from tuppence.attempts import Result
from tuppence.constraints import constrained
from tuppence.context import Spend
from tuppence.effects import Ask, live
from tuppence.failures import let_through
from tuppence.ports import Chunk
from tuppence.request import Edits, Reply, Request

TIER_KEY = "tuppence.tier"
CAUSE_KEY = "tuppence.cause"
"""Run metadata of every provider call: which tier, and why it was asked."""
BUDGETED_KEY = "tuppence.budgeted"
"""Run metadata of the provider calls that the call's own budgets have room for."""


class NativeModels:
    """The native models, as one call asks them."""

    __slots__ = (
        "budgeted", "child", "handles", "kwargs", "request", "result", "run_id", "spends", "structured", "tools",
        "watched",
    )  # fmt: skip

    def __init__(
        self, handles: Mapping[str, Handle], request: Request, *, kwargs: dict[str, Any], tools: Any,
        structured: StructuredAnswer | None, budgeted: bool = False,
    ) -> None:  # fmt: skip
        self.handles = handles
        self.budgeted = budgeted
        self.request = request
        self.kwargs = kwargs
        self.tools = tools
        self.structured = structured
        self.child: BaseCallbackManager | None = None
        """Callbacks of the run under which the models are asked; set when that run is opened."""
        self.run_id: UUID | None = None
        """The run that names answers which no model gave in this call: cached ones and those of functions."""
        self.result: Result | None = None
        """What the call came to, once settled."""
        self.spends: Sequence[Spend] = ()
        """Handlers that add up what calls cost."""
        self.watched = False
        """Whether a handler looks at tokens: then a draft that may be rejected must come whole."""

    def opened(
        self, child: BaseCallbackManager, run_id: UUID | None, *, shown: bool, watched: bool, spends: Sequence[Spend]
    ) -> None:  # fmt: skip
        """Join the call to its run, if anybody listens to one."""
        self.child = child
        self.run_id = run_id
        self.watched = watched
        self.spends = spends
        if shown:
            self.request.streaming = True

    def settled(self, result: Result) -> None:
        """Take the result, and hand it on at once: a run's end may come in another order, or never."""
        self.result = result
        for spend in self.spends:
            spend.add(result)

    # -- asking

    def ask(self, ask: Ask) -> Reply:
        handle, messages, config, kwargs = self._prepared(ask)
        try:
            message = handle.model.invoke(messages, config, **self._whole(ask, handle, kwargs))
        except Exception as error:
            _let_handlers_stop(error)
            raise
        return reply_of(message, handle.name)

    async def aask(self, ask: Ask) -> Reply:
        handle, messages, config, kwargs = self._prepared(ask)
        try:
            message = await handle.model.ainvoke(messages, config, **self._whole(ask, handle, kwargs))
        except Exception as error:
            _let_handlers_stop(error)
            raise
        return reply_of(message, handle.name)

    def stream(self, ask: Ask) -> Iterator[Chunk | Reply]:
        """Yield chunks as they come, then the whole reply."""
        if self._secret(ask):
            yield self.ask(ask)
            return
        handle, messages, config, kwargs = self._prepared(ask)
        chunks: list[AIMessageChunk] = []
        try:
            with closing(handle.model.stream(messages, config, **kwargs)) as source:  # type: ignore[type-var]
                for message in source:
                    chunk = as_chunk(message)
                    chunks.append(chunk)
                    yield Chunk(text_of(chunk), chunk)
        except Exception as error:
            _let_handlers_stop(error)
            raise
        yield reply_of(merged(chunks), handle.name)

    async def astream(self, ask: Ask) -> AsyncIterator[Chunk | Reply]:
        """Yield chunks as they come, then the whole reply."""
        if self._secret(ask):
            yield await self.aask(ask)
            return
        handle, messages, config, kwargs = self._prepared(ask)
        chunks: list[AIMessageChunk] = []
        try:
            async with aclosing(handle.model.astream(messages, config, **kwargs)) as source:  # type: ignore[type-var]
                async for message in source:
                    chunk = as_chunk(message)
                    chunks.append(chunk)
                    yield Chunk(text_of(chunk), chunk)
        except Exception as error:
            _let_handlers_stop(error)
            raise
        yield reply_of(merged(chunks), handle.name)

    def _prepared(self, ask: Ask) -> tuple[Handle, Any, RunnableConfig | None, dict[str, Any]]:
        handle = self.handles[ask.tier.name]
        config = self._config(handle, ask)
        if ask.request is self.request:
            given, kwargs = self.request.native, self._kwargs(handle, ask.edits.params)
            if ask.edits.marks or ask.edits.tools:
                given, kwargs = marked(handle.model, given, kwargs, ask.edits)
            if ask.tier.self_hosted:
                kwargs = dict(constrained({**_extra(handle.model), **kwargs}))
            return handle, _messages(given, ask.edits), config, kwargs
        own = ask.request.native or native(ask.request.messages)
        params = {**handle.kwargs, **ask.request.params, **ask.edits.params}
        if isinstance(params.get("stop"), str):
            params["stop"] = [params["stop"]]
        return handle, edited(own, ask.edits), config, params

    def _config(self, handle: Handle, ask: Ask) -> RunnableConfig | None:
        """Put the ask under the call's run, named by its tier and cause; where nobody listens there is no run."""
        if self.run_id is None and not handle.config and not handle.model.callbacks:
            # Merging callbacks and metadata for nobody would cost a sixth of the facade.
            return None
        labels: dict[str, Any] = {TIER_KEY: handle.name, CAUSE_KEY: ask.cause}
        if self.budgeted:
            labels[BUDGETED_KEY] = True
        return handle.child_config({"callbacks": self.child, "metadata": labels})

    def _kwargs(self, handle: Handle, edits: Mapping[str, Any]) -> dict[str, Any]:
        """Put together what this tier is sent beside the messages: its own bindings, the tools, the call's, the
        edits.
        """
        sent = {**handle.kwargs, **self.kwargs} if handle.kwargs else self.kwargs
        if self.structured is not None:
            sent = {**self.structured.kwargs(handle), **sent}
        elif self.tools is not None:
            # Agents without tools bind an empty list, and its options with it: they are no model's own arguments.
            options = {name: sent[name] for name in OPTIONS if sent.get(name) is not None}
            rest = {k: v for k, v in sent.items() if k not in OPTIONS}
            sent = {**(handle.with_tools(self.tools, options) if self.tools else {}), **rest}
        return {**sent, **edits} if edits else sent

    def _secret(self, ask: Ask) -> bool:
        """Say whether this ask must not stream: its text may be rejected, and a handler would show its tokens."""
        return self.watched and ask.gate is not live

    def _whole(self, ask: Ask, handle: Handle, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Keep a model that streams inside `invoke` from showing a draft's tokens."""
        if self._secret(ask) and getattr(handle.model, "streaming", False):
            return {**kwargs, "stream": False}
        return kwargs

    def reshape(self, request: Request, edits: Edits) -> Request:
        """Make edits on the caller's own messages, which are asked so from now on."""
        messages = _messages(request.native, edits)
        self.request = replace(request, messages=tuple([neutral(m) for m in messages]), native=messages)
        return self.request

    # -- answers without a model

    def new_id(self) -> str:
        """Name a message after this call's run, as LangChain names a model's."""
        return f"lc_run--{self.run_id or uuid4()}"

    def replay(self, reply: Reply) -> Iterable[AIMessageChunk]:
        return (as_chunk(reply.native),)

    def freeze(self, reply: Reply) -> Any:
        return replies.freeze(reply)

    def thaw(self, data: Any) -> Reply:
        reply = replies.thaw(data)
        reply.native.id = self.new_id()
        return reply

    def wrap(self, text: str) -> AIMessage:
        message = AIMessage(content=text, id=self.new_id())
        replies.as_hit(message)
        return message


def _messages(given: Any, edits: Edits) -> Any:
    """Return the user's own messages, edited; a plain question that nobody edits goes on as it came."""
    if type(given) is not str:
        return edited(given, edits)
    return edited([HumanMessage(content=given)], edits) if edits.messages else given


def _extra(model: BaseChatModel) -> dict[str, Any]:
    """Return what the model itself adds to each request beyond OpenAI's arguments; the call's own replaces it."""
    extra = getattr(model, "extra_body", None)
    return {"extra_body": extra} if extra else {}


def _let_handlers_stop(error: Exception) -> None:
    """Let through what a handler raises to stop a call (`raise_error=True`): no tier failed, so no other is asked."""
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == _callbacks.__file__:
            let_through(error)
            return
        step = step.tb_next
