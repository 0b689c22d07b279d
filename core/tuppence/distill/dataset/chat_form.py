"""Recorded messages, whichever framework or SDK sent them, as OpenAI's chat messages that a model can be trained on.

What has no such form (an image, a tool's result that belongs to no known call) is refused: a row that says something
else than the user's program did is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuppence.distill.dataset.row import Json
from tuppence.request import Message, Reply, ToolCall

Redact = Callable[[str], str]

# Blocks whose text or calls are in the neutral message already, and a model's own thinking, which is never learned.
_TOLD = frozenset({
    "text", "input_text", "output_text", "tool_use", "tool_call", "tool_result", "function_call", "thinking",
    "redacted_thinking", "reasoning",
})  # fmt: skip


class NoChatForm(Exception):
    """Something that cannot be written as chat messages; its text is the reason, in a few fixed words."""


def prompt_of(messages: Sequence[Message], redact: Redact) -> tuple[Json, ...]:
    """Write what was asked; consecutive messages of the assistant become one. Raises `NoChatForm`."""
    told: list[Json] = []
    for message in messages:
        if message.media or _untold(message.extra):
            raise NoChatForm("media")
        if message.role == "tool":
            told += _results(message, redact)
        elif message.role == "assistant":
            _add_answer(told, message, redact)
        else:
            told.append({"role": message.role, "content": redact(message.text)})
    _joined(told)
    return tuple(told)


def answer_of(reply: Reply, redact: Redact) -> Json:
    """Write an answer as the assistant's message."""
    return _answer(redact(reply.text), reply.tool_calls, redact)


def tools_of(tools: Sequence[Mapping[str, Any]]) -> tuple[Json, ...]:
    """Return function tools as they were offered; raises `NoChatForm` for a provider's built-in ones."""
    if any("function" not in tool for tool in tools):
        raise NoChatForm("built-in tools")
    return tuple({"type": "function", "function": dict(tool["function"])} for tool in tools)


def _answer(text: str, calls: Sequence[ToolCall], redact: Redact) -> Json:
    message: Json = {"role": "assistant", "content": text if text or not calls else None}
    if calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": redact(c.arguments) or "{}"}}
            for c in calls
        ]
    return message


def _add_answer(told: list[Json], message: Message, redact: Redact) -> None:
    """Add to the assistant's message before, where there is one: some APIs send text and calls apart."""
    if not message.text and not message.tool_calls:
        return
    mine = _answer(redact(message.text), message.tool_calls, redact)
    if not told or told[-1]["role"] != "assistant":
        told.append(mine)
        return
    last = told[-1]
    last["content"] = "\n".join(text for text in (last["content"], mine["content"]) if text) or None
    if calls := [*last.get("tool_calls", ()), *mine.get("tool_calls", ())]:
        last["tool_calls"] = calls


def _joined(told: list[Json]) -> None:
    """Hold every tool's result against the call that asked for it."""
    asked: set[str] = set()
    for message in told:
        asked |= {call["id"] for call in message.get("tool_calls") or ()}
        if message["role"] == "tool" and message["tool_call_id"] not in asked:
            raise NoChatForm("tool results")


def _results(message: Message, redact: Redact) -> list[Json]:
    """Write a tool's result, wherever the SDK or framework puts the id of its call; Anthropic's turns hold several."""
    extra = message.extra if isinstance(message.extra, Mapping) else {}
    kept = extra.get("additional_kwargs")
    for place in (extra, kept if isinstance(kept, Mapping) else {}):
        one = place.get("tool_call_id") or place.get("call_id")
        if one:
            return [{"role": "tool", "tool_call_id": str(one), "content": redact(message.text)}]
    blocks = extra.get("content")
    found = [b for b in blocks if isinstance(b, Mapping) and b.get("tool_use_id")] if isinstance(blocks, list) else []
    if not found:
        raise NoChatForm("tool results")
    return [{"role": "tool", "tool_call_id": str(b["tool_use_id"]), "content": redact(_text(b))} for b in found]


def _text(block: Mapping[str, Any]) -> str:
    """Return the text of a result block; raises `NoChatForm` where it holds anything else."""
    content = block.get("content")
    if isinstance(content, str) or content is None:
        return content or ""
    if not all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
        raise NoChatForm("media")
    return "\n".join(str(part.get("text") or "") for part in content)


def _untold(extra: Any) -> bool:
    """Say whether a message holds parts that its text does not tell: images, documents, references."""
    if not isinstance(extra, Mapping):
        return False
    content, placed = extra.get("content"), extra.get("blocks")
    blocks = list(content) if isinstance(content, list) else []
    # LangChain's come with their places.
    blocks += [b[1] if isinstance(b, list) and len(b) == 2 else b for b in placed] if isinstance(placed, list) else []
    return any(isinstance(b, Mapping) and str(b.get("type") or b.get("block_type")) not in _TOLD for b in blocks)
