"""`ChatTuppence`: the chat model that asks the cheapest tier whose answer is good enough.

A facade, not a wrapper: it opens one chain run and asks the user's own models as LLM runs under it, so every handler
sees each provider call exactly once. Nothing here decides anything: the order of steps is `tuppence.flow`'s alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config
from pydantic import ConfigDict, Field, PrivateAttr
from typing_extensions import override

from langchain_tuppence import events, relay
from langchain_tuppence.calls import STRUCTURED, Call
from langchain_tuppence.entries import Entries
from langchain_tuppence.parts import Parts, parts_of, refuse_unknown
from langchain_tuppence.runs import AsyncTold, Told
from langchain_tuppence.structured import StructuredAnswer, with_raw
from langchain_tuppence.tiers import packed, shared_profile
from langchain_tuppence.tools import ToolLike, neutral_choice, neutral_tools
from tuppence import drivers
from tuppence.checks import default_check
from tuppence.flow import plan
from tuppence.policy import Mode, OnExhausted, Policy, Retries
from tuppence.spend import Ledger

_FACADE = "tuppence"
DEFAULT_CHECK = default_check()


class ChatTuppence(Entries):
    """A chat model over tiers, cheapest first: `ChatTuppence(tiers=[ChatOpenAI(...), ChatAnthropic(...)])`.

    Use it wherever a chat model goes. One call overrides the policy by `config={"configurable": {"tuppence": {"mode":
    "off", "threshold": 0.8, "route": "large", "cache": False, "max_usd_per_call": "0.01", "tags": {"user": "ann"},
    "call_id": "..."}}}`; tags also come from `tuppence.context.tags()` and from config metadata keys `tuppence_user`,
    `tuppence_tenant` and so on; a LangGraph `thread_id` is the session tag if none is set. The answer tells what it
    cost in `response_metadata["tuppence"]`. Provider exceptions surface as they are.
    """

    tiers: Any = Field(exclude=True, repr=False)
    """Models, `tier(...)` descriptions and function tiers, cheapest first, or a dict of names to such."""
    judges: Any = Field(default=(), exclude=True, repr=False)
    """Models that only checks ask, given like tiers: `judges=[tier(model, name="judge")], check=judged_by("judge")`."""
    route: Any = Field(default=None, exclude=True, repr=False)
    guards: Sequence[Any] = Field(default=(), exclude=True, repr=False)
    shape: Any = Field(default=(), exclude=True, repr=False)
    """Shorten what is sent, one after the other: `shape=[HistoryShaper(...)]`. See `tuppence.prune`."""
    check: Any = Field(default=DEFAULT_CHECK, exclude=True, repr=False)
    """Is a draft good enough? None accepts the first answer."""
    threshold: float = 0.5
    cache: Any = Field(default=None, exclude=True, repr=False)
    """True keeps exact repeats in memory, a path in a file. None keeps none: nobody's text is stored unasked."""
    prompt_cache: Any = Field(default=None, exclude=True, repr=False)
    """True plans how each call uses its provider's prompt cache; a `PrefixPlanner` does it for several models."""
    limits: Any = Field(default=None, exclude=True, repr=False)
    """True bounds answers by the length of those before them, in the ledger and since; see `tuppence.prune.output`."""
    ledger_option: Any = Field(default=True, alias="ledger", exclude=True, repr=False)
    """True writes to this user's default file, a path to another; False or None keeps no ledger."""
    record: Any = Field(default=None, exclude=True, repr=False)
    """A path or a `Recorder` keeps calls with their texts, for replay and training. None keeps nobody's."""
    retries: Retries = Field(default_factory=Retries, exclude=True, repr=False)
    max_usd_per_call: Any = None
    """Most that one logical call may cost, as text or Decimal."""
    budgets: Any = Field(default=None, exclude=True, repr=False)
    """What calls may cost together: `[Budget(usd=20, per="day", each="user")]`, or `Budgets` that models share."""
    lane: Any = Field(default=None, exclude=True, repr=False)
    """Where calls with `lane="batch"` wait for batch prices: a file, a postgresql:// address, or a `Lane`."""
    baseline: str = ""
    """Tier or judge that savings are measured against; the strongest tier unless you name another."""
    on_exhausted: OnExhausted = "best_draft"
    mode: Mode = "optimise"
    prices: Any = Field(default=None, exclude=True, repr=False)
    """A `PriceBook` with prices of your own; None is the packaged list."""
    version: str = ""
    """Your name for this policy and its prompts: a new one starts a new cache."""
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    """These three are sent to every tier where a call does not say otherwise; None leaves each tier its own."""

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True, extra="forbid")

    _parts: Parts = PrivateAttr()

    def __init__(self, **options: Any) -> None:
        # Built here and not in a validator: pydantic would wrap a ConfigError, and show the tiers with their settings.
        refuse_unknown(type(self), options)
        super().__init__(**options)
        self._parts = parts_of(self)
        if getattr(self, "profile", False) is None:  # langchain-core before 1.1 has no model profiles
            self.profile = cast("Any", shared_profile(self._parts.rungs.values()))

    @classmethod
    def from_config(cls, path: str | Path, **changes: Any) -> ChatTuppence:
        """Build the model that the YAML file at `path` describes; `changes` win over the file.

        Raises `ConfigError` naming the line, the value and the fix.
        """
        from langchain_tuppence.config import from_config  # it imports this class

        return from_config(path, **changes)

    # -- what it is

    @property
    def parts(self) -> Parts:
        """What the options were built into."""
        # As `self._parts` this goes through pydantic's `__getattr__`, at a tenth of what a whole call may cost.
        return cast("Parts", self.__pydantic_private__["_parts"])  # type: ignore[index]

    @property
    def policy(self) -> Policy:
        return self._parts.policy

    @property
    def ledger(self) -> Ledger | None:
        return self._parts.ledger

    @property
    def _llm_type(self) -> str:
        return _FACADE

    @property
    def _identifying_params(self) -> dict[str, Any]:
        policy = self._parts.policy
        return {"tiers": [t.name for t in policy.tiers], "policy_version": policy.version, "mode": policy.mode}

    def __repr__(self) -> str:
        return f"ChatTuppence(tiers={[t.name for t in self._parts.policy.tiers]}, mode={self.mode!r})"

    __str__ = __repr__

    @override
    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params = {"ls_provider": _FACADE, "ls_model_type": "chat", "ls_model_name": kwargs.get("model") or _FACADE}
        told = {**self._parts.defaults, **kwargs, "stop": stop or self.stop}
        settings = {f"ls_{name}": told.get(name) for name in ("temperature", "max_tokens", "stop")}
        return {**params, **{name: value for name, value in settings.items() if value is not None}}

    # -- asking

    def _opened(
        self, model_input: LanguageModelInput, config: RunnableConfig | None, stop: list[str] | None,
        kwargs: dict[str, Any], *, streaming: bool = False,
    ) -> tuple[Call, Told]:  # fmt: skip
        call = Call(self, model_input, ensure_config(config), stop, kwargs, streaming=streaming)
        return call, Told(self, call)

    async def _aopened(
        self, model_input: LanguageModelInput, config: RunnableConfig | None, stop: list[str] | None,
        kwargs: dict[str, Any], *, streaming: bool = False,
    ) -> tuple[Call, AsyncTold]:  # fmt: skip
        call = Call(self, model_input, ensure_config(config), stop, kwargs, streaming=streaming)
        return call, await AsyncTold.opened(self, call)

    @override
    def invoke(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, *, stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:  # fmt: skip
        call, told = self._opened(input, config, stop, kwargs)
        if told.view is not None:
            relay.drained(call, told)
            return call.answer
        try:
            drivers.run(plan(call.request, call.policy), call.port)
            message = call.finish()
        except BaseException as error:
            told.failed(error, call)
            raise
        told.ended(call)
        return message

    @override
    async def ainvoke(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, *, stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:  # fmt: skip
        call, told = await self._aopened(input, config, stop, kwargs)
        if told.view is not None:
            await relay.adrained(call, told)
            return call.answer
        try:
            await drivers.arun(plan(call.request, call.policy), call.port)
            message = call.finish()
        except BaseException as error:
            await told.failed(error, call)
            raise
        await told.ended(call)
        return message

    @override
    def stream(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, *, stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:  # fmt: skip
        call, told = self._opened(input, config, stop, kwargs, streaming=True)
        with closing(relay.chunks(call, told)) as source:  # type: ignore[type-var]
            yield from source

    @override
    async def astream(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, *, stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:  # fmt: skip
        call, told = await self._aopened(input, config, stop, kwargs, streaming=True)
        async with aclosing(relay.achunks(call, told)) as source:  # type: ignore[type-var]
            async for chunk in source:
                yield chunk

    @override
    def stream_events(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, *, version: str = "v2",
        stop: list[str] | None = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Stream events; version "v3" gives LangChain's `ChatModelStream` over the accepted answer."""
        if version != "v3":
            return super().stream_events(input, config, version=version, stop=stop, **kwargs)  # type: ignore[call-overload]

        def opened() -> Iterator[Any]:
            call, told = self._opened(input, config, stop, kwargs, streaming=True)
            return relay.events(call, told)

        return events.sync_stream(opened)

    @override
    def astream_events(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, *, version: str = "v2",
        stop: list[str] | None = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Stream events; version "v3" gives an awaitable of LangChain's `AsyncChatModelStream`."""
        if version != "v3":
            return super().astream_events(input, config, version=version, stop=stop, **kwargs)  # type: ignore[call-overload]

        async def opened() -> AsyncIterator[Any]:
            call, told = await self._aopened(input, config, stop, kwargs, streaming=True)
            async with aclosing(relay.aevents(call, told)) as source:  # type: ignore[type-var]
                async for event in source:
                    yield event

        async def stream() -> Any:
            return events.async_stream(opened)

        return stream()

    # -- tools and structured output

    @override
    def bind_tools(
        self, tools: Sequence[ToolLike], *, tool_choice: Any = None, strict: bool | None = None,
        parallel_tool_calls: bool | None = None, **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:  # fmt: skip
        """Bind tools, converted once; each tier is given them by its own `bind_tools` when it is asked."""
        converted = neutral_tools(tools, strict=strict)
        options = {
            "tool_choice": neutral_choice(tool_choice, converted), "strict": strict,
            "parallel_tool_calls": parallel_tool_calls,
        }  # fmt: skip
        return self.bind(tools=converted, **{k: v for k, v in options.items() if v is not None}, **kwargs)

    @override
    def with_structured_output(
        self, schema: Any = None, *, method: str | None = None, include_raw: bool = False, strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:  # fmt: skip
        """Answer in the form of `schema`; a draft that does not parse is rejected, and the next tier is asked.

        Each tier is asked as its own `with_structured_output` would, and its own parser makes the object. `method` is
        handed to tiers that have it; the others use their default.
        """
        options = {"method": method, "strict": strict, **kwargs}
        answer = StructuredAnswer(schema, self._parts.rungs, {k: v for k, v in options.items() if v is not None})
        model = self.bind(**{STRUCTURED: answer})
        return with_raw(model, answer.reader()) if include_raw else model | answer.reader()

    # -- copies

    def _options(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the tiers and judges as they were built."""
        options = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        options.pop("profile", None)
        policy, handles = self._parts.policy, self._parts.handles
        if "budgets" in options:
            # With their counters: a list that is opened anew would begin at nothing.
            options["budgets"] = policy.budgets
        return {**options, "tiers": packed(policy.tiers, handles), "judges": packed(policy.judges, handles)}

    @override
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> ChatTuppence:
        """Return a copy; with `update`, one whose policy is built anew."""
        return type(self)(**{**self._options(), **update}) if update else super().model_copy()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> ChatTuppence:
        return self.model_copy()

    def __reduce__(self) -> tuple[Callable[..., ChatTuppence], tuple[Any, ...]]:
        return _rebuilt, (type(self), self._options())


def _rebuilt(cls: type[ChatTuppence], options: dict[str, Any]) -> ChatTuppence:
    return cls(**options)
