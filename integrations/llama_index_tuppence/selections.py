"""Tool calls of a response that no tier's own class can read: a cached one, or one that somebody else made."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json

from llama_index_tuppence.messages import tool_calls_of


def selections(response: ChatResponse, *, error_on_no_tool_call: bool) -> list[ToolSelection]:
    """Read a response's tool calls; arguments that are not whole yet, as in a stream, are read as far as they go."""
    calls = tool_calls_of(response.message)
    if not calls and error_on_no_tool_call:
        raise ValueError("Expected at least one tool call, but got 0 tool calls.")
    return [ToolSelection(tool_id=c.id, tool_name=c.name, tool_kwargs=_arguments(c.arguments)) for c in calls]


def _arguments(text: str) -> object:
    try:
        return parse_partial_json(text)
    except ValueError:
        return {}
