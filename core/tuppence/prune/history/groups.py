"""What of a conversation belongs together, and what may be written shorter at all.

Providers refuse a conversation in which a tool's result has lost its call, or a call its result; so nothing here leaves
out less than a whole group, and nothing but the text of a tool's result is ever written anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tuppence.request import Message

GroupKind = Literal["system", "user", "assistant", "exchange", "orphan"]
"""`exchange`: calls of tools with all their results; `orphan`: a result without a call, left as it is."""

_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})


@dataclass(frozen=True, slots=True)
class Group:
    """Messages that stay or go together: those at `start` up to, not including, `stop`."""

    kind: GroupKind
    start: int
    stop: int

    @property
    def indices(self) -> range:
        return range(self.start, self.stop)


def groups_of(messages: Sequence[Message]) -> tuple[Group, ...]:
    """Cut a conversation into groups, in order; every message is in exactly one.

    Results belong to the calls directly before them, whatever their ids: models have been seen to use an id twice.
    """
    groups: list[Group] = []
    index = 0
    while index < len(messages):
        kind, stop = _kind(messages[index]), index + 1
        if kind in ("exchange", "orphan"):
            while stop < len(messages) and answers_a_call(messages[stop]):
                stop += 1
        groups.append(Group(kind, index, stop))
        index = stop
    return tuple(groups)


def _kind(message: Message) -> GroupKind:
    if answers_a_call(message):
        return "orphan"
    if message.role == "assistant":
        return "exchange" if message.tool_calls else "assistant"
    return "system" if message.role == "system" else "user"


def answers_a_call(message: Message) -> bool:
    """Say whether a message holds a tool's result, be it beside a user's text, as Anthropic allows."""
    return message.role == "tool" or any(part.get("type") == "tool_result" for part in _parts(message))


def says_something(message: Message) -> bool:
    """Say whether a message is the user's own turn."""
    if message.role != "user":
        return False
    return not answers_a_call(message) or bool(message.text.strip())


def last_turn(messages: Sequence[Message]) -> int:
    """Return where the last user turn begins; 0 where there is none, so that all of it counts as the last."""
    return next((i for i in range(len(messages) - 1, -1, -1) if says_something(messages[i])), 0)


def turns_after(messages: Sequence[Message]) -> list[int]:
    """Count for every message the user turns after it."""
    counts, later = [0] * len(messages), 0
    for index in range(len(messages) - 1, -1, -1):
        counts[index] = later
        later += says_something(messages[index])
    return counts


def turns_of(messages: Sequence[Message]) -> tuple[tuple[int, ...], ...]:
    """List the messages of each turn: a user's message and all up to the next one. System messages are in none."""
    turns: list[list[int]] = []
    for group in groups_of(messages):
        if group.kind == "system":
            continue
        if not turns or says_something(messages[group.start]):
            turns.append([])
        turns[-1].extend(group.indices)
    return tuple(tuple(turn) for turn in turns)


def may_be_rewritten(message: Message) -> bool:
    """Say whether a message is one tool's result, and text alone: the only thing that is ever written anew."""
    if message.role != "tool" or message.media or not message.text:
        return False
    parts = _parts(message)
    if not parts:
        return True
    if all(part.get("type") in _TEXT_PARTS for part in parts):
        return True
    return len(parts) == 1 and parts[0].get("type") == "tool_result" and _is_text(parts[0].get("content"))


def _is_text(content: Any) -> bool:
    if isinstance(content, str):
        return True
    return isinstance(content, list) and all(isinstance(p, Mapping) and p.get("type") == "text" for p in content)


def _parts(message: Message) -> list[Mapping[str, Any]]:
    """List the parts that a native message has beside plain text, as the clients and integrations hand them on."""
    if not isinstance(message.extra, Mapping):
        return []
    content, blocks = message.extra.get("content"), message.extra.get("blocks")
    found: list[Any] = list(content) if isinstance(content, list) else []
    for block in blocks if isinstance(blocks, list) else ():
        # LangChain's come with their place, LlamaIndex's alone.
        found.append(block[1] if isinstance(block, list) and len(block) == 2 else block)
    return [part if isinstance(part, Mapping) else {"type": "text"} for part in found]
