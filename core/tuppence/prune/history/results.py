"""The tool results of a conversation, each with the call that it answers and what is known of its use since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuppence.prune.history.groups import groups_of, may_be_rewritten, turns_after
from tuppence.prune.history.stubs import json_in, words_of
from tuppence.prune.history.view import View
from tuppence.request import Message, ToolCall


@dataclass(frozen=True, slots=True)
class Result:
    """One tool's result that may be written anew."""

    index: int
    text: str
    """As it came."""
    call: ToolCall | None
    """None where it cannot be told which call it answers."""
    turns_after: int
    """User turns since."""
    results_after: int
    """Results of tools since."""
    value: Any
    """The JSON that it is; None where it is none."""

    @property
    def tool(self) -> str:
        return self.call.name if self.call is not None and self.call.name else "the tool"

    def same_call(self, other: Result) -> bool:
        """Say whether both came of the same tool with the same arguments."""
        mine, theirs = self.call, other.call
        return (
            mine is not None and theirs is not None and (mine.name, mine.arguments) == (theirs.name, theirs.arguments)
        )


def results_of(view: View) -> tuple[Result, ...]:
    """List the results of a conversation, in order."""
    calls, turns = _calls_of(view.messages), turns_after(view.messages)
    found = [(index, message.text) for index, message in enumerate(view.messages) if may_be_rewritten(message)]
    return tuple(
        Result(index, text, calls.get(index), turns[index], len(found) - place, json_in(text))
        for place, (index, text) in enumerate(found, start=1)
    )


def taken_up(messages: Sequence[Message], index: int) -> frozenset[str]:
    """List the words that users said, and that calls were made with, after the message at `index`.

    What an assistant merely repeats is no use of it, and stands in its own words.
    """
    return words_of([text for message in messages[index + 1 :] for text in _uses(message)])


def _uses(message: Message) -> Iterator[str]:
    if message.role == "user":
        yield message.text
    for call in message.tool_calls:
        yield call.arguments


def _calls_of(messages: Sequence[Message]) -> Mapping[int, ToolCall]:
    """Tell for the results of a conversation the calls that they answer: by id within their group, else by place."""
    found: dict[int, ToolCall] = {}
    for group in groups_of(messages):
        if group.kind != "exchange":
            continue
        calls = messages[group.start].tool_calls
        by_id = {call.id: call for call in calls}
        for place, index in enumerate(group.indices[1:]):
            call = by_id.get(_call_id(messages[index])) if len(by_id) == len(calls) else None
            if call is None and place < len(calls):
                call = calls[place]
            if call is not None:
                found[index] = call
    return found


def _call_id(message: Message) -> str:
    """Return the id of the call that a result answers, wherever its native form keeps it; empty where it has none."""
    extra = message.extra if isinstance(message.extra, Mapping) else {}
    content = extra.get("content")
    places = [extra, extra.get("additional_kwargs"), content[0] if isinstance(content, list) and content else None]
    for place in places:
        if isinstance(place, Mapping):
            told = place.get("tool_call_id") or place.get("tool_use_id")
            if told:
                return str(told)
    return ""
