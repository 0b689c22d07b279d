"""One row to learn from: what was asked, what the teacher answered, and what it answered better than.

A row is kept in the JSON of OpenAI's chat messages, from which every export is made; nothing here knows a file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt with its answer, as chat messages."""

    call_id: str
    """The recorded call that it comes from."""
    at: float
    """When it was asked, Unix seconds."""
    prompt: tuple[Json, ...]
    answer: Json
    """The teacher's message."""
    tools: tuple[Json, ...] = ()
    rejected: tuple[Json, ...] = ()
    """Messages of other tiers that the call's check found not good enough."""

    def body(self) -> bytes:
        """Return what `read_row` makes the row of again."""
        told: Json = {"prompt": self.prompt, "answer": self.answer, "tools": self.tools, "rejected": self.rejected}
        return as_line(told)

    @property
    def answer_text(self) -> str:
        """The answer as one text, its tool calls included: what tells two answers apart."""
        return said(self.answer)


def read_row(call_id: str, at: float, body: bytes) -> Row:
    told = json.loads(body)
    return Row(
        call_id, at, tuple(told["prompt"]), told["answer"], tuple(told["tools"]), tuple(told["rejected"])
    )  # fmt: skip


def as_line(told: Json) -> bytes:
    """Return compact JSON in UTF-8; a lone surrogate, which UTF-8 cannot hold, becomes JSON's own escape."""
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def said(message: Json) -> str:
    """Return a message's text and its tool calls without their ids, which no two answers share."""
    calls = [f"{one['function']['name']}({one['function']['arguments']})" for one in message.get("tool_calls") or ()]
    return "\n".join([message.get("content") or "", *calls]).strip()


def told_apart(prompt: tuple[Json, ...]) -> tuple[str, str, str]:
    """Return a prompt's system text, its first user message, and all that follows."""
    system = "\n".join(m["content"] or "" for m in prompt if m["role"] == "system")
    turns = [m for m in prompt if m["role"] != "system"]
    first = turns[0]["content"] or "" if turns and turns[0]["role"] == "user" else ""
    rest = turns[1:] if first else turns
    return system, first, "\n".join(said(m) for m in rest)
