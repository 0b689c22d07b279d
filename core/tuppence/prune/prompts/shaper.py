"""Tidying as a policy's shaper: every system message, and every tool's schema, as they go out.

For prompts that a program puts together, or whose source nobody wants to touch. The same prompt is worked out once and
always comes out as the same bytes, so a provider's prefix cache holds it as it would have held the long one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from tuppence.effects import Shaped
from tuppence.prune.audit import DEFAULT_MODEL
from tuppence.prune.prompts.tidying import tidied
from tuppence.prune.prompts.tools import minified_tool, minified_tools
from tuppence.request import Edits, Replace, Request
from tuppence.tiers import Tier

# More prompts, and more tools, than one application has.
_KNOWN = 512


class TidyPrompt:
    """Sends system messages without what says nothing, and tools in fewer tokens: `shape=[TidyPrompt()]`."""

    def __init__(self, *, model: str = DEFAULT_MODEL) -> None:
        """`model` is whose tokens are counted."""
        self._model = model

    def __call__(self, request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
        replaced: list[Replace] = []
        prompt_tokens = 0
        for index, message in enumerate(request.messages):
            if message.role != "system" or message.media:
                continue
            text, saved = _tidied(message.text, self._model)
            if saved:
                replaced.append(Replace(index, text))
                prompt_tokens += saved
        tool_tokens = sum(_minified(json.dumps(tool, default=repr), self._model) for tool in request.tools)
        told = f"prompt tidied: {prompt_tokens} tokens" if prompt_tokens else ""
        if tool_tokens:
            told = f"{told}; tools minified: {tool_tokens} tokens".removeprefix("; ")
        edits = Edits(tuple(replaced), tools=_shorter if tool_tokens else None)
        return Shaped(edits, told, prompt_tokens + tool_tokens)

    def __repr__(self) -> str:
        # Part of a policy's version.
        return f"TidyPrompt(model={self._model!r})"


def _shorter(tools: Sequence[Any]) -> list[Any]:
    return [minified_tool(tool) if isinstance(tool, Mapping) else tool for tool in tools]


@lru_cache(_KNOWN)
def _tidied(text: str, model: str) -> tuple[str, int]:
    found = tidied(text, model=model)
    return found.text, found.audit.tokens_saved


@lru_cache(_KNOWN)
def _minified(tool: str, model: str) -> int:
    """Count by how many tokens a tool, as JSON, becomes shorter."""
    return minified_tools([json.loads(tool)], model=model).audit.tokens_saved
