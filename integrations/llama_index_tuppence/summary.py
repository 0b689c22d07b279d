"""What a response says about its call under `additional_kwargs["tuppence"]`: plain JSON, no prompt and no answer."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from tuppence.attempts import Result
from tuppence.prices import usd

STAMP = "tuppence"
"""Key of `additional_kwargs` under which a response says which tier it is from, and what the call cost."""


def summary(result: Result) -> dict[str, Any]:
    """Describe a settled call; `usd` is the exact decimal text of its priced attempts."""
    decision = result.decision
    said: dict[str, Any] = {
        "call_id": result.call_id, "tier": result.tier, "attempts": len(result.attempts),
        "usd": f"{usd(result.pico_usd):f}", "cache": decision.cache, "route": decision.route,
    }  # fmt: skip
    if result.unpriced:
        said["unpriced"] = True
    if decision.check:
        said["check"] = decision.check
    if decision.would:
        said["would"] = decision.would
    if decision.faults:
        said["faults"] = list(decision.faults)
    return said


def tier_of(response: ChatResponse | CompletionResponse) -> str | None:
    """Name the tier that made a response, as far as it is stamped."""
    stamp = response.additional_kwargs.get(STAMP)
    return stamp.get("tier") if isinstance(stamp, dict) else None
