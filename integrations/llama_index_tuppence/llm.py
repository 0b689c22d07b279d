"""`TuppenceLLM`: one LlamaIndex model in front of several.

It is not decorated with LlamaIndex's callbacks: the tiers are, so that handlers see every attempt once, rejected drafts
included, and nothing twice. What decides is the policy; here is only LlamaIndex's surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM, ToolSelection
from llama_index.core.tools.types import BaseTool
from pydantic import Field, PrivateAttr

from llama_index_tuppence.abilities import joint_metadata, joint_settings
from llama_index_tuppence.call import Call
from llama_index_tuppence.lane import Batched, NativeLane, waiting_port
from llama_index_tuppence.models import Conversation
from llama_index_tuppence.options import Override, override, retries_of, usd_limit
from llama_index_tuppence.requests import completion_of, request_of
from llama_index_tuppence.selections import selections
from llama_index_tuppence.stamp import tier_of
from llama_index_tuppence.tiers import (
    LlmTier,
    Prices,
    Tiers,
    ladder_and_judges,
    managers_of,
    owned,
    price_book,
    settings_digest,
)
from tuppence.assembly import (
    BudgetsOption,
    CacheOption,
    LedgerOption,
    LimitsOption,
    PrefixOption,
    RecordOption,
    open_budgets,
    open_cache,
    open_ledger,
    open_limits,
    open_planner,
    open_recorder,
    open_shape,
)
from tuppence.checks import default_check
from tuppence.effects import Check, Route, Shaper
from tuppence.errors import ConfigError
from tuppence.policy import Mode, OnExhausted, Policy, Retries
from tuppence.request import Request
from tuppence.spend import Ledger


class TuppenceLLM(Batched, FunctionCallingLLM):
    """Answer with the cheapest tier that is good enough.

    `tiers` are LlamaIndex models, cheapest first, or names to such; `tier(llm, ...)` and `function_tier(name, fn)` say
    more. `judges` are given alike, and only checks ask them: `check=judged_by("judge")`. One call may say
    `tuppence={...}` for itself: mode, threshold, route (a route or a tier's name), check, cache, max_usd_per_call,
    on_exhausted, record, tags, call_id. A response says in `additional_kwargs["tuppence"]` which tier answered, why,
    and what it cost.
    """

    tiers: tuple[str, ...] = Field(description="Names of the tiers, cheapest first.")

    _policy: Policy = PrivateAttr()
    _ledger: Ledger | None = PrivateAttr()
    _settings: Mapping[str, Any] = PrivateAttr()
    _metadata: LLMMetadata = PrivateAttr()
    _given: Mapping[str, Any] = PrivateAttr()
    _followers: tuple[LLM, ...] = PrivateAttr(default=())
    """Models that use this one's callback manager."""
    _lane: NativeLane | None = PrivateAttr(default=None)
    """Where calls that may wait do so."""
    _managers: tuple[CallbackManager, ...] = PrivateAttr(default=())
    """Managers of the models that have one of their own."""

    def __init__(
        self,
        tiers: Tiers,
        *,
        judges: Tiers = (),
        route: Route | None = None,
        guards: Sequence[Route] = (),
        shape: Sequence[Shaper] = (),
        check: Check | Literal["default"] | None = "default",
        threshold: float = 0.5,
        cache: CacheOption = None,
        ledger: LedgerOption = True,
        retries: Retries | int | None = None,
        max_usd_per_call: Decimal | str | float | None = None,
        baseline: str = "",
        on_exhausted: OnExhausted = "best_draft",
        mode: Mode = "optimise",
        prices: Prices = None,
        version: str = "",
        prompt_cache: PrefixOption = None,
        record: RecordOption = None,
        limits: LimitsOption = None,
        budgets: BudgetsOption = None,
        lane: Any = None,
        **llama_index: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "llama_index", "__class__")}
        unknown = llama_index.keys() - FunctionCallingLLM.model_fields.keys()
        if unknown:
            raise ConfigError(f"TuppenceLLM has no option {sorted(unknown)}: see help(TuppenceLLM)")
        made, consulted = ladder_and_judges(tiers, judges, price_book(prices))
        super().__init__(tiers=tuple(t.name for t in made), **llama_index)
        self._managers = managers_of((*made, *consulted))
        all_owned, self._followers = owned((*made, *consulted), self.callback_manager)
        made, consulted = all_owned[: len(made)], all_owned[len(made) :]
        self._given = {**given, **llama_index}
        self._ledger = open_ledger(ledger)
        self._settings = joint_settings(made)
        self._metadata = joint_metadata(made)
        self._lane = None if lane is None else NativeLane(lane, all_owned)
        digest = settings_digest(all_owned)
        self._policy = Policy(
            tiers=made, judges=consulted, route=route, guards=tuple(guards), shape=open_shape(shape),
            limits=open_limits(limits, self._ledger),
            check=default_check() if check == "default" else check, threshold=threshold, cache=open_cache(cache),
            retries=retries_of(retries), max_usd_per_call=usd_limit(max_usd_per_call), on_exhausted=on_exhausted,
            baseline=baseline, mode=mode, budgets=open_budgets(budgets), prefix=open_planner(prompt_cache),
            record=open_recorder(record), surface="llama_index",
            version=f"{version}/{digest}" if version else digest,
        )  # fmt: skip

    @classmethod
    def from_config(cls, path: str | Path, **changes: Any) -> TuppenceLLM:
        """Build the LLM that the YAML file at `path` describes; `changes` win over the file.

        Raises `ConfigError` naming the line, the value and the fix.
        """
        from llama_index_tuppence.config import from_config  # it imports this class

        return from_config(path, **changes)

    @classmethod
    def class_name(cls) -> str:
        return "TuppenceLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What all tiers can do: the smallest context window, and only the abilities that they share."""
        return self._metadata

    @property
    def policy(self) -> Policy:
        return self._policy

    @property
    def ledger(self) -> Ledger | None:
        """Where calls are written down."""
        return self._ledger

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "callback_manager" and self.__pydantic_private__:
            # LlamaIndex's Settings hand every model their manager when it is used: the tiers are who calls back.
            for llm in self._followers:
                llm.callback_manager = value

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> TuppenceLLM:
        # Connections, caches and a ledger are to be shared, and nothing else of it changes.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), dict(self._given))

    # -- chat

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        response: ChatResponse = self._chat(messages, kwargs).run()
        return response

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        response: ChatResponse = await self._chat(messages, kwargs).arun()
        return response

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return self._chat(messages, kwargs, streaming=True).stream()

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        return self._chat(messages, kwargs, streaming=True).astream()

    # -- completion

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        response: CompletionResponse = self._complete(prompt, formatted, kwargs).run()
        return response

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        response: CompletionResponse = await self._complete(prompt, formatted, kwargs).arun()
        return response

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        return self._complete(prompt, formatted, kwargs, streaming=True).stream()

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        return self._complete(prompt, formatted, kwargs, streaming=True).astream()

    # -- tools

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Keep the tools neutral: each tier's class spells them for its provider when it is asked."""
        messages = list(chat_history or ())
        if user_msg is not None:
            messages.append(ChatMessage(content=user_msg) if isinstance(user_msg, str) else user_msg)
        return {
            "messages": messages, "tools": list(tools), "allow_parallel_tool_calls": allow_parallel_tool_calls,
            "tool_required": tool_required, **kwargs,
        }  # fmt: skip

    def _validate_chat_with_tools_response(
        self, response: ChatResponse, tools: Sequence[BaseTool], allow_parallel_tool_calls: bool = False, **kwargs: Any
    ) -> ChatResponse:
        llm = self._tier_of(response)
        if llm is None:
            return response
        return llm._validate_chat_with_tools_response(response, tools, allow_parallel_tool_calls, **kwargs)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Have the tier that made the response read its tool calls."""
        llm = self._tier_of(response)
        if llm is not None:
            return llm.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call, **kwargs)
        return selections(response, error_on_no_tool_call=error_on_no_tool_call)

    def _tier_of(self, response: ChatResponse) -> FunctionCallingLLM | None:
        name = tier_of(response)
        if name not in self.tiers:
            return None
        found = self._policy.tier(name)
        return found.llm if isinstance(found, LlmTier) and isinstance(found.llm, FunctionCallingLLM) else None

    # -- opening a call

    def _chat(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, streaming: bool = False) -> Call:
        own = override(self._policy, kwargs)
        tools = kwargs.get("tools") or ()
        request = request_of(
            messages, {n: v for n, v in kwargs.items() if n != "tools"}, tools=tools, settings=self._settings,
            tags=own.tags, call_id=own.call_id, streaming=streaming,
        )  # fmt: skip
        conversation = Conversation(messages, kwargs)
        if any(isinstance(tool, BaseTool) for tool in tools):
            del kwargs["tools"]
            conversation.tools = tools
            conversation.tool_options = {
                "allow_parallel_tool_calls": kwargs.pop("allow_parallel_tool_calls", False),
                "tool_required": kwargs.pop("tool_required", False),
            }
        return self._call(request, own, conversation)

    def _complete(self, prompt: str, formatted: bool, kwargs: dict[str, Any], *, streaming: bool = False) -> Call:
        own = override(self._policy, kwargs)
        messages = [ChatMessage(content=prompt, role=MessageRole.USER)]
        request = request_of(
            messages, kwargs, settings=self._settings, tags=own.tags, call_id=own.call_id, streaming=streaming
        )
        request.messages = (completion_of(prompt, formatted=formatted),)
        conversation = Conversation(messages, kwargs, surface="complete", prompt=prompt, formatted=formatted)
        return self._call(request, own, conversation)

    def _call(self, request: Request, own: Override, conversation: Conversation) -> Call:
        handlers = self.callback_manager.handlers
        if self._managers:
            handlers = [*handlers, *(handler for manager in self._managers for handler in manager.handlers)]
        open_port = waiting_port(self._lane, own.of_lane, request, conversation)
        return Call(request, own.policy, conversation, ledger=self._ledger, handlers=handlers, open_port=open_port)


def _rebuilt(cls: type[TuppenceLLM], given: Mapping[str, Any]) -> TuppenceLLM:
    return cls(**given)
