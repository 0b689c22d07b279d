"""Rows of OpenAI's chat form as tokens, cut where the assistant's last message begins: only that is learned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .telling import Refused


@dataclass(frozen=True, slots=True)
class Example:
    """One row: what the model reads, and what it has to answer."""

    line: int
    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def read(path: str, tokenizer: Any, longest: int) -> list[Example]:
    """Read a file of rows; refuse it where one is longer than `longest` tokens, or the template cannot spell it."""
    with open(path, encoding="utf-8") as lines:
        examples = [_example(line, json.loads(text), tokenizer) for line, text in enumerate(lines, 1) if text.strip()]
    too_long = [one for one in examples if len(one) > longest]
    if too_long:
        worst = max(too_long, key=len)
        raise Refused(
            "length",
            f"{len(too_long)} of {len(examples)} rows of {path} are longer than {longest} tokens, the longest "
            f"({len(worst)}) in line {worst.line}",
        )
    return examples


def _example(line: int, row: dict[str, Any], tokenizer: Any) -> Example:
    """Spell a row by the tokenizer's own chat template.

    Prompt and answer become tokens apart, as when the model is asked, so that no token spans the two.
    """
    *asked, answer = (_spoken(message) for message in row["messages"])
    settings = {"tools": row.get("tools"), "tokenize": False}
    try:
        prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, **settings)
        whole = tokenizer.apply_chat_template([*asked, answer], **settings)
    except Exception as error:
        raise Refused("template", f"line {line}: {type(error).__name__}: {error}") from error
    if not whole.startswith(prompt):
        raise Refused("template", f"line {line}: it spells the prompt otherwise once there is an answer")
    said = whole[len(prompt) :]
    missing = [one for one in _to_be_said(answer) if one not in said]
    if missing:
        raise Refused("template", f"line {line}: it leaves {missing[0]!r} out of the answer")
    return Example(line, *(_tokens(tokenizer, text) for text in (prompt, _turn(said, tokenizer.eos_token))))


def _turn(said: str, end: str) -> str:
    """End an answer where generation does: what a template writes behind a turn is never generated."""
    at = said.rfind(end)
    return said + end if at < 0 else said[: at + len(end)]


def _tokens(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


def _spoken(message: dict[str, Any]) -> dict[str, Any]:
    """Give a template what it can spell: text in place of parts of text, a tool call's arguments as an object."""
    told = dict(message)
    content = told.get("content")
    told["content"] = "".join(part["text"] for part in content) if isinstance(content, list) else content or ""
    if told.get("tool_calls"):
        told["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"] or "{}")}}
            for call in told["tool_calls"]
        ]
    return told


def _to_be_said(answer: dict[str, Any]) -> list[str]:
    names = [call["function"]["name"] for call in answer.get("tool_calls") or ()]
    return [*names, *filter(None, [answer["content"].strip()])]
