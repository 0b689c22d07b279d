"""Function tools in fewer tokens: what their schemas say stays, what they say twice or say of nothing goes.

Tools stand at the very front of a prompt, so a change of theirs makes every cached prefix cold once: minify them where
they are defined, not call by call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, counter_for
from tuppence.prune.prompts.schemas import minified_schema, prose

_SCHEMAS = ("parameters", "input_schema")
"""Where OpenAI's and Anthropic's forms hold a tool's schema."""


@dataclass(frozen=True, slots=True)
class MinifiedTools:
    """Tools, in the order and the form in which they came."""

    tools: tuple[Mapping[str, Any], ...]
    audit: Audit
    """Tokens are those of the tools as JSON; a provider renders them in a way of its own that is close to it."""


def minified_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a function tool in fewer tokens, or the tool itself where there is nothing to leave out.

    The same arguments are valid. Names, types, choices, bounds, words of descriptions and `strict` stay.
    """
    inner = tool.get("function")
    function = inner if isinstance(inner, Mapping) else tool
    try:
        shorter = _function(function)
        found = {**tool, "function": shorter} if function is inner else shorter
        return found if _json(found) != _json(tool) else tool
    except (TypeError, ValueError, RecursionError):
        # What holds itself, or has keys that are no strings, is no JSON: the provider's client will say so better.
        return tool


def minified_tools(tools: Sequence[Mapping[str, Any]], *, model: str = DEFAULT_MODEL) -> MinifiedTools:
    """Minify tools and say what that saves; a tool that would not become shorter stays as it is."""
    count = counter_for(model)
    kept: list[Mapping[str, Any]] = []
    cuts: list[Cut] = []
    before = after = 0
    for tool in tools:
        shorter = minified_tool(tool)
        tokens, left = count(_json(tool)), count(_json(shorter))
        before += tokens
        after += min(left, tokens)
        kept.append(shorter if left < tokens else tool)
        if left < tokens:
            cuts.append(Cut("tool schema", _name(tool), "what its schema says of nothing", tokens - left, _json(tool)))
    return MinifiedTools(tuple(kept), Audit(before, after, tuple(cuts), "" if cuts else "nothing to leave out"))


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    strict = function.get("strict") is True
    found: dict[str, Any] = {}
    for key, value in function.items():
        if key == "description" and isinstance(value, str):
            if value.strip():
                found[key] = prose(value)
        elif key in _SCHEMAS and isinstance(value, Mapping):
            schema = minified_schema(value, name=str(function.get("name", "")), strict=strict)
            if schema.get("description") == found.get("description"):
                schema.pop("description", None)
            found[key] = schema
        else:
            found[key] = value
    return found


def _name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    return str((function if isinstance(function, Mapping) else tool).get("name", "tool"))


def _json(tool: Mapping[str, Any]) -> str:
    return json.dumps(tool, ensure_ascii=False, default=repr)
