"""The scripted provider, and LlamaIndex models that talk to it over connections which end with the test."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler

from tuppence.testing import ProviderServer

# The reusable suite stands beside its users, wherever pytest was started.
sys.path.insert(0, str(Path(__file__).parent))

Make = Callable[..., Any]


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
async def connections() -> AsyncIterator[dict[str, Any]]:
    """HTTP clients for OpenAI-like models, closed in the loop that used them."""
    with httpx.Client() as client:
        async with httpx.AsyncClient() as async_client:
            yield {"http_client": client, "async_http_client": async_client}


@pytest.fixture
def make(provider: ProviderServer, connections: dict[str, Any]) -> Make:
    """Make an OpenAI-like model by name, where its package is installed: it may not allow the newest SDK yet."""
    package = pytest.importorskip("llama_index.llms.openai_like")

    def model(name: str = "gpt-4o-mini", **options: Any) -> Any:
        settings: dict[str, Any] = {
            "api_base": provider.base_url,
            "api_key": "test",
            "is_chat_model": True,
            "is_function_calling_model": True,
            "context_window": 16_000,
            **connections,
        }
        return package.OpenAILike(model=name, **{**settings, **options})

    return model


@pytest.fixture
async def make_claude(provider: ProviderServer) -> AsyncIterator[Make]:
    """Make an Anthropic model by name, where the installed packages go together."""
    if not anthropic.__version__.startswith("0."):
        pytest.skip(f"llama-index-llms-anthropic asks anthropic {anthropic.__version__} in the words of anthropic 0")
    package = pytest.importorskip("llama_index.llms.anthropic")
    made: list[Any] = []

    def model(name: str = "claude-haiku-4-5", **options: Any) -> Any:
        made.append(package.Anthropic(model=name, base_url=provider.anthropic_url, api_key="test", **options))
        return made[-1]

    yield model
    for one in made:
        one._client.close()
        await one._aclient.close()


@pytest.fixture
def attach() -> Iterator[Callable[[Any], Any]]:
    """Attach event handlers to LlamaIndex's root dispatcher, and take them away again."""
    root = get_dispatcher()
    before = list(root.event_handlers)

    def add(handler: BaseEventHandler) -> BaseEventHandler:
        root.add_event_handler(handler)
        return handler

    yield add
    root.event_handlers[:] = before
