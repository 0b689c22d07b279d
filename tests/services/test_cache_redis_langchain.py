"""LangChain's own cache suites on `TuppenceCache` over Redis, and vectors kept there; memory and SQLite have theirs in
tests/langchain.
"""

from collections.abc import Iterator

import pytest
from langchain_core.caches import BaseCache
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.outputs import Generation
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from langchain_tuppence import CachedEmbeddings, TuppenceCache, tags
from tuppence.cache.stores.redis import RedisStore
from tuppence.testing.redis_server import RedisServer

pytestmark = pytest.mark.services


@pytest.fixture(params=["redis", "cluster"])
def url(request: pytest.FixtureRequest, redis_url: str, redis_cluster: RedisServer) -> str:
    return redis_url if request.param == "redis" else redis_cluster.cluster_url


@pytest.fixture
def store(url: str) -> Iterator[RedisStore]:
    store = RedisStore(url)
    store.clear()
    yield store
    store.close()


@pytest.fixture
def over_redis(store: RedisStore) -> TuppenceCache:
    return TuppenceCache(store)


class TestSync(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, over_redis: BaseCache) -> BaseCache:
        return over_redis


class TestAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, over_redis: BaseCache) -> BaseCache:
        return over_redis


def test_another_machine_finds_what_was_written(over_redis: TuppenceCache, store: RedisStore, url: str) -> None:
    """It is Redis that answers, not what waits in this process; tenants stay apart there, and clearing reaches it."""
    with tags(tenant="a"):
        over_redis.update("prompt", "model", [Generation(text="a's")])
    store.flush()
    other = TuppenceCache(url)
    with tags(tenant="a"):
        assert other.lookup("prompt", "model") == [Generation(text="a's")]
    assert other.lookup("prompt", "model") is None
    other.clear()
    with tags(tenant="a"):
        assert over_redis.lookup("prompt", "model") is None


def test_a_text_embedded_on_one_machine_is_free_on_another(store: RedisStore, url: str) -> None:
    """The other one is told of Redis by its address alone."""
    model = DeterministicFakeEmbedding(size=8)
    vectors = CachedEmbeddings(model, store=store, model="fake").embed_documents(["tea", "cake"])
    store.flush()
    elsewhere = CachedEmbeddings(model, store=url, model="fake")
    assert elsewhere.embed_documents(["tea", "cake"]) == vectors
    assert (elsewhere.saved.hits, elsewhere.saved.misses) == (2, 0)
