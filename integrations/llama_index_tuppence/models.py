"""One call's native side: asks the user's own LlamaIndex models, and sees their answers neutrally.

A tier is called through its public methods, so that its own events and callbacks are emitted, once an attempt. It must
never decide anything, nor change a message that the user holds.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM
from llama_index.core.tools.types import BaseTool

from llama_index_tuppence.dialects import (
    finish_of,
    history_for,
    logprobs_of,
    model_of,
    tool_choice_for,
    usage_in,
    usage_of,
)
from llama_index_tuppence.messages import edited, native, neutral, tool_calls_of
from llama_index_tuppence.open_streams import Change, OpenStreams
from llama_index_tuppence.prefix_marks import marked
from llama_index_tuppence.stamp import STAMP
from llama_index_tuppence.tiers import LlmTier
from tuppence.cache import freeze_reply, thaw_reply
from tuppence.constraints import constrained
from tuppence.effects import Ask
from tuppence.errors import CacheError, RequestError
from tuppence.ports import Chunk
from tuppence.request import Edits, Finish, Reply, Request

Surface = Literal["chat", "complete"]
Native = ChatResponse | CompletionResponse


@dataclass(slots=True)
class Conversation:
    """The `Models` of one call."""

    messages: Sequence[ChatMessage]
    kwargs: Mapping[str, Any]
    """What the caller gave beside the messages, for every tier alike."""
    tools: Sequence[BaseTool] = ()
    tool_options: Mapping[str, Any] = field(default_factory=dict)
    """`allow_parallel_tool_calls` and `tool_required`."""
    surface: Surface = "chat"
    prompt: str = ""
    """The text that `complete` was called with."""
    formatted: bool = False
    over: Mapping[str, LLM] = field(default_factory=dict, init=False)
    """Models that stand in for those of their tiers: the same ones, over other connections."""
    budgeted: bool = field(default=False, init=False)
    """The call has budgets of its own, which hold room for every ask."""
    reshaped: bool = field(default=False, init=False)
    """The messages are no longer the prompt that `complete` was called with."""
    _streams: OpenStreams = field(default_factory=OpenStreams, init=False, repr=False)
    """Those of the latest ask."""

    # -- the seam

    def ask(self, ask: Ask) -> Reply:
        llm, call = self._prepared(ask)
        with OpenStreams(call.change, budgeted=self.budgeted):
            response = llm.complete(*call.args, **call.kwargs) if call.plain else llm.chat(*call.args, **call.kwargs)
        return self._reply(ask, response)

    async def aask(self, ask: Ask) -> Reply:
        llm, call = self._prepared(ask)
        with OpenStreams(call.change, budgeted=self.budgeted):
            if call.plain:
                return self._reply(ask, await llm.acomplete(*call.args, **call.kwargs))
            return self._reply(ask, await llm.achat(*call.args, **call.kwargs))

    def stream(self, ask: Ask) -> Generator[Chunk | Reply, None, None]:
        self.close()
        llm, call = self._prepared(ask)
        gathered = _Gathered()
        streams = self._streams = OpenStreams(call.change, budgeted=self.budgeted)
        with streams:
            source: Any = (llm.stream_complete if call.plain else llm.stream_chat)(*call.args, **call.kwargs)
        with closing(streams), closing(source):
            while True:
                with streams:
                    response = next(source, None)
                if response is None:
                    break
                yield from gathered.take(self._stamped(response, ask.tier.name))
        yield from gathered.rest()
        yield gathered.reply(self.wrap)

    async def astream(self, ask: Ask) -> AsyncGenerator[Chunk | Reply, None]:
        llm, call = self._prepared(ask)
        gathered = _Gathered()
        streams = OpenStreams(call.change, budgeted=self.budgeted)
        with streams:
            source: Any = await (llm.astream_complete if call.plain else llm.astream_chat)(*call.args, **call.kwargs)
        async with aclosing(streams), aclosing(source):
            while True:
                with streams:
                    response = await anext(source, None)
                if response is None:
                    break
                for chunk in gathered.take(self._stamped(response, ask.tier.name)):
                    yield chunk
        for chunk in gathered.rest():
            yield chunk
        yield gathered.reply(self.wrap)

    def close(self) -> None:
        """Break off a stream that its reader has left to the thread that waits for it: a tier's `timeout_s` has one."""
        self._streams.cut()

    def reshape(self, request: Request, edits: Edits) -> Request:
        """Make edits on the caller's own messages, which are asked so from now on: by `chat`, for a prompt too."""
        self.messages = edited(self.messages, edits)
        self.reshaped = True
        return replace(request, messages=tuple([neutral(m) for m in self.messages]), native=self.messages)

    def replay(self, reply: Reply) -> Iterable[Any]:
        return (reply.native.model_copy(update={"delta": reply.text}),)

    def freeze(self, reply: Reply) -> Any:
        response: Native = reply.native
        message = response.message.model_dump(mode="json") if isinstance(response, ChatResponse) else None
        if message is not None:
            # Where Anthropic's streams keep what this call used: a hit uses nothing.
            message["additional_kwargs"].pop("usage", None)
        return {**freeze_reply(reply), "framework": "llama_index", "message": message}

    def thaw(self, data: Any) -> Reply:
        reply = thaw_reply(data)
        if data["framework"] != "llama_index":
            raise CacheError(f"the entry was stored by {data['framework']!r}: LlamaIndex cannot read it")
        # No usage and no token counts: whoever adds up what responses used must add nothing for a hit.
        raw = {"cached_by": "tuppence", "model": reply.model}
        if self.surface == "complete":
            reply.native = CompletionResponse(text=reply.text, raw=raw)
        else:
            reply.native = ChatResponse(message=ChatMessage.model_validate(data["message"]), raw=raw)
        return reply

    def wrap(self, text: str) -> Native:
        if self.surface == "complete":
            return CompletionResponse(text=text)
        return ChatResponse(message=ChatMessage(content=text, role=MessageRole.ASSISTANT))

    # -- asking

    def _prepared(self, ask: Ask) -> tuple[LLM, _Arguments]:
        llm, call = self._arguments(ask)
        if ask.tier.self_hosted:
            call.change = _constrained(call.change)
        return llm, call

    def _arguments(self, ask: Ask) -> tuple[LLM, _Arguments]:
        """Choose how to call the tier: as the user called, unless edits or another prompt need messages."""
        tier = ask.tier
        if not isinstance(tier, LlmTier):
            raise RequestError(f"tier {tier.name!r} holds no LlamaIndex model: make it with tier(llm)")
        llm = self.over.get(tier.name, tier.llm)
        if ask.request.native is None:
            written = history_for(llm, [native(m) for m in ask.request.messages])
            return llm, _Arguments((written,), {**ask.request.params, **ask.edits.params})
        kwargs = {**self.kwargs, **ask.edits.params}
        if self.surface == "complete" and not (ask.edits.messages or self.reshaped):
            return llm, _Arguments((self.prompt,), {"formatted": self.formatted, **kwargs}, plain=True)
        messages, change = marked(llm, self.messages, ask.edits)
        history = history_for(llm, edited(messages, ask.edits))
        if self.tools and isinstance(llm, FunctionCallingLLM):
            return llm, _Arguments((), self._with_tools(llm, history, kwargs), change=change)
        return llm, _Arguments((history,), kwargs, change=change)

    def _with_tools(
        self, llm: FunctionCallingLLM, history: list[ChatMessage], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Let the tier's own class spell the tools for its provider."""
        choice = tool_choice_for(llm, kwargs.pop("tool_choice", None))
        if choice is not None:
            kwargs["tool_choice"] = choice
        return llm._prepare_chat_with_tools_compat(self.tools, chat_history=history, **self.tool_options, **kwargs)

    def _reply(self, ask: Ask, response: Native) -> Reply:
        raw = response.raw
        return _reply(
            self._stamped(response, ask.tier.name), _text_of(response), raw, model=model_of(raw),
            finish=finish_told(response), logprobs=logprobs_of(raw),
        )  # fmt: skip

    def _stamped(self, response: Native, tier: str) -> Native:
        """Mark a response with its tier, and give it the form that the caller waits for."""
        if self.surface == "complete" and isinstance(response, ChatResponse):
            response = CompletionResponse(
                text=response.message.content or "", delta=response.delta, raw=response.raw, logprobs=response.logprobs,
                additional_kwargs={**response.message.additional_kwargs, **response.additional_kwargs},
            )  # fmt: skip
        response.additional_kwargs[STAMP] = {"tier": tier}
        return response


@dataclass(slots=True)
class _Arguments:
    """How to call a native model."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    plain: bool = False
    """Call `complete` and not `chat`."""
    change: Change | None = None
    """What is to be made of the SDK's request."""


def _constrained(change: Change | None) -> Change:
    """Spell the SDK's request, with whatever else is to be made of it, as a server of one's own obeys it."""
    return lambda request: dict(constrained(request if change is None else change(request)))


class _Gathered:
    """What a stream has told so far."""

    __slots__ = ("finish", "last", "logprobs", "model", "prelude", "text", "usage_raw")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.logprobs: list[float] = []
        self.last: Native | None = None
        self.usage_raw: Any = None
        """Latest raw chunk that carried usage: counts are cumulative with every provider."""
        self.model: str | None = None
        self.finish: Finish | None = None
        self.prelude: list[Chunk] | None = []
        """Chunks before the first that says something: the user has nothing yet, and the next tier may still answer."""

    def take(self, response: Native) -> Sequence[Chunk]:
        """Take a chunk in; return those that are due."""
        raw = response.raw
        self.last = response
        self.text.append(response.delta or "")
        self.logprobs += logprobs_of(raw)
        self.finish = finish_told(response) or self.finish
        self.model = self.model or model_of(raw)
        if usage_in(raw):
            self.usage_raw = raw
        chunk = Chunk(response.delta or "", response)
        if self.prelude is None:
            return (chunk,)
        self.prelude.append(chunk)
        return () if _is_silent(response) else self.rest()

    def rest(self) -> Sequence[Chunk]:
        due, self.prelude = self.prelude or (), None
        return due

    def reply(self, wrap: Callable[[str], Native]) -> Reply:
        response = wrap("") if self.last is None else self.last
        return _reply(
            response, "".join(self.text), self.usage_raw, model=self.model, finish=self.finish,
            logprobs=self.logprobs,
        )  # fmt: skip


def _reply(
    response: Native, text: str, usage_raw: Any, *, model: str | None, finish: Finish | None, logprobs: list[float]
) -> Reply:
    calls = tool_calls_of(response.message) if isinstance(response, ChatResponse) else ()
    usage, is_estimate = usage_of(usage_raw)
    return Reply(
        text, calls, finish, usage, tuple(logprobs) or None, model, native=response, usage_is_estimate=is_estimate
    )


def _is_silent(response: Native) -> bool:
    if response.delta or says_thinking(response):
        return False
    return isinstance(response, CompletionResponse) or not tool_calls_of(response.message)


def says_thinking(response: Native) -> bool:
    """Say whether a chunk carries thinking; LlamaIndex's classes keep it at either of two places."""
    if response.additional_kwargs.get("thinking_delta"):
        return True
    return isinstance(response, ChatResponse) and bool(response.message.additional_kwargs.get("thinking_delta"))


def _text_of(response: Native) -> str:
    return response.text if isinstance(response, CompletionResponse) else response.message.content or ""


def finish_told(response: Native) -> Finish | None:
    """Say why a response ended, where the provider told."""
    holder = response.message if isinstance(response, ChatResponse) else response
    return finish_of(response.raw, holder.additional_kwargs)
