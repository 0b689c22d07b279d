"""Cache points in an Anthropic request: `cache_control` on the last block of what a mark names.

Copies what it changes: the caller's own lists and blocks stay as they are. A request that its caller marks himself is
left alone, since four cache points are all that the API takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuppence.clients.dialect import Json
from tuppence.request import Mark

# Blocks that the API lets no cache point stand on (https://platform.claude.com/docs/en/build-with-claude/prompt-caching).
_UNMARKABLE = frozenset({"thinking", "redacted_thinking"})
_NAME = "cache_control"


def marked(body: Json, marks: Sequence[Mark]) -> Json:
    """Return `body` with a cache point at each mark; indices are those of the instructions, if any, and the turns.

    A mark on what has no block to carry it is left out.
    """
    parts = {name: body[name] for name in ("tools", "system", "messages") if body.get(name)}
    if _NAME in body or is_marked(parts):
        return body
    turns = list(body["messages"])
    result = {**body, "messages": turns}
    first = len(instructions(body.get("system")))
    for mark in marks:
        if mark.place == "tools":
            result |= {"tools": marked_tools(body["tools"], mark.lifetime)} if "tools" in parts else {}
        elif mark.place < first:
            result["system"] = _marked_instructions(result["system"], mark.place, mark.lifetime)
        elif mark.place - first < len(turns):
            turn = turns[mark.place - first]
            content = marked_content(turn["content"], mark.lifetime) or turn["content"]
            turns[mark.place - first] = {**turn, "content": content}
    return result


def instructions(system: Any) -> list[Any]:
    """Return the contents of the messages that a request's instructions count as: a text is one, each block is one."""
    if not isinstance(system, list):
        return [system] if system else []
    return [[block] for block in system]


def _marked_instructions(system: Any, place: int, lifetime: str) -> Any:
    """Set a cache point on the block of a place, or on the last one before it that can carry it."""
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else list(system)
    head = marked_content(blocks[: place + 1], lifetime)
    return system if head is None else [*head, *blocks[place + 1 :]]


def marked_tools(tools: Sequence[Any], lifetime: str) -> list[Any]:
    """Return the tools with a cache point on the last one that can carry it."""
    tools = list(tools)
    for index in range(len(tools) - 1, -1, -1):
        # A deferred tool is not in the prompt, and the API refuses a cache point on it.
        if not tools[index].get("defer_loading"):
            tools[index] = {**tools[index], _NAME: cache_point(lifetime)}
            break
    return tools


def takes_a_point(block: Any) -> bool:
    """Say whether the API lets a cache point stand on a content block; it refuses one on an empty text."""
    if not isinstance(block, Mapping) or block.get("type") in _UNMARKABLE:
        return False
    return block.get("type") != "text" or bool(block.get("text"))


def marked_content(content: Any, lifetime: str, *, carries: Callable[[Any], bool] = takes_a_point) -> list[Any] | None:
    """Return a content with a cache point on the last block that carries one; None where none does."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    for index in range(len(blocks) - 1, -1, -1):
        if carries(blocks[index]):
            blocks[index] = {**blocks[index], _NAME: cache_point(lifetime)}
            return blocks
    return None


def cache_point(lifetime: str) -> dict[str, str]:
    # The ordinary lifetime is not spelt: some gateways know no other, and refuse the field.
    return {"type": "ephemeral"} if lifetime == "5m" else {"type": "ephemeral", "ttl": lifetime}


def is_marked(value: Any) -> bool:
    """Say whether a cache point stands anywhere in a part of a request."""
    if isinstance(value, Mapping):
        return _NAME in value or any(map(is_marked, value.values()))
    return isinstance(value, list | tuple) and any(map(is_marked, value))
