"""Cache points in an Anthropic request: `cache_control` on the last block of what a mark names.

Copies what it changes: the caller's own lists and blocks stay as they are. A request that its caller marks himself is
left alone, since four cache points are all that the API takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    if _NAME in body or _is_marked(parts):
        return body
    turns = list(body["messages"])
    result = {**body, "messages": turns}
    first = 1 if body.get("system") else 0
    for mark in marks:
        control = _control(mark.lifetime)
        if mark.place == "tools":
            result |= _tools(list(body.get("tools") or ()), control)
        elif mark.place < first:
            result["system"] = _content(body["system"], control)
        elif mark.place - first < len(turns):
            turn = turns[mark.place - first]
            turns[mark.place - first] = {**turn, "content": _content(turn["content"], control)}
    return result


def _control(lifetime: str) -> dict[str, str]:
    # The ordinary lifetime is not spelt: some gateways know no other, and refuse the field.
    return {"type": "ephemeral"} if lifetime == "5m" else {"type": "ephemeral", "ttl": lifetime}


def _tools(tools: list[Any], control: dict[str, str]) -> Json:
    for index in range(len(tools) - 1, -1, -1):
        # A deferred tool is not in the prompt, and the API refuses a cache point on it.
        if not tools[index].get("defer_loading"):
            tools[index] = {**tools[index], _NAME: control}
            return {"tools": tools}
    return {}


def _content(content: Any, control: dict[str, str]) -> Any:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    for index in range(len(blocks) - 1, -1, -1):
        if _takes_a_mark(blocks[index]):
            blocks[index] = {**blocks[index], _NAME: control}
            return blocks
    return content


def _takes_a_mark(block: Any) -> bool:
    if not isinstance(block, Mapping) or block.get("type") in _UNMARKABLE:
        return False
    # The API refuses a cache point on an empty text.
    return block.get("type") != "text" or bool(block.get("text"))


def _is_marked(value: Any) -> bool:
    if isinstance(value, Mapping):
        return _NAME in value or any(map(_is_marked, value.values()))
    return isinstance(value, list | tuple) and any(map(_is_marked, value))
