"""What several models have in common: their metadata, and what their own settings say of every request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.constants import DEFAULT_TEMPERATURE

from llama_index_tuppence.tiers import LlmTier
from tuppence.errors import ConfigError
from tuppence.tiers import Tier


def joint_metadata(tiers: Sequence[Tier]) -> LLMMetadata:
    """Join the tiers' metadata: the smallest context window and output, and of abilities those that all have."""
    known = [tier.llm.metadata for tier in tiers if isinstance(tier, LlmTier)]
    if not known:
        raise ConfigError("no tier is a model: give at least one LlamaIndex LLM beside the functions")
    outputs = [m.num_output for m in known if m.num_output > 0]
    return LLMMetadata(
        context_window=min(m.context_window for m in known),
        num_output=min(outputs) if len(outputs) == len(known) else -1,
        is_chat_model=all(m.is_chat_model for m in known),
        is_function_calling_model=all(m.is_function_calling_model for m in known),
        model_name=known[-1].model_name,
        system_role=known[-1].system_role,
    )


def joint_settings(tiers: Sequence[Tier]) -> dict[str, Any]:
    """Say of every request whether its answers are sampled, and how long they can be, where the models' settings do.

    LlamaIndex itself sets a temperature of 0.1: that is nobody's wish for variety.
    """
    models = [tier.llm for tier in tiers if isinstance(tier, LlmTier)]
    settings: dict[str, Any] = {}
    heat = max((getattr(llm, "temperature", None) or 0.0 for llm in models), default=0.0)
    if heat > DEFAULT_TEMPERATURE:
        settings["temperature"] = heat
    lengths = [getattr(llm, "max_tokens", None) for llm in models]
    if lengths and all(isinstance(length, int) for length in lengths):
        settings["max_tokens"] = max(length for length in lengths if length is not None)
    return settings
