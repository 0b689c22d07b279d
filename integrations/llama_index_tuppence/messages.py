"""LlamaIndex's messages seen neutrally, and neutral edits made on them.

Decisions read the neutral form; tiers are sent the user's own `ChatMessage`s, of which an edit copies those it changes.
Images, thinking and provider extras are never rebuilt from the neutral form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
    VideoBlock,
)
from pydantic import BaseModel

from tuppence.request import Capability, Edits, Message, Role, ToolCall, edited_items

_ROLES: Mapping[MessageRole, Role] = {
    MessageRole.SYSTEM: "system", MessageRole.DEVELOPER: "system", MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant", MessageRole.MODEL: "assistant", MessageRole.CHATBOT: "assistant",
    MessageRole.TOOL: "tool", MessageRole.FUNCTION: "tool",
}  # fmt: skip
_NATIVE: Mapping[Role, MessageRole] = {
    "system": MessageRole.SYSTEM, "user": MessageRole.USER,
    "assistant": MessageRole.ASSISTANT, "tool": MessageRole.TOOL,
}  # fmt: skip


def neutral(message: ChatMessage) -> Message:
    """View one message neutrally."""
    role = _ROLES[message.role]
    blocks = message.blocks
    if len(blocks) == 1 and type(blocks[0]) is TextBlock and not message.additional_kwargs:
        return Message(role, blocks[0].text)
    calls = tuple(tool_call(b) for b in blocks if isinstance(b, ToolCallBlock))
    rest = [_plain(b) for b in blocks if not isinstance(b, TextBlock | ToolCallBlock)]
    extra: dict[str, Any] = {}
    if rest:
        extra["blocks"] = rest
    if message.additional_kwargs:
        extra["additional_kwargs"] = _plain(message.additional_kwargs)
    return Message(role, message.content or "", calls, _media(blocks), extra or None)


def tool_call(block: ToolCallBlock) -> ToolCall:
    """View one tool call neutrally, its arguments as JSON text."""
    arguments = block.tool_kwargs
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(block.tool_call_id or "", block.tool_name, arguments)


def tool_calls_of(message: ChatMessage) -> tuple[ToolCall, ...]:
    """Collect the tool calls that a reply makes, also from classes that keep them in `additional_kwargs` alone."""
    found = tuple(tool_call(block) for block in message.blocks if isinstance(block, ToolCallBlock))
    if found or not message.additional_kwargs.get("tool_calls"):
        return found
    return tuple(_legacy_call(_plain(call)) for call in message.additional_kwargs["tool_calls"])


def native(message: Message) -> ChatMessage:
    """Make a native message of a neutral one that tuppence itself wrote (a judge's question, a tier's examples)."""
    return ChatMessage(content=message.text, role=_NATIVE[message.role])


def edited(messages: Sequence[ChatMessage], edits: Edits) -> Sequence[ChatMessage]:
    """Apply edits; untouched messages stay the same objects."""
    if not edits.messages:
        return messages
    return edited_items(messages, edits, write=_written, retell=_with_text)


def _written(role: Role, text: str) -> ChatMessage:
    return ChatMessage(content=text, role=_NATIVE[role])


def _with_text(message: ChatMessage, text: str) -> ChatMessage:
    """Put `text` where the first text part was; parts that are not text stay where they are."""
    blocks: list[Any] = []
    pending: str | None = text
    for block in message.blocks:
        if not isinstance(block, TextBlock):
            blocks.append(block)
        elif pending is not None:
            blocks.append(TextBlock(text=pending))
            pending = None
    if pending is not None:
        blocks.insert(0, TextBlock(text=pending))
    return message.model_copy(update={"blocks": blocks})


def _media(blocks: Iterable[Any]) -> frozenset[Capability]:
    found: set[Capability] = set()
    for block in blocks:
        if isinstance(block, ImageBlock | VideoBlock):
            found.add("vision")
        elif isinstance(block, AudioBlock):
            found.add("audio")
    return frozenset(found)


def _legacy_call(call: Any) -> ToolCall:
    """Read a tool call as OpenAI's SDK or as Anthropic's older integration spells it."""
    function = call.get("function") or {"name": call.get("name"), "arguments": call.get("input")}
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments or {}, ensure_ascii=False)
    return ToolCall(str(call.get("id") or ""), str(function.get("name") or ""), arguments)


def _plain(value: Any) -> Any:
    """Turn SDK objects inside a message into plain data, so that equal messages have equal fingerprints."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
