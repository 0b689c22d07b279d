"""What a plan asks of a provider's prompt cache, on what a LlamaIndex model sends, as each class lets it through.

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

from llama_index_tuppence.dialects import provider_of, speaks_chat_completions, speaks_responses
from llama_index_tuppence.messages import edited
from llama_index_tuppence.open_streams import Change
from tuppence.cache.prefix import tools_in_order
from tuppence.clients import anthropic_marks, openai_marks
from tuppence.request import Drop, Edits, Insert, Mark

_OWN_SETTINGS = ("cache_control", "prompt_cache_key", openai_marks.OPTIONS)
_Place = tuple[int, str]
"""Index of a message, and the lifetime of its mark."""
_End = tuple[str | None, str]
"""The instructions up to a mark, joined as LlamaIndex sends them (None: all of them), and its lifetime."""
# Messages that are one item each in the Responses API, with a content that carries a breakpoint. A model's own words
# carry none there, and are several items together with tool calls.
_SAID_TO_THE_MODEL = frozenset({"user", "system", "developer"})
# Parameters that older versions of the SDK have no argument for.
_UNKNOWN_TO_SOME = ("prompt_cache_key", openai_marks.OPTIONS)


def takes_marks(llm: LLM) -> bool:
    """Say whether marks may be put on this model's requests: its class is known, and no setting of its own has any."""
    given: Mapping[str, Any] = getattr(llm, "additional_kwargs", None) or {}
    if any(given.get(name) for name in _OWN_SETTINGS) or getattr(llm, "cache_idx", None) is not None:
        return False
    return provider_of(llm) == "anthropic" or speaks_chat_completions(llm) or speaks_responses(llm)


def marked(llm: LLM, messages: Sequence[ChatMessage], edits: Edits) -> tuple[Sequence[ChatMessage], Change | None]:
    """Return the user's messages with the marks that they can carry, and what is to be made of the SDK's request.

    The indices in `edits` are those of `messages`, whose other edits are still to be made.
    """
    if not (edits.marks or edits.params or edits.tools):
        return messages, None
    marks = () if _is_marked(messages) else edits.marks
    places = [(mark.place, mark.lifetime) for mark in marks if mark.place != "tools"]
    if provider_of(llm) != "anthropic":
        moved = _moved(places, edits)
        if speaks_responses(llm):
            said = _said(edited(messages, edits), moved)
            return messages, lambda request: _for_responses(tools_in_order(request, edits.tools), said)
        return messages, lambda request: _for_chat(tools_in_order(request, edits.tools), moved)
    if not marks:
        return messages, lambda request: tools_in_order(request, edits.tools)
    tools = [mark.lifetime for mark in marks if mark.place == "tools"]
    ends = _ends(messages, [place for place in places if messages[place[0]].role == MessageRole.SYSTEM])
    turns = [place for place in places if messages[place[0]].role != MessageRole.SYSTEM]
    return _pointed(messages, turns), lambda request: _for_claude(tools_in_order(request, edits.tools), tools, ends)


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


def _ends(messages: Sequence[ChatMessage], places: Sequence[_Place]) -> list[_End]:
    """Return the instructions up to each place; those that a tier adds come last, and are kept with the user's."""
    system = [index for index, message in enumerate(messages) if message.role == MessageRole.SYSTEM]
    return [(None if place == system[-1] else _joined(messages[: place + 1]), lifetime) for place, lifetime in places]


def _joined(messages: Sequence[ChatMessage]) -> str:
    told = (message.blocks for message in messages if message.role == MessageRole.SYSTEM)
    return "\n".join(block.text for blocks in told for block in blocks if isinstance(block, TextBlock))


def _for_claude(request: dict[str, Any], tools: Sequence[str], ends: Sequence[_End]) -> dict[str, Any]:
    """Mark the tools, and the instructions where they end or end for a while."""
    changed = dict(request)
    for lifetime in tools:
        if request.get("tools"):
            changed["tools"] = anthropic_marks.marked_tools(request["tools"], lifetime)
    if ends and request.get("system"):
        changed["system"] = _cut(request["system"], ends)
    changed["messages"] = [{**message, "content": _lifted(message["content"])} for message in request["messages"]]
    return changed


def _cut(system: str, ends: Sequence[_End]) -> list[dict[str, Any]]:
    """Cut the instructions into blocks, with a cache point at each of these ends; their text stays the same."""
    blocks: list[dict[str, Any]] = []
    done = 0
    for head, lifetime in ends:
        upto = len(system) if head is None else len(head)
        if upto > done and (head is None or system.startswith(head)):
            point = anthropic_marks.cache_point(lifetime)
            blocks.append({"type": "text", "text": system[done:upto], "cache_control": point})
            done = upto
    return [*blocks, {"type": "text", "text": system[done:]}] if done < len(system) else blocks


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


def _said(messages: Sequence[ChatMessage], places: Sequence[_Place]) -> list[_Place]:
    """Take each place back to the nearest message that was said to the model, counted among those alone."""
    said = [index for index, message in enumerate(messages) if message.role.value in _SAID_TO_THE_MODEL]
    counted = [(sum(index <= place for index in said) - 1, lifetime) for place, lifetime in places]
    return [(place, lifetime) for place, lifetime in counted if place >= 0]


def _for_responses(request: dict[str, Any], said: Sequence[_Place]) -> dict[str, Any]:
    """Set breakpoints on items, which a message may be none or several of: those said to the model are one each."""
    items = request["input"] if isinstance(request["input"], list) else []
    carriers = [index for index, item in enumerate(items) if item.get("role") in _SAID_TO_THE_MODEL]
    first = 1 if request.get("instructions") else 0
    marks = [Mark(carriers[place] + first, lifetime) for place, lifetime in said if place < len(carriers)]
    return _spelt(openai_marks.marked_input(request, marks) if marks else request)


def _for_chat(request: dict[str, Any], places: Sequence[_Place]) -> dict[str, Any]:
    marks = [Mark(place, lifetime) for place, lifetime in places]
    return _spelt(openai_marks.marked_messages(request, marks) if marks else request)


def _spelt(request: dict[str, Any]) -> dict[str, Any]:
    """Say to any version of the SDK what only later ones have an argument for."""
    changed = dict(request)
    beside = {name: changed.pop(name) for name in _UNKNOWN_TO_SOME if name in changed}
    return {**changed, "extra_body": {**(changed.get("extra_body") or {}), **beside}} if beside else changed


def _moved(places: Sequence[_Place], edits: Edits) -> list[_Place]:
    """Return places with their indices after the other edits; a dropped message takes its own along."""
    dropped = {edit.index for edit in edits.messages if isinstance(edit, Drop)}
    inserted = [edit.index for edit in edits.messages if isinstance(edit, Insert)]
    return [
        (place + sum(index <= place for index in inserted) - sum(index < place for index in dropped), lifetime)
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
