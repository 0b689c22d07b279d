"""Whose batches a command of `tuppence batch` means, and the user's own client of that provider."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tuppence.errors import ConfigError

if TYPE_CHECKING:
    from tuppence.batch import BatchProvider


class Provider(StrEnum):
    """Whose batches."""

    openai = "openai"
    anthropic = "anthropic"


def client_of(provider: Provider) -> Any:
    """Make the SDK's client; raises `ConfigError` where its key or the SDK is missing."""
    key = f"{provider.value.upper()}_API_KEY"
    if not os.environ.get(key):
        raise ConfigError(f"{key} is not set, and batches of {provider.value} need it: set it to your key")
    try:
        if provider is Provider.openai:
            import openai

            return openai.OpenAI()
        import anthropic

        return anthropic.Anthropic()
    except ImportError as error:
        raise ConfigError(
            f"batches of {provider.value} need its SDK ({error}): pip install 'tuppence[{provider.value}]'"
        ) from error


def batches_of(provider: Provider, client: Any) -> BatchProvider:
    """Return what sends batches over a client of that provider."""
    from tuppence.batch import AnthropicBatches, OpenAIBatches

    return OpenAIBatches(client) if provider is Provider.openai else AnthropicBatches(client)
