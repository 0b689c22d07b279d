"""A scripted provider and the real SDK clients that talk to it, for the tests of the provider itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from tuppence.testing import ProviderServer

ASK: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def chat(server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(server: ProviderServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.anthropic_url, api_key="x", max_retries=0) as client:
        yield client


@pytest.fixture
def ask(chat: openai.OpenAI) -> Callable[..., Any]:
    """Ask model `m` by chat completions, with what options the test wants."""
    return lambda **options: chat.chat.completions.create(**{"model": "m", "messages": ASK, **options})


@pytest.fixture
def ask_claude(claude: anthropic.Anthropic) -> Callable[..., Any]:
    """Ask model `m` by messages, with what options the test wants."""
    return lambda **options: claude.messages.create(**{"model": "m", "messages": ASK, "max_tokens": 100, **options})
