"""Rows in the forms that trainers read: OpenAI's chat lines, and TRL's prompt with completion or with a preference.

OpenAI: "Fine-tuning" and the API reference's `FineTuneChatRequestInput`; an assistant's turn with weight 0 is read, not
learned. TRL: "Dataset formats and types", conversational; there, arguments of tool calls are objects, not JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Literal

from tuppence.distill.dataset.row import Json, Row

Form = Literal["openai", "trl", "preference"]


def openai_lines(row: Row) -> Iterator[Json]:
    """Write a row as one training example: `{"messages": [...], "tools": [...]}`."""
    earlier = [{**m, "weight": 0} if m["role"] == "assistant" else m for m in row.prompt]
    yield {"messages": [*earlier, row.answer], **_tools(row)}


def trl_lines(row: Row) -> Iterator[Json]:
    """Write a row as `{"prompt": [...], "completion": [...], "tools": [...]}`."""
    yield {"prompt": _with_objects(row.prompt), "completion": _with_objects((row.answer,)), **_tools(row)}


def preference_lines(row: Row) -> Iterator[Json]:
    """Write one `{"prompt": [...], "chosen": [...], "rejected": [...]}` for each draft that the answer was better than.

    A row whose answer was the first, or whose draft says the same, has none.
    """
    told = row.answer_text
    for draft in row.rejected:
        if Row(row.call_id, row.at, (), draft).answer_text != told:
            pair = {"chosen": _with_objects((row.answer,)), "rejected": _with_objects((draft,))}
            yield {"prompt": _with_objects(row.prompt), **pair, **_tools(row)}


LINES: dict[Form, Callable[[Row], Iterator[Json]]] = {
    "openai": openai_lines, "trl": trl_lines, "preference": preference_lines,
}  # fmt: skip


def _tools(row: Row) -> Json:
    return {"tools": list(row.tools)} if row.tools else {}


def _with_objects(messages: tuple[Json, ...]) -> list[Json]:
    return [
        {**m, "tool_calls": [_object(call) for call in m["tool_calls"]]} if m.get("tool_calls") else m for m in messages
    ]


def _object(call: Json) -> Json:
    function = call["function"]
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        # An earlier turn's broken call: what the model wrote is what the next turn answered.
        arguments = function["arguments"]
    return {**call, "function": {**function, "arguments": arguments}}
