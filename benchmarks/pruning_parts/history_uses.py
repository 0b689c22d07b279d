"""Which values an answer repeats from what users and tools said before: the facts that a history must still hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuppence.request import Message

Conversation = tuple[Message, ...]


def calls_of(conversation: Conversation) -> Iterator[int]:
    return (index for index, message in enumerate(conversation) if message.role == "assistant" and index)


@dataclass(frozen=True, slots=True)
class Use:
    """A value that a message repeats."""

    value: str
    at_stake: bool
    """It stands in tool results alone."""
    sources: tuple[int, ...] = ()
    """The messages that say it."""


_DIGITS = re.compile(r"[\w@.#/+:-]*\d[\w@.#/+:-]*")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+(?: [A-Z][a-z]+)*")


def uses_of(conversation: Conversation) -> Iterator[list[Use]]:
    """List for each call the values that its answer repeats from what users and tools said before."""
    told: dict[str, list[int]] = {}
    texts = [whole(message) for message in conversation]
    done = 0
    for index in calls_of(conversation):
        for place in range(done, index):
            if conversation[place].role in ("user", "tool"):
                for value in _values(conversation[place].text):
                    told.setdefault(value, []).append(place)
        done = index
        answer = texts[index]
        repeated = [value for value in told if stands(value, answer)]
        beside = [text for place, text in enumerate(texts[:index]) if conversation[place].role != "tool"]
        yield [Use(value, not any(stands(value, text) for text in beside), tuple(told[value])) for value in repeated]


def _values(text: str) -> Iterator[str]:
    """Yield what a text says that may be needed again: words with digits, and names."""
    try:
        leaves = list(_leaves(json.loads(text)))
    except ValueError:
        leaves = None
    if leaves is not None:
        yield from (leaf for leaf in leaves if 1 < len(leaf) <= 60 and re.search(r"[A-Z\d]", leaf))
    for found in _DIGITS.findall(text):
        value = found.strip(".,:-#/+")
        if len(value) > 1:
            yield value
    if leaves is None:
        yield from _NAME.findall(text)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield str(name)
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def stands(value: str, text: str) -> bool:
    """Say whether a value stands in a text as a whole word."""
    start = text.find(value)
    while start >= 0:
        end = start + len(value)
        if not (start and _inside(text[start - 1], value[0])) and not (
            end < len(text) and _inside(text[end], value[-1])
        ):
            return True
        start = text.find(value, start + 1)
    return False


def _inside(neighbour: str, edge: str) -> bool:
    return (neighbour.isalnum() or neighbour == "_") and (edge.isalnum() or edge == "_")


def whole(message: Message) -> str:
    return "\n".join([message.text, *(call.arguments for call in message.tool_calls)])
