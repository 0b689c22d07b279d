"""One call of the facade: from LangChain's arguments to a request, a policy and a port, and back to the message.

Everything here is prepared once a call and costs microseconds; nothing is bound, dumped or inspected on the way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig

from langchain_tuppence.messages import neutral
from langchain_tuppence.models import NativeModels
from langchain_tuppence.replies import METADATA
from langchain_tuppence.structured import StructuredAnswer
from tuppence.assembly import open_cache, recorder_of_call
from tuppence.attempts import Result, new_call_id
from tuppence.context import checked_tags, current_cache_tags, current_call_id, current_tags
from tuppence.effects import Choice, Route
from tuppence.errors import ConfigError, RequestError
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.request import Message, Request, Tags
from tuppence.tiers import Tier

if TYPE_CHECKING:
    from langchain_tuppence.chat import ChatTuppence
    from langchain_tuppence.lane import NativeLane

CONFIG_KEY = "tuppence"
"""`config={"configurable": {"tuppence": {...}}}` overrides the policy for one call."""
TAG_PREFIX = "tuppence_"
"""`config={"metadata": {"tuppence_user": "ann"}}` tags the call with user=ann."""
STRUCTURED = "tuppence_structured"
"""Bound argument that carries a `StructuredAnswer`."""

_POLICY_OVERRIDES = ("cache", "check", "max_usd_per_call", "mode", "on_exhausted", "record", "route", "threshold")
_OF_LANE = ("lane", "deadline_s")
_OVERRIDES = frozenset({*_POLICY_OVERRIDES, *_OF_LANE, "tags", "call_id"})
# Arguments that say how LangChain traces a call, not what a model answers.
_TRACING = frozenset({"ls_structured_output_format", "structured_output_format"})


class Call:
    """One call under way."""

    __slots__ = ("answer", "config", "facts", "ledger", "model_input", "models", "policy", "port", "request", "waits_s")

    answer: AIMessage
    """The accepted message, once finished."""
    facts: dict[str, Any]
    """What is told of the call, once finished."""

    def __init__(
        self, llm: ChatTuppence, model_input: LanguageModelInput, config: RunnableConfig, stop: list[str] | None,
        kwargs: dict[str, Any], *, streaming: bool,
    ) -> None:  # fmt: skip
        parts = llm.parts
        configurable = config.get("configurable") or {}
        overrides = _checked(configurable[CONFIG_KEY]) if CONFIG_KEY in configurable else {}
        structured: StructuredAnswer | None = None
        tools: Any = None
        route = overrides.get("route")
        said = _said_of_lane(overrides, kwargs)
        if parts.defaults:
            kwargs = {**parts.defaults, **kwargs}
        if kwargs:
            structured = kwargs.pop(STRUCTURED, None)
            tools = kwargs.pop("tools", None)
            route = kwargs.pop("model", None) or route
        stop = stop or llm.stop
        if stop:
            kwargs["stop"] = stop
        self.config = config
        self.model_input = model_input if type(model_input) is str else messages_of(llm, model_input)
        self.policy = _policy(parts.policy, overrides, route, structured)
        self.request = Request(
            _neutral(self.model_input),
            params=_params(parts.settings, kwargs),
            tools=tuple(tools) if tools else (),
            schema=None if structured is None else structured.json_schema,
            tags=tags_of(config, overrides),
            cache_tags=current_cache_tags(),
            call_id=overrides.get("call_id") or current_call_id(),
            streaming=streaming,
            received_at=time.time(),
            native=self.model_input,
        )
        self.ledger = parts.ledger
        self.waits_s = None if parts.lane is None and not said else _wait(parts.lane, said, self.request.tags)
        if self.waits_s is not None and self.request.call_id is None:
            self.request.call_id = new_call_id()
        lane = None if self.waits_s is None else parts.lane
        self.models = NativeModels(
            parts.handles if lane is None else lane.handles, self.request, kwargs=kwargs, tools=tools,
            structured=structured,
            budgeted=self.policy.budgets is not None,
        )  # fmt: skip
        if lane is None:
            self.port = Port(self.models, cache=self.policy.cache, ledger=parts.ledger, on_settled=self.models.settled)
        else:
            self.port = lane.port(self)

    @property
    def messages(self) -> list[BaseMessage]:
        """The native messages."""
        given = self.model_input
        return [HumanMessage(content=given)] if isinstance(given, str) else given

    @property
    def result(self) -> Result | None:
        """What the call came to; None before it is settled."""
        return self.models.result

    # -- what it came to

    @property
    def settled(self) -> Result:
        result = self.models.result
        assert result is not None
        return result

    def finish(self) -> AIMessage:
        """Take the accepted message and put on it, in plain JSON, how the call was answered and what it cost."""
        result = self.settled
        assert result.reply is not None
        self.answer = result.reply.native
        self.facts = result.summary()
        told = self.answer.response_metadata.get(METADATA, {})
        answered_by = told.get("answered_by") or told.get("tier")
        if answered_by is not None:
            self.facts["answered_by"] = answered_by
        self.answer.response_metadata[METADATA] = self.facts
        return self.answer

    def last_chunk(self, held: AIMessageChunk | None) -> AIMessageChunk:
        """Finish, and give the chunk that ends the stream; the same facts are on it."""
        self.finish()
        if held is None:
            held = AIMessageChunk(content="", chunk_position="last", id=self.models.new_id())
        held.response_metadata = {**held.response_metadata, METADATA: self.facts}
        return held


def _said_of_lane(overrides: Mapping[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take out of a call's options what it says of waiting; its arguments go before the config."""
    said = {name: overrides[name] for name in _OF_LANE if name in overrides}
    if "lane" in kwargs or "deadline_s" in kwargs:
        said |= {name: kwargs.pop(name) for name in _OF_LANE if name in kwargs}
    return said


def _wait(lane: NativeLane | None, said: Mapping[str, Any], tags: Tags) -> float | None:
    """Return in how many seconds a call must have its answer, None for one that does not wait."""
    choice, deadline_s = said.get("lane"), said.get("deadline_s")
    if lane is not None:
        return lane.lane.deadline_of(choice, deadline_s, tags)
    from tuppence.batch.queue import deadline_without_lane

    deadline_without_lane(choice, deadline_s)
    return None


def waits(lane: NativeLane | None, config: RunnableConfig, kwargs: Mapping[str, Any]) -> bool:
    """Say whether a call with this config and these arguments would wait."""
    configurable = config.get("configurable") or {}
    overrides = _checked(configurable[CONFIG_KEY]) if CONFIG_KEY in configurable else {}
    return _wait(lane, _said_of_lane(overrides, dict(kwargs)), tags_of(config, overrides)) is not None


def messages_of(llm: ChatTuppence, model_input: LanguageModelInput) -> list[BaseMessage]:
    """Return the native messages; a list of them takes no detour through a prompt value."""
    if type(model_input) is list and all(isinstance(m, BaseMessage) for m in model_input):
        return list(model_input)
    return llm._convert_input(model_input).to_messages()


def _neutral(model_input: str | list[BaseMessage]) -> tuple[Message, ...]:
    if isinstance(model_input, str):
        return (Message("user", model_input),)
    return tuple([neutral(m) for m in model_input])


def _params(settings: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    if not kwargs:
        return settings
    return {**settings, **{k: v for k, v in kwargs.items() if k not in _TRACING}}


def _checked(overrides: Any) -> Mapping[str, Any]:
    """Return the call's overrides; raise `ConfigError` naming one that does not exist."""
    if not isinstance(overrides, Mapping):
        raise ConfigError(f"configurable['{CONFIG_KEY}'] is {overrides!r}: give a dict of overrides")
    unknown = overrides.keys() - _OVERRIDES
    if unknown:
        raise ConfigError(
            f"configurable['{CONFIG_KEY}'] has {sorted(unknown)}: a call can override {sorted(_OVERRIDES)}"
        )
    return overrides


def tags_of(config: RunnableConfig, overrides: Mapping[str, Any]) -> Tags:
    """Collect the call's tags: the context's, then the config's metadata, then the overrides'; inner ones win."""
    named = {
        key[len(TAG_PREFIX) :]: str(value)
        for key, value in (config.get("metadata") or {}).items()
        if key.startswith(TAG_PREFIX)
    }
    given = overrides.get("tags")
    thread = (config.get("configurable") or {}).get("thread_id")
    if not (named or given or thread is not None):
        return current_tags()
    tags = {**current_tags(), **named, **(checked_tags(given) if given else {})}
    if thread is not None:
        tags.setdefault("session", str(thread))
    return tags


def _policy(policy: Policy, overrides: Mapping[str, Any], route: Any, structured: StructuredAnswer | None) -> Policy:
    """Return the policy of this call; the configured one itself wherever nothing differs."""
    if not overrides and route is None:
        return policy if structured is None else structured.checked(policy)
    changes = {name: overrides[name] for name in _POLICY_OVERRIDES if name in overrides}
    if route is not None:
        changes["route"] = _route(policy, route)
    if "cache" in changes:
        option = changes["cache"]
        changes["cache"] = policy.cache if option is True and policy.cache is not None else open_cache(option)
    if "record" in changes:
        changes["record"] = recorder_of_call(changes["record"], policy.record)
    if changes.get("max_usd_per_call") is not None:
        changes["max_usd_per_call"] = amount(changes["max_usd_per_call"])
    if changes:
        policy = policy.override(**changes)
    return policy if structured is None else structured.checked(policy)


def amount(value: Any) -> Decimal:
    """Read an amount of dollars exactly; raise `ConfigError` for one that is not."""
    if isinstance(value, bool | float):
        raise ConfigError(f"max_usd_per_call is {value!r}: give it as text or Decimal, such as '0.01'")
    try:
        return Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise ConfigError(f"max_usd_per_call is {value!r}: give an amount of dollars, such as '0.01'") from None


def _route(policy: Policy, route: Any) -> Route:
    if callable(route):
        return route  # type: ignore[no-any-return]
    if not isinstance(route, str):
        raise ConfigError(f"route is {route!r}: give a tier's name or a function of (request, ladder)")
    return Fixed(policy.rung(route))


class Fixed:
    """The route to one tier, because the caller says so."""

    __slots__ = ("tier",)

    def __init__(self, tier: Tier) -> None:
        self.tier = tier

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice:
        if self.tier not in ladder:
            raise RequestError(f"the call asks for tier {self.tier.name!r}, which a guard keeps from it")
        return Choice((self.tier,), f"the caller asked for {self.tier.name}")
