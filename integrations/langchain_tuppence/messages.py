"""Between LangChain's messages and the neutral form: what decisions look at, and how edits come back onto native
messages.

A native message is never rebuilt from its neutral view: images, thinking blocks, names and provider extras stay where
they are, and only what an edit names is changed, on a copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages.ai import add_ai_message_chunks

from tuppence.errors import RequestError
from tuppence.request import Capability, Edits, Finish, Message, Role, ToolCall, edited_items

_ROLES: Mapping[str, Role] = {
    "human": "user", "HumanMessageChunk": "user", "user": "user",
    "ai": "assistant", "AIMessageChunk": "assistant", "assistant": "assistant",
    "system": "system", "SystemMessageChunk": "system", "developer": "system",
    "tool": "tool", "ToolMessageChunk": "tool", "function": "tool", "FunctionMessageChunk": "tool",
}  # fmt: skip

# Block types of LangChain's standard content, and of OpenAI's and Anthropic's own.
_MEDIA: Mapping[str, Capability] = {
    "image": "vision", "image_url": "vision", "input_image": "vision", "video": "vision", "document": "vision",
    "file": "vision", "input_file": "vision", "audio": "audio", "input_audio": "audio",
}  # fmt: skip
_TEXT = frozenset({"text", "input_text", "output_text"})

_FINISHES: Mapping[str, Finish] = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "STOP": "stop", "completed": "stop",
    "length": "length", "max_tokens": "length", "MAX_TOKENS": "length", "incomplete": "length",
    "tool_calls": "tool_calls", "tool_use": "tool_calls", "function_call": "tool_calls",
    "content_filter": "content_filter", "refusal": "content_filter", "SAFETY": "content_filter",
}  # fmt: skip


def neutral(message: BaseMessage) -> Message:
    """View one native message as decisions need it."""
    role = _role(message)
    content = message.content
    media: frozenset[Capability] = frozenset()
    rest: list[Any] = []
    if type(content) is str:
        text = content
    else:
        text, media, rest = _blocks(content)
    extra = _extra(message, rest)
    if role != "assistant":
        return Message(role, text, (), media, extra)
    return Message(role, text, tool_calls(message), media, extra)


def _role(message: BaseMessage) -> Role:
    name = message.type if message.type != "chat" else str(getattr(message, "role", "user"))
    role = _ROLES.get(name)
    if role is None:
        raise RequestError(
            f"a message has the role {name!r}, which no model takes: send {sorted(set(_ROLES.values()))}"
        )
    return role


def _blocks(content: Iterable[Any]) -> tuple[str, frozenset[Capability], list[Any]]:
    """Split content blocks into text, the media they hold, and the others with their places."""
    texts: list[str] = []
    media: set[Capability] = set()
    rest: list[Any] = []
    for place, block in enumerate(content):
        if isinstance(block, str):
            texts.append(block)
            continue
        kind = block.get("type", "")
        if kind in _TEXT:
            texts.append(str(block.get("text", "")))
            continue
        rest.append([place, block])
        if kind in _MEDIA:
            media.add(_MEDIA[kind])
    return "".join(texts), frozenset(media), rest


def _extra(message: BaseMessage, rest: list[Any]) -> Any:
    """Collect what a provider is sent of the message beside role, text and tool calls; None where that is nothing."""
    extra: dict[str, Any] = {"blocks": rest} if rest else {}
    if message.name:
        extra["name"] = message.name
    if isinstance(message, ToolMessage):
        extra["tool_call_id"] = message.tool_call_id
        if message.status != "success":
            extra["status"] = message.status
    if message.additional_kwargs:
        sent = {k: v for k, v in message.additional_kwargs.items() if v is not None and k != "parsed"}
        if sent:
            extra["kwargs"] = sent
    return extra or None


def tool_calls(message: BaseMessage) -> tuple[ToolCall, ...]:
    """Return the calls that a native message asks for, those with broken arguments too."""
    if not isinstance(message, AIMessage) or not (message.tool_calls or message.invalid_tool_calls):
        return ()
    valid = [ToolCall(c["id"] or "", c["name"], json.dumps(c["args"], default=repr)) for c in message.tool_calls]
    broken = [ToolCall(c["id"] or "", c["name"] or "", c["args"] or "") for c in message.invalid_tool_calls]
    return (*valid, *broken)


def text_of(message: BaseMessage) -> str:
    """Return the text parts of a native message, joined."""
    content = message.content
    return content if type(content) is str else _blocks(content)[0]


def native(messages: Iterable[Message]) -> list[BaseMessage]:
    """Make native messages of neutral ones that have no native form: a judge's or a check's own question."""
    made: list[BaseMessage] = []
    for message in messages:
        if message.role == "system":
            made.append(SystemMessage(content=message.text))
        elif message.role == "assistant":
            made.append(AIMessage(content=message.text))
        else:
            made.append(HumanMessage(content=message.text))
    return made


def edited(messages: Sequence[BaseMessage], edits: Edits) -> list[BaseMessage]:
    """Return native messages with `edits` applied to copies; indices are those of `messages`."""
    return edited_items(messages, edits, write=_written, retell=_retold)


def _written(role: Role, text: str) -> BaseMessage:
    return native([Message(role, text)])[0]


def _retold(message: BaseMessage, text: str) -> BaseMessage:
    """Put the new text where the first text was; media and other blocks keep their places."""
    if isinstance(message.content, str):
        return message.model_copy(update={"content": text})
    blocks: list[Any] = []
    placed = False
    for block in message.content:
        if not isinstance(block, str) and block.get("type") not in _TEXT:
            blocks.append(block)
        elif not placed:
            placed = True
            blocks.append(text if isinstance(block, str) else {**block, "text": text})
    return message.model_copy(update={"content": blocks if placed else [{"type": "text", "text": text}, *blocks]})


def finish_of(message: AIMessage) -> Finish | None:
    """Say why the model stopped, where the provider told."""
    told = message.response_metadata
    reason = told.get("finish_reason") or told.get("stop_reason") or told.get("status")
    return _FINISHES.get(reason) if isinstance(reason, str) else None


def logprobs_of(message: AIMessage) -> tuple[float, ...] | None:
    """Return the log-probability of each generated token, where the provider told (OpenAI's form)."""
    told = message.response_metadata.get("logprobs")
    content = told.get("content") if isinstance(told, Mapping) else None
    if not content:
        return None
    return tuple(float(token["logprob"]) for token in content)


def merged(chunks: Sequence[AIMessageChunk]) -> AIMessage:
    """Put a whole stream together as the message that `invoke` would have returned."""
    if not chunks:
        return AIMessage(content="")
    whole = chunks[0] if len(chunks) == 1 else add_ai_message_chunks(*chunks)
    message = message_chunk_to_message(whole)
    assert isinstance(message, AIMessage)
    return message


def as_chunk(message: AIMessage, *, last: bool = True) -> AIMessageChunk:
    """Make the one chunk that streams a message which came whole."""
    if isinstance(message, AIMessageChunk):
        return message
    calls = [
        {"name": c["name"], "args": json.dumps(c["args"]), "id": c["id"], "index": i, "type": "tool_call_chunk"}
        for i, c in enumerate(message.tool_calls)
    ]
    return AIMessageChunk(
        content=message.content, additional_kwargs=message.additional_kwargs, name=message.name, id=message.id,
        response_metadata=message.response_metadata, usage_metadata=message.usage_metadata,
        tool_call_chunks=calls, chunk_position="last" if last else None,
    )  # fmt: skip
