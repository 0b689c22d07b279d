"""Where a response says how it was answered, and from which tier it is."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

STAMP = "tuppence"
"""Key of `additional_kwargs` under which a response says which tier it is from, and what the call cost."""


def tier_of(response: ChatResponse | CompletionResponse) -> str | None:
    """Name the tier that made a response, as far as it is stamped."""
    stamp = response.additional_kwargs.get(STAMP)
    return stamp.get("tier") if isinstance(stamp, dict) else None
