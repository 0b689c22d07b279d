"""Marks for a provider's prompt cache on what a LlamaIndex model sends, as each class lets them through.

`ChatMessage` has a `CachePoint`, which only Anthropic's class reads, and not in a system prompt. What it has no word
for is put into the SDK's request on its way. Copies what it changes: the user's messages and tools stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms.llm import LLM

from llama_index_tuppence.dialects import provider_of, speaks_chat_completions
from llama_index_tuppence.open_streams import Change
from tuppence.clients import anthropic_marks, openai_marks
from tuppence.request import Drop, Edits, Insert, Mark

_OWN_SETTINGS = ("cache_control", "prompt_cache_key", openai_marks.OPTIONS)
_Place = tuple[int, str]
"""Index of a message, and the lifetime of its mark."""
# Parameters that older versions of the SDK have no argument for.
_UNKNOWN_TO_SOME = ("prompt_cache_key", openai_marks.OPTIONS)


def takes_marks(llm: LLM) -> bool:
    """Say whether marks may be put on this model's requests: its class is known, and no setting of its own has any."""
    given: Mapping[str, Any] = getattr(llm, "additional_kwargs", None) or {}
    if any(given.get(name) for name in _OWN_SETTINGS) or getattr(llm, "cache_idx", None) is not None:
        return False
    return provider_of(llm) == "anthropic" or speaks_chat_completions(llm)


def marked(llm: LLM, messages: Sequence[ChatMessage], edits: Edits) -> tuple[Sequence[ChatMessage], Change | None]:
    """Return the user's messages with the marks that they can carry, and what is to be made of the SDK's request.

    The indices in `edits` are those of `messages`, whose other edits are still to be made.
    """
    own = bool(edits.marks) and _is_marked(messages)
    places = [] if own else [(mark.place, mark.lifetime) for mark in edits.marks if mark.place != "tools"]
    if provider_of(llm) != "anthropic":
        moved = _moved(places, edits)
        return messages, (lambda request: _for_chat(request, moved)) if moved or edits.params else None
    if own or not edits.marks:
        return messages, None
    tools = [mark.lifetime for mark in edits.marks if mark.place == "tools"]
    system = [lifetime for place, lifetime in places if messages[place].role == MessageRole.SYSTEM]
    turns = [(place, lifetime) for place, lifetime in places if messages[place].role != MessageRole.SYSTEM]
    return _pointed(messages, turns), lambda request: _for_claude(request, tools, system)


def _is_marked(messages: Sequence[ChatMessage]) -> bool:
    """Say whether the user has set cache points himself."""
    return any(
        "cache_control" in message.additional_kwargs or any(isinstance(block, CachePoint) for block in message.blocks)
        for message in messages
    )


def _pointed(messages: Sequence[ChatMessage], places: Sequence[_Place]) -> list[ChatMessage]:
    """Set cache points; one on a message that cannot carry it goes to the nearest before it that can."""
    placed, floor = list(messages), 0
    for place, lifetime in places:
        for index in range(place, floor - 1, -1):
            found = _with_point(messages[index], lifetime)
            if found is not None:
                placed[index], floor = found, index + 1
                break
    return placed


def _for_claude(request: dict[str, Any], tools: Sequence[str], system: Sequence[str]) -> dict[str, Any]:
    """Mark the tools and the instructions for these lifetimes, at most one each."""
    changed = dict(request)
    for lifetime in tools:
        if request.get("tools"):
            changed["tools"] = anthropic_marks.marked_tools(request["tools"], lifetime)
    for lifetime in system:
        changed["system"] = anthropic_marks.marked_content(request["system"], lifetime) or request["system"]
    changed["messages"] = [{**message, "content": _lifted(message["content"])} for message in request["messages"]]
    return changed


def _lifted(content: Any) -> Any:
    """Put a cache point that stands inside a tool's result on the result itself, where the API takes it."""
    if not isinstance(content, list):
        return content
    lifted: list[Any] = []
    for block in content:
        inner = block.get("content") if block.get("type") == "tool_result" else None
        if isinstance(inner, list) and inner and "cache_control" in inner[-1]:
            last = {name: value for name, value in inner[-1].items() if name != "cache_control"}
            block = {**block, "content": [*inner[:-1], last], "cache_control": inner[-1]["cache_control"]}
        lifted.append(block)
    return lifted


def _for_chat(request: dict[str, Any], marks: Sequence[Mark]) -> dict[str, Any]:
    changed = openai_marks.marked_messages(request, marks) if marks else dict(request)
    beside = {name: changed.pop(name) for name in _UNKNOWN_TO_SOME if name in changed}
    return {**changed, "extra_body": {**(changed.get("extra_body") or {}), **beside}} if beside else changed


def _moved(places: Sequence[_Place], edits: Edits) -> list[Mark]:
    """Return marks with their indices after the other edits; a dropped message takes its own along."""
    dropped = {edit.index for edit in edits.messages if isinstance(edit, Drop)}
    inserted = [edit.index for edit in edits.messages if isinstance(edit, Insert)]
    return [
        Mark(place + sum(index <= place for index in inserted) - sum(index < place for index in dropped), lifetime)
        for place, lifetime in places
        if place not in dropped
    ]


def _with_point(message: ChatMessage, lifetime: str) -> ChatMessage | None:
    """Set a cache point after the last block that carries one; None where there is none."""
    for index in range(len(message.blocks) - 1, -1, -1):
        block = message.blocks[index]
        whole = isinstance(block, ImageBlock | DocumentBlock | ToolCallBlock)
        if whole or (isinstance(block, TextBlock) and block.text):
            point = CachePoint(cache_control=CacheControl(type="ephemeral", ttl=lifetime))
            blocks = [*message.blocks[: index + 1], point, *message.blocks[index + 1 :]]
            return message.model_copy(update={"blocks": blocks})
    return None
