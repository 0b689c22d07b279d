"""From the arguments of a LlamaIndex call to the neutral request that decisions read.

What goes to a tier stays the user's own arguments; here is only what they mean. Nothing is sent from here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools.types import BaseTool

from llama_index_tuppence.messages import neutral
from tuppence.context import current_cache_tags, current_call_id, current_tags
from tuppence.request import Message, Request, Tags

# Making a tool's JSON schema takes pydantic a millisecond; tools live as long as the agent that has them.
_specs: WeakKeyDictionary[BaseTool, Mapping[str, Any]] = WeakKeyDictionary()


def request_of(
    messages: Sequence[ChatMessage],
    kwargs: Mapping[str, Any],
    *,
    tools: Sequence[Any] = (),
    settings: Mapping[str, Any],
    tags: Tags,
    call_id: str | None,
    streaming: bool,
) -> Request:
    """Say neutrally what is asked; `settings` are what the tiers' own settings say of every request."""
    params = {**settings, **kwargs}
    required = params.pop("tool_required", False)
    if required and params.get("tool_choice") is None:
        params["tool_choice"] = "required"
    return Request(
        tuple([neutral(m) for m in messages]),
        params=params,
        tools=tuple([tool_spec(tool) for tool in tools]),
        schema=_schema(kwargs.get("response_format")),
        tags={**current_tags(), **tags} if tags else current_tags(),
        cache_tags=current_cache_tags(),
        call_id=call_id or current_call_id(),
        streaming=streaming,
        received_at=time.time(),
        native=messages,
    )


def completion_of(prompt: str, *, formatted: bool) -> Message:
    """View the prompt of `complete` as a message that no chat has: completion models read it as it stands."""
    return Message("user", prompt, extra={"complete": formatted})


def tool_spec(tool: Any) -> Mapping[str, Any]:
    """Describe a tool in OpenAI's JSON form; a mapping is one already."""
    if isinstance(tool, Mapping):
        return tool
    try:
        spec = _specs.get(tool)
        if spec is None:
            spec = _specs[tool] = tool.metadata.to_openai_tool(skip_length_check=True)
    except TypeError:
        # A tool class of the user's own that cannot be hashed.
        spec = tool.metadata.to_openai_tool(skip_length_check=True)
    return spec


def _schema(response_format: Any) -> Mapping[str, Any] | None:
    """Find the JSON schema in OpenAI's `response_format`, a mapping or a pydantic class."""
    if isinstance(response_format, type) and hasattr(response_format, "model_json_schema"):
        schema: Mapping[str, Any] = response_format.model_json_schema()
        return schema
    if isinstance(response_format, Mapping) and response_format.get("type") == "json_schema":
        named = response_format.get("json_schema") or {}
        return named.get("schema")
    return None
