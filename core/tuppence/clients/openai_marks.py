"""Cache breakpoints in an OpenAI request: `prompt_cache_breakpoint` on the last part of a message.

Copies what it changes: the caller's own lists and parts stay as they are. A request that its caller marks himself is
left alone. With marks of ours the provider is told to write nothing else (`prompt_cache_options`), since it bills
writes that nobody asked for like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuppence.clients.dialect import Json
from tuppence.request import Mark

_NAME = "prompt_cache_breakpoint"
OPTIONS = "prompt_cache_options"
EXPLICIT = {"mode": "explicit"}
"""Write at the breakpoints and nowhere else."""
# Parts that have the field in openai-python 2.54.0, types/chat/chat_completion_content_part_* and types/responses/
# response_input_*.
_MARKABLE = frozenset({"text", "image_url", "input_audio", "file", "input_text", "input_image", "input_file"})


def marked_messages(body: Json, marks: Sequence[Mark]) -> Json:
    """Return a chat's body with a breakpoint at each mark that a message can carry; tools carry none."""
    places = [mark.place for mark in marks if mark.place != "tools"]
    messages = _marked(body, list(body["messages"]), places, text_type="text")
    return body if messages is None else {**body, "messages": messages, OPTIONS: EXPLICIT}


def marked_input(body: Json, marks: Sequence[Mark]) -> Json:
    """Return a response's body with a breakpoint at each mark that an item can carry.

    Indices are those of the instructions, if any, and the items. Instructions and tools carry no breakpoint.
    """
    first = 1 if body.get("instructions") else 0
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    places = [mark.place - first for mark in marks if mark.place != "tools" and mark.place >= first]
    marked = _marked(body, items, places, text_type="input_text")
    return body if marked is None else {**body, "input": marked, OPTIONS: EXPLICIT}


def _marked(body: Json, items: list[Any], places: Sequence[int], *, text_type: str) -> list[Any] | None:
    """Return the items with their breakpoints; None where none is set, or the caller sets his own."""
    if OPTIONS in body or any(is_marked(item) for item in items):
        return None
    done = 0
    for place in places:
        content = marked_content(items[place], text_type) if place < len(items) else None
        if content is not None:
            items[place] = {**items[place], "content": content}
            done += 1
    return items if done else None


def marked_content(item: Mapping[str, Any], text_type: str) -> list[Any] | None:
    """Return an item's content with a breakpoint at its end; None where it has no part that carries one."""
    content = item.get("content")
    if isinstance(content, str):
        # What a model said has a text part of another name in the Responses API, without the field.
        if not content or (text_type == "input_text" and item.get("role") == "assistant"):
            return None
        return [{"type": text_type, "text": content, _NAME: EXPLICIT}]
    parts = list(content or ())
    if not parts or not isinstance(parts[-1], Mapping) or parts[-1].get("type") not in _MARKABLE:
        return None
    return [*parts[:-1], {**parts[-1], _NAME: EXPLICIT}]


def is_marked(item: Mapping[str, Any]) -> bool:
    """Say whether a message carries a breakpoint."""
    content = item.get("content")
    return isinstance(content, list) and any(isinstance(part, Mapping) and _NAME in part for part in content)
