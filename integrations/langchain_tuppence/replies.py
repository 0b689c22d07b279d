"""What a native answer says, in the neutral form: text, calls, why it ended, and above all what it used.

Usage is read from the provider's own payload where LangChain kept it, since LangChain's mapping merges some buckets,
and from `usage_metadata` otherwise. What nobody told stays None and is billed by a flagged estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from langchain_tuppence.messages import finish_of, logprobs_of, text_of, tool_calls
from tuppence.cache import freeze_reply, thaw_reply
from tuppence.errors import UsageError
from tuppence.request import Reply
from tuppence.usage import Usage, read_usage

METADATA = "tuppence"
"""Key of `response_metadata` under which a message tells how it was answered."""

_TOTALS = frozenset(
    {"input_tokens", "output_tokens", "total_tokens", "prompt_tokens", "completion_tokens"}
)  # fmt: skip
_ORDINARY = (None, "default", "standard")
_NOTHING_USED = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
_USAGE_KEYS = ("token_usage", "usage")


def reply_of(message: AIMessage, tier: str) -> Reply:
    """View a tier's answer as decisions and the books need it."""
    told = message.response_metadata
    reply = Reply(
        text_of(message), tool_calls(message), finish_of(message), usage_of(message),
        logprobs_of(message) if "logprobs" in told else None, told.get("model_name") or told.get("model"),
        native=message,
    )  # fmt: skip
    told[METADATA] = {"tier": tier}
    return reply


def usage_of(message: AIMessage) -> Usage | None:
    """Read what one answer used; None where neither the provider nor LangChain says."""
    counted: Any = message.usage_metadata
    if counted is not None:
        if counted.get("total_cost") == 0:
            # LangChain's own cache marks its hits so: nothing was bought.
            return Usage()
        plain = _plain(message, counted)
        if plain is not None:
            return plain
    told = message.response_metadata
    context = _context(message, told)
    for api, payload in (("chat", told.get("token_usage")), ("messages", told.get("usage"))):
        if payload and isinstance(payload, Mapping):
            try:
                return read_usage(api, payload, context)
            except UsageError:
                continue
    if counted is None:
        return None
    try:
        return read_usage("langchain.usage_metadata", counted, context)
    except UsageError:
        return None


def _plain(message: AIMessage, counted: Mapping[str, Any]) -> Usage | None:
    """Read the usage of an ordinary call, in 2 microseconds in place of 15; None unless both payloads hold totals
    only.
    """
    if type(message.content) is not str:
        return None
    told = message.response_metadata
    raw = told.get("token_usage") or told.get("usage")
    if _details(counted) or (raw and (type(raw) is not dict or _details(raw))):
        return None
    if told.get("service_tier") not in _ORDINARY:
        return None
    sent, made = counted["input_tokens"], counted["output_tokens"]
    if raw and raw.get("prompt_tokens", raw.get("input_tokens")) != sent:
        return None
    return Usage(input=sent, output=made)


def _details(payload: Mapping[str, Any]) -> bool:
    """Say whether a usage payload tells more than totals."""
    for key, value in payload.items():
        if key in _TOTALS or not value:
            continue
        if type(value) is not dict or any(value.values()):
            return True
    return False


def _context(message: AIMessage, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Collect what the payload leaves out: how the call was run, and the tools that the provider ran and bills."""
    context: dict[str, Any] = {}
    if (service_tier := told.get("service_tier")) is not None:
        context["service_tier"] = service_tier
    if type(message.content) is not str:
        calls = [name for block in message.content if (name := _billed_tool(block))]
        if calls:
            context["calls"] = calls
    return context


def _billed_tool(block: Any) -> str | None:
    if not isinstance(block, Mapping):
        return None
    kind = block.get("type")
    if kind in ("web_search_call", "file_search_call"):
        return str(kind)
    if kind in ("server_tool_use", "server_tool_call"):
        return str(block.get("name"))
    return None


def as_hit(message: AIMessage) -> None:
    """Take what the answer once used off a message that is served again.

    Its `usage_metadata` becomes zeros, not None: code that adds up `usage_metadata["total_tokens"]` keeps working,
    and its sums stay what was really bought. What the answer used when it was bought is in the ledger.
    """
    message.usage_metadata = _NOTHING_USED.copy()  # type: ignore[assignment]
    for key in _USAGE_KEYS:
        message.response_metadata.pop(key, None)


def freeze(reply: Reply) -> Any:
    """Turn a reply with its native message into JSON for the cache."""
    frozen = freeze_reply(reply)
    message = reply.native
    if isinstance(message, AIMessage):
        extra = {k: v.model_dump() if isinstance(v, BaseModel) else v for k, v in message.additional_kwargs.items()}
        fields = {
            "content": message.content, "additional_kwargs": extra, "response_metadata": message.response_metadata,
            "name": message.name, "tool_calls": message.tool_calls, "invalid_tool_calls": message.invalid_tool_calls,
        }  # fmt: skip
        frozen["message"] = {name: value for name, value in fields.items() if value}
    return frozen


def thaw(frozen: Any) -> Reply:
    """Turn what `freeze` made into a reply with a message of its own.

    The message has no id yet: under its old one LangGraph would replace the earlier message instead of adding this
    one.
    """
    reply = thaw_reply(frozen)
    message = AIMessage(**{"content": "", **frozen["message"]})
    as_hit(message)
    reply.native = message
    return reply
