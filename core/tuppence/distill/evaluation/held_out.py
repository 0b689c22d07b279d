"""Rows that nothing was learned from: what is asked, and what the teacher answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuppence.distill.errors import DistillError

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One row."""

    messages: tuple[Message, ...]
    """What is asked, in OpenAI's chat form."""
    expected: str
    """The teacher's answer."""

    @property
    def question(self) -> str:
        """The last user's message: what varies from row to row."""
        return next((_text(one) for one in reversed(self.messages) if one["role"] == "user"), "")


def read_held_out(path: str | Path) -> list[HeldOut]:
    """Read rows in OpenAI's chat form; raises `DistillError` for a file without any, and for an answer without text."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
        rows = [_row(json.loads(line), f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DistillError):
            raise
        raise DistillError(
            f"{path} holds no rows in OpenAI's chat form ({type(error).__name__}: {error}): name a file that "
            "`tuppence distill dataset` wrote"
        ) from error
    if not rows:
        raise DistillError(f"{path} is empty: name a file with rows that the model was not trained on")
    return rows


def same_text(expected: str, got: str) -> float:
    """Score 1 for the teacher's very answer, spaces around it left out, else 0: for labels and other short answers."""
    return float(expected.strip() == got.strip())


def _row(row: dict[str, Any], where: str) -> HeldOut:
    *asked, answer = row["messages"]
    expected = _text(answer)
    if answer["role"] != "assistant" or not expected.strip():
        raise DistillError(
            f"{where}: the last message is no answer in text: rows of tool calls are not compared; leave them out"
        )
    return HeldOut(tuple(asked), expected)


def _text(message: Message) -> str:
    content = message.get("content")
    return "".join(part["text"] for part in content) if isinstance(content, list) else content or ""
