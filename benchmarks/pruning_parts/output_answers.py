"""What shorter answers give: short names in structured answers, pointers for quotations on a real local model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pruning_parts.output_questions import NOTES
from tuppence.demo.local_model import LOCAL_MODEL, served
from tuppence.prices import PriceBook
from tuppence.prune.output import AnswerError, NumberedSources, expand, numbered_passages, salvage, short_schema


def short_names() -> dict[str, Any]:
    """Count what short names save on answers of one, ten and fifty rows, and the net at GPT-4.1 mini's list prices."""
    row = {
        "customer_name": "Ada Byron", "ticket_category": "delivery_delayed_by_carrier", "requires_follow_up": True,
        "estimated_resolution_days": 3,
    }  # fmt: skip
    categories = [
        "delivery_delayed_by_carrier", "damaged_on_arrival", "wrong_item_delivered", "refund_not_received",
    ]  # fmt: skip
    ticket = {
        "type": "object", "required": list(row), "additionalProperties": False,
        "properties": {
            "customer_name": {"type": "string"}, "ticket_category": {"enum": categories},
            "requires_follow_up": {"type": "boolean"}, "estimated_resolution_days": {"type": "integer"},
        },
    }  # fmt: skip
    schema = {
        "type": "object", "properties": {"tickets": {"type": "array", "items": ticket}}, "required": ["tickets"],
        "additionalProperties": False,
    }  # fmt: skip
    short = short_schema(schema)
    rate = PriceBook.default().rate("gpt-4.1-mini")
    found = {}
    for rows in (1, 10, 50):
        answer = {"tickets": [row] * rows}
        assert short.expand(short.shorten(answer)) == answer
        saving = short.saving(answer)
        found[str(rows)] = {
            "output_tokens": [saving.output_before, saving.output_after],
            "prompt_tokens_added": saving.prompt_tokens_added,
            "net_pico_usd": None if rate is None else saving.net_pico(rate),
        }
    return found


_SYSTEM = "You answer questions about numbered passages."
_QUOTE = "Answer by repeating the passage that has the answer, word for word."
_SHOTS = (0, 4, 1)
"""Questions of the first note that are shown as examples; the other notes' are asked."""
_LURED = "[9]"
"""What the examples answer where a wrong number is to be provoked; no note has so many passages."""
_LIMITS = {"quote": 128, "pointer": 16, "schema": 32}
"""Tokens of an answer: room for any passage, or for a pointer and a few words."""


def pointers_local() -> dict[str, Any]:
    """Ask the local model for the passage that answers each question: written out, by number, by number of a schema.

    Three worked examples come before each question, the same for all. `right` is exactly the right passage, one in five
    by luck; `invalid` answers were caught by `expand`. `lured` repeats the second way with examples that point at a
    passage which is not there.
    """
    shown = [_task(0, question) for question in _SHOTS]
    asked = [_task(note, question) for note in range(1, len(NOTES)) for question in range(len(NOTES[note][1]))]
    with served() as url:
        ways = {
            "written_out": [_asked(url, shown, one, "quote") for one in asked],
            "pointers": [_asked(url, shown, one, "pointer") for one in asked],
            "pointers_by_schema": [_asked(url, shown, one, "schema") for one in asked],
            "lured": [_asked(url, shown, one, "lured") for one in asked],
        }
        right = sum(_tokens(url, one.sources.texts[one.right - 1]) for one in asked)
    found: dict[str, Any] = {"questions": len(asked)}
    found |= {name: _summed(replies, asked, way=name) for name, replies in ways.items()}
    return found | {"right_passages_tokens": right, "caught": _caught()}


@dataclass(frozen=True, slots=True)
class _Task:
    sources: NumberedSources
    question: str
    right: int


def _task(note: int, question: int) -> _Task:
    passages, questions = NOTES[note]
    return _Task(numbered_passages(passages), *questions[question])


def _asked(url: str, shown: Sequence[_Task], task: _Task, way: str) -> tuple[str, int, int]:
    """Return the answer, and the tokens of answer and prompt as the server counted them."""
    import httpx

    messages = [{"role": "system", "content": _SYSTEM}]
    for one in shown:
        messages += [
            {"role": "user", "content": _prompt(one, way)},
            {"role": "assistant", "content": _answer(one, way)},
        ]
    messages.append({"role": "user", "content": _prompt(task, way)})
    body: dict[str, Any] = {
        "model": LOCAL_MODEL,
        "messages": messages,
        "temperature": 0,
        "max_tokens": _LIMITS.get(way, 16),
    }
    if way == "schema":
        limited = {**task.sources.schema, "properties": {"pointers": _one(task.sources)}}
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "pointers", "schema": limited}}
    told = httpx.post(f"{url}/chat/completions", json=body, timeout=120).raise_for_status().json()
    used = told["usage"]
    return told["choices"][0]["message"]["content"] or "", used["completion_tokens"], used["prompt_tokens"]


def _tokens(url: str, text: str) -> int:
    """Count a text as the model reads it."""
    import httpx

    told = httpx.post(f"{url.removesuffix('/v1')}/tokenize", json={"content": text}, timeout=60).raise_for_status()
    return len(told.json()["tokens"])


def _one(sources: NumberedSources) -> dict[str, Any]:
    """One pointer an answer: each question has one right passage."""
    return {**sources.schema["properties"]["pointers"], "minItems": 1, "maxItems": 1}


def _prompt(task: _Task, way: str) -> str:
    if way == "quote":
        return f"{chr(10).join(task.sources.texts)}\n\n{_QUOTE}\n\n{task.question}"
    return f"{task.sources.rendered}\n\n{task.sources.instructions}\n\n{task.question}"


def _answer(task: _Task, way: str) -> str:
    if way == "quote":
        return task.sources.texts[task.right - 1]
    if way == "schema":
        return f'{{"pointers": ["{task.right}"]}}'
    return _LURED if way == "lured" else f"[{task.right}]"


def _summed(replies: Sequence[tuple[str, int, int]], asked: Sequence[_Task], *, way: str) -> dict[str, Any]:
    right, invalid, verbatim = 0, 0, 0
    for (text, _, _), task in zip(replies, asked, strict=True):
        wanted = task.sources.texts[task.right - 1]
        if way == "written_out":
            right += text.strip() == wanted
            verbatim += text.strip() in task.sources.texts
            continue
        try:
            expanded = expand(task.sources, text)
        except AnswerError:
            invalid += 1
            expanded = salvage(task.sources, text)
        right += expanded.text == wanted
        verbatim += all(quote.text in task.sources.texts for quote in expanded.quotes)
    return {
        "output_tokens": sum(tokens for _, tokens, _ in replies), "prompt_tokens": sum(one[2] for one in replies),
        "right": right, "invalid": invalid, "text_of_the_sources": verbatim,
    }  # fmt: skip


def _caught() -> str:
    """Show what a wrong number comes to."""
    sources = numbered_passages(NOTES[0][0])
    try:
        return expand(sources, "[2] [9]").text
    except AnswerError as error:
        return str(error)
