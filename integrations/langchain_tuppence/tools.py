"""Tools in the one form that every tier's own `bind_tools` takes, converted once where the user binds them.

A provider's own tool (a dict that is no function) passes as it is: only tiers of that provider can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

ToolLike = Mapping[str, Any] | type | Callable[..., Any] | BaseTool

OPTIONS = ("tool_choice", "strict", "parallel_tool_calls")
"""Arguments of `bind_tools` that are handed to each tier's own."""


def neutral_tools(tools: Sequence[ToolLike], *, strict: bool | None = None) -> list[dict[str, Any]]:
    """Convert tools to OpenAI's function form (about 1 ms for a callable, so never on the way of a call)."""
    return [_neutral(tool, strict) for tool in tools]


def _neutral(tool: ToolLike, strict: bool | None) -> dict[str, Any]:
    try:
        return convert_to_openai_tool(tool, strict=strict)
    except ValueError:
        if isinstance(tool, Mapping):
            return dict(tool)
        raise


def neutral_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> Any:
    """Say a tool choice in the words that all providers' `bind_tools` share: "auto", "any", "none" or a tool's
    name.
    """
    if choice == "required" or (choice is True and len(tools) != 1):
        return "any"
    if choice is True:
        return name_of(tools[0])
    if choice is False:
        return None
    if isinstance(choice, Mapping):
        if choice.get("type") in ("auto", "any", "none"):
            return choice["type"]
        named = choice.get("name") or (choice.get("function") or {}).get("name")
        return named or choice
    return choice


def name_of(tool: Mapping[str, Any]) -> str:
    return str((tool.get("function") or tool).get("name", tool.get("type", "")))
