"""The real SDKs' clients, sync and async, before a scripted provider; the SDKs' own retries are left on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from tuppence.clients import wrap
from tuppence.policy import Retries
from tuppence.testing import ProviderServer

NO_WAIT = Retries(base_s=0.0)
PRICES = {
    "small": {"input": "1", "output": "2"}, "large": {"input": "10", "output": "20"},
    "judge": {"input": "1", "output": "2"}, "vectors": {"input": "1", "output": "0"},
}  # fmt: skip


@pytest.fixture
def openai_client(server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x") as client:
        yield client


@pytest.fixture
async def async_openai(server: ProviderServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client:
        yield client


@pytest.fixture
def anthropic_client(server: ProviderServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.anthropic_url, api_key="x") as client:
        yield client


@pytest.fixture
async def async_anthropic(server: ProviderServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=server.anthropic_url, api_key="x") as client:
        yield client


@pytest.fixture
def wrapped() -> Callable[..., Any]:
    """Wrap a client with two tiers, no ledger and no waiting, and with what options the test wants."""

    def wrapped(client: Any, **options: Any) -> Any:
        defaults = {"tiers": ["small", "large"], "ledger": None, "retries": NO_WAIT, "prices": PRICES}
        return wrap(client, **{**defaults, **options})

    return wrapped
