"""LangChain's cache suites over both stores, and the cache in the place that LangChain gives it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.caches import BaseCache
from langchain_core.globals import set_llm_cache
from langchain_core.outputs import Generation
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from langchain_tuppence import TuppenceCache, tags
from tuppence.cache import MemoryStore, SqliteStore
from tuppence.testing import ProviderServer

from . import parts


@pytest.fixture(params=["memory", "sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> TuppenceCache:
    return TuppenceCache(None if request.param == "memory" else tmp_path / "answers.sqlite")


class TestSync(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, cache: BaseCache) -> BaseCache:
        return cache


class TestAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, cache: BaseCache) -> BaseCache:
        return cache


@pytest.fixture
def as_llm_cache(cache: TuppenceCache) -> Iterator[TuppenceCache]:
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


@pytest.mark.usefixtures("as_llm_cache")
def test_a_plain_models_repeat_is_not_paid_for_again(server: ProviderServer) -> None:
    """Set as LangChain's cache, it serves models that know nothing of tuppence, messages whole."""
    llm = parts.openai(server, "small-model")
    first, second = llm.invoke("When is it due?"), llm.invoke("When is it due?")
    assert len(server.served) == 1
    assert (second.content, second.response_metadata["model_name"]) == (first.content, "small-model")


def test_tenants_never_share(cache: TuppenceCache) -> None:
    """The same prompt of the same model is another entry for another tenant."""
    with tags(tenant="a"):
        cache.update("prompt", "model", [Generation(text="a's")])
        assert cache.lookup("prompt", "model") == [Generation(text="a's")]
    with tags(tenant="b"):
        assert cache.lookup("prompt", "model") is None
    assert cache.lookup("prompt", "model") is None


def test_prompt_and_model_cannot_run_into_each_other(cache: TuppenceCache) -> None:
    """Where one ends and the other begins is part of the key."""
    cache.update("ab", "c", [Generation(text="x")])
    assert cache.lookup("a", "bc") is None


def test_a_torn_value_is_a_miss() -> None:
    """What cannot be read is deleted, not raised."""
    store = MemoryStore()
    cache = TuppenceCache(store)
    cache.update("prompt", "model", [Generation(text="x")])
    (key,) = store._entries
    store.put(key, b'[{"text": "x"', None)
    assert cache.lookup("prompt", "model") is None
    assert store.get(key) is None


def test_a_file_outlives_the_program(tmp_path: Path) -> None:
    """Closed and opened again, the answers are there."""
    path = tmp_path / "answers.sqlite"
    store = SqliteStore(path)
    TuppenceCache(store).update("prompt", "model", [Generation(text="x")])
    store.close()
    assert TuppenceCache(path).lookup("prompt", "model") == [Generation(text="x")]
