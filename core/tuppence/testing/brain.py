"""The echo brain: what a model answers that nobody scripted.

Rules, no model: it calls the tools that it must or that the user's words name, fills their arguments from the
user's numbers, quotations and names, gives JSON where JSON is asked for, reports a tool's result, and else
repeats what it was told. The same request gives the same answer, and nothing in it is clever: it must never
be used to show quality.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tuppence.testing.filling import Evidence, filled
from tuppence.testing.generation import Inbound, Said, Tool
from tuppence.testing.script import Turn

# Words of a tool's name or description that say nothing of what it is for.
_COMMON = frozenset(
    "about after also answer before call does each function from give given into just like make more "
    "must only return returns should that the their them then there these this tool tools use used user "
    "using what when where which will with word words write your".split()
)

_LONGEST_ECHO = 400


def echo(inbound: Inbound) -> Turn:
    """Answer a request by rule."""
    since = _since_user(inbound.said)
    question = next((one.text for one in reversed(inbound.said) if one.role == "user"), "")
    wanted = _wanted_tools(inbound, question, since)
    if wanted:
        evidence = Evidence(question)
        return Turn(tool_calls=[(tool.name, _arguments(tool, evidence)) for tool in wanted])
    schema = inbound.schema or _schema_in_text(inbound)
    if schema is not None:
        return Turn(json.dumps(filled(schema, Evidence(question)), ensure_ascii=False))
    if inbound.json_wanted:
        return Turn(json.dumps(_object_of(question), ensure_ascii=False))
    results = [one.text for one in since if one.role == "tool"]
    if results:
        return Turn(f"The tool says: {results[-1][:_LONGEST_ECHO]}")
    return Turn(f"You said: {question[:_LONGEST_ECHO]}")


def _since_user(said: tuple[Said, ...]) -> list[Said]:
    """Give what was said after the user spoke last."""
    users = [index for index, one in enumerate(said) if one.role == "user"]
    return list(said[users[-1] + 1 :]) if users else list(said)


def _wanted_tools(inbound: Inbound, question: str, since: list[Said]) -> list[Tool]:
    choice = inbound.tool_choice
    if choice == "none" or not inbound.tools:
        return []
    if choice.startswith("="):
        return [tool for tool in inbound.tools if tool.name == choice[1:]]
    called = [call for one in since for call in one.calls]
    fresh = [tool for tool in inbound.tools if not any(call.startswith(tool.name) for call in called)]
    named = [tool for tool in fresh if _names(question, tool)]
    if named:
        return named if inbound.parallel else named[:1]
    if choice == "any":
        return [max(fresh or inbound.tools, key=lambda tool: _likeness(question, tool))]
    if called:
        return []
    best = max(inbound.tools, key=lambda tool: _likeness(question, tool))
    return [best] if _likeness(question, best) else []


def _names(question: str, tool: Tool) -> bool:
    return re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", question) is not None


def _likeness(question: str, tool: Tool) -> int:
    """Count the question's words that the tool's name (each counts double) or description has too."""
    asked = _words(question)
    return 2 * len(asked & _words(tool.name.replace("_", " "))) + len(asked & _words(tool.description))


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[^\W_]{4,}", text.lower()) if word not in _COMMON}


def _arguments(tool: Tool, evidence: Evidence) -> dict[str, Any]:
    value = filled({"type": "object", **tool.schema}, evidence)
    return value if isinstance(value, dict) else {}


def _schema_in_text(inbound: Inbound) -> Mapping[str, Any] | None:
    """Find an object's JSON schema in the prompt, where frameworks write it for models without JSON mode."""
    for one in reversed(inbound.said):
        if '"properties"' in one.text and one.role in ("user", "system"):
            for value in _objects_in(one.text):
                if isinstance(value.get("properties"), dict):
                    return value
    return None


def _objects_in(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            end = at + 1
        else:
            yield value
        at = text.find("{", end)


def _object_of(question: str) -> dict[str, str]:
    keys = re.findall(r"['\"`](\w+)['\"`]", question) or ["answer"]
    return {key: f"{key} of: {question[:_LONGEST_ECHO]}" for key in keys}
