"""A scripted provider for every test, and models of the real integrations that talk to it."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_anthropic import _client_utils as anthropic_clients
from langchain_openai.chat_models import _client_utils as openai_clients

from tuppence.testing import ProviderServer

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the SDKs leave pooled connections to the event loop that each async test ends with."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
            # langchain-openai's own, on any structured output by JSON schema: it dumps a parsed object as None.
            item.add_marker(pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:Received a Pydantic BaseModel V1:UserWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(scope="session", autouse=True)
def _pooled_connections() -> Iterator[None]:
    """Drop the SDKs' pooled connections at the end, quietly: their event loops are gone by then."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        openai_clients._cached_sync_httpx_client.cache_clear()
        anthropic_clients._get_default_httpx_client.cache_clear()
        drop_async_connections()
        gc.collect()


@pytest.fixture(autouse=True)
def _connections_of_this_loop() -> None:
    """Start without the async connections that LangChain's models pool: they belong to another test's event loop.

    A request on one of those fails, and the ask that is then made again is another run for whoever counts runs.
    """
    drop_async_connections()


def drop_async_connections() -> None:
    openai_clients._cached_async_httpx_client.cache_clear()
    anthropic_clients._get_default_async_httpx_client.cache_clear()


@pytest.fixture(scope="session")
def disable_recording() -> bool:
    """Leave vcrpy out, which langchain-tests brings along: the provider is on this machine, so nothing is recorded."""
    return True


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running
