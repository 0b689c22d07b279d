"""How the LlamaIndex classes of different providers differ: usage payloads, reasons to stop, histories, own retries.

A model is recognised by the package that its class comes from, so that no provider's package is imported here. It must
never change a model that the user holds: what is changed is a copy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    MessageRole,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms.llm import LLM

from llama_index_tuppence.cache_writes import lifetime_untold, only_lifetime, telling
from llama_index_tuppence.open_streams import LateClient, noting
from tuppence.errors import UsageError
from tuppence.request import Capability, Finish
from tuppence.usage import Usage, read_usage
from tuppence.usage.fields import field

_PACKAGE = "llama_index.llms."

# The class that speaks chat completions; OpenAILike, AzureOpenAI, Groq, OpenRouter and many more derive from it.
_CHAT_COMPLETIONS = ("llama_index.llms.openai.base", "OpenAI")
_RESPONSES = ("llama_index.llms.openai.responses", "OpenAIResponses")

# What of its SDK's client such a class asks for streams; `completions` is the older API, for models without chat.
STREAMS_OF_CHAT_COMPLETIONS = ("chat.completions", "completions")
# Where that class keeps its clients, and what makes those that are not there yet.
_MAKERS = {"_client": "_get_client", "_aclient": "_get_aclient"}

_FINISHES: Mapping[str, Finish] = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "eos": "stop", "complete": "stop", "completed": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length", "max_output_tokens": "length",
    "tool_calls": "tool_calls", "tool_use": "tool_calls", "function_call": "tool_calls",
    "content_filter": "content_filter", "refusal": "content_filter", "safety": "content_filter",
}  # fmt: skip


def speaks_chat_completions(llm: LLM) -> bool:
    """Say whether `llm` is LlamaIndex's OpenAI class or one derived from it."""
    return _is_a(llm, _CHAT_COMPLETIONS)


def speaks_responses(llm: LLM) -> bool:
    """Say whether `llm` is LlamaIndex's class for OpenAI's Responses API or one derived from it."""
    return _is_a(llm, _RESPONSES)


def _is_a(llm: LLM, named: tuple[str, str]) -> bool:
    return any((cls.__module__, cls.__name__) == named for cls in type(llm).__mro__)


def provider_of(llm: LLM) -> str | None:
    """Name the provider that `llm`'s package is for; None for one that may stand before any server."""
    for cls in type(llm).__mro__:
        if cls.__module__.startswith(_PACKAGE):
            name = cls.__module__[len(_PACKAGE) :].partition(".")[0]
            return None if name in ("openai_like", "custom") else name
    return None


def capabilities_of(llm: LLM) -> frozenset[Capability] | None:
    """Say what `llm` can do as far as its class tells; None where nothing speaks against anything."""
    can: set[Capability] = {"tools", "schema", "vision", "audio", "logprobs"}
    if not llm.metadata.is_function_calling_model:
        can.discard("tools")
    if provider_of(llm) == "anthropic":
        # Its messages API has no `response_format`, takes no audio and gives no logprobs.
        can -= {"schema", "audio", "logprobs"}
    return frozenset(can) if len(can) < 5 else None


def context_of(llm: LLM) -> int | None:
    """Say how long a prompt `llm` takes; None where the number is only a default of its class."""
    if "context_window" in type(llm).model_fields and "context_window" not in llm.model_fields_set:
        return None
    return llm.metadata.context_window


def adapted(llm: LLM) -> LLM:
    """Copy `llm` for use as a tier: it does not retry by itself, its streams say what they used, and can be closed."""
    changes: dict[str, Any] = {}
    if "max_retries" in type(llm).model_fields:
        changes["max_retries"] = 0
    if speaks_chat_completions(llm):
        extra: dict[str, Any] = getattr(llm, "additional_kwargs", {})
        options = {"include_usage": True, **(extra.get("stream_options") or {})}
        changes["additional_kwargs"] = {**extra, "stream_options": options}
    copy = llm.model_copy(update=changes)
    # It makes the clients that are not there yet: in the copy, their places are taken.
    maker = llm.model_copy(update=changes)
    for name, client in (llm.__pydantic_private__ or {}).items():
        if callable(getattr(client, "with_options", None)):
            setattr(copy, name, _own_client(llm, client))
        elif client is None and name in _MAKERS and speaks_chat_completions(llm):
            setattr(copy, name, LateClient(getattr(maker, _MAKERS[name]), STREAMS_OF_CHAT_COMPLETIONS))
    return copy


def _own_client(llm: LLM, client: Any) -> Any:
    """Copy an SDK client where a tier needs another: one that exists already has its retries built in."""
    if getattr(client, "max_retries", 0):
        client = client.with_options(max_retries=0)
    if provider_of(llm) == "anthropic":
        return noting(telling(client), ("messages",))
    if speaks_chat_completions(llm):
        return noting(client, STREAMS_OF_CHAT_COMPLETIONS)
    return noting(client, ("responses",)) if speaks_responses(llm) else client


def payload_of(raw: Any) -> Any:
    """Return the part of a raw response that carries usage and model: an event of the Responses API wraps it."""
    if isinstance(raw, Mapping):
        return raw
    whole = field(raw, "response")
    return raw if whole is None else whole


def usage_in(raw: Any) -> bool:
    """Say whether a raw payload carries usage."""
    return _usage_object(payload_of(raw)) is not None


def usage_of(raw: Any, asked: Any = None) -> tuple[Usage | None, bool]:
    """Read what a raw response used, and say whether that is an estimate; None where the response does not say.

    Cache writes whose lifetime the response leaves out have the one that the messages (`asked`) name, or the ordinary
    one: an estimate, since a watched model's own settings, which may name another, are not to be seen. A tier's own
    client has told already all that its request says, so that for a tier nothing more is asked.
    """
    payload = payload_of(raw)
    told = _usage_object(payload)
    if told is None:
        return None, False
    try:
        if not lifetime_untold(told):
            return read_usage("raw", payload), False
        return read_usage("raw", payload, {"cache_ttl": only_lifetime(asked)}), True
    except UsageError:
        return None, False


def _usage_object(payload: Any) -> Any:
    return field(payload, "usage", "usage_metadata")


def model_of(raw: Any) -> str | None:
    """Name the model that a raw response says it is from."""
    name = field(payload_of(raw), "model")
    return name if isinstance(name, str) and name else None


def finish_of(raw: Any, extra: Mapping[str, Any]) -> Finish | None:
    """Say why a response ended; `extra` are the message's `additional_kwargs`, where Anthropic's streams tell it."""
    told: Any = extra.get("stop_reason")
    if told is None and isinstance(raw, Mapping):
        told = raw.get("stop_reason") or raw.get("finish_reason") or getattr(raw.get("delta"), "stop_reason", None)
    elif told is None and (choices := getattr(raw, "choices", None)):
        told = getattr(choices[0], "finish_reason", None)
    return None if told is None else _FINISHES.get(str(getattr(told, "value", told)).lower())


def logprobs_of(raw: Any) -> list[float]:
    """Return the log-probabilities of the generated tokens in an OpenAI-like payload, empty where there are none."""
    choices = getattr(raw, "choices", None)
    content = getattr(getattr(choices[0], "logprobs", None), "content", None) if choices else None
    return [token.logprob for token in content or ()]


def tool_choice_for(llm: LLM, choice: Any) -> Any:
    """Spell an OpenAI `tool_choice` as the provider of `llm` does; None is not sent at all."""
    if provider_of(llm) != "anthropic" or choice is None:
        return choice
    if isinstance(choice, Mapping):
        name = (choice.get("function") or {}).get("name")
        return choice if name is None else {"type": "tool", "name": name}
    words = {"required": "any", "any": "any", "auto": "auto", "none": "none"}
    return {"type": words[choice]} if choice in words else {"type": "tool", "name": choice}


def history_for(llm: LLM, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the history as the provider of `llm` takes it; messages that need no change stay the same objects.

    In a conversation that moves between providers, Anthropic refuses arguments that are JSON text and thinking that it
    has not signed, and chat completions have no cache points.
    """
    if provider_of(llm) == "anthropic":
        return [_for_anthropic(m) if _foreign_to_anthropic(m) else m for m in messages]
    if speaks_chat_completions(llm):
        return [_without(m, CachePoint) if any(isinstance(b, CachePoint) for b in m.blocks) else m for m in messages]
    return list(messages)


def _foreign_to_anthropic(message: ChatMessage) -> bool:
    return message.role == MessageRole.ASSISTANT and any(_foreign_block(b) for b in message.blocks)


def _foreign_block(block: Any) -> bool:
    if isinstance(block, ToolCallBlock):
        return isinstance(block.tool_kwargs, str)
    return isinstance(block, ThinkingBlock) and not block.additional_information.get("signature")


def _for_anthropic(message: ChatMessage) -> ChatMessage:
    blocks: list[Any] = []
    for block in message.blocks:
        if isinstance(block, ToolCallBlock) and isinstance(block.tool_kwargs, str):
            blocks.append(block.model_copy(update={"tool_kwargs": _arguments(block.tool_kwargs)}))
        elif not _foreign_block(block):
            blocks.append(block)
    return message.model_copy(update={"blocks": blocks})


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"arguments": text}


def _without(message: ChatMessage, kind: type) -> ChatMessage:
    return message.model_copy(update={"blocks": [b for b in message.blocks if not isinstance(b, kind)]})
