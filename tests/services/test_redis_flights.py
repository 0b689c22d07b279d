"""Equal calls at the same time in many processes that share a Redis or a Redis Cluster."""

import time
from collections.abc import Iterator

import pytest

from tuppence.cache import ExactCache, Store
from tuppence.cache.stores.redis import RedisStore
from tuppence.effects import Hit, Lease

pytest.register_assert_rewrite(f"{(__package__ or '').rpartition('.')[0]}.core.flight_suite")

# After pytest knows that it holds assertions.
from tuppence.testing.redis_server import RedisServer  # noqa: E402

from ..core.flight_suite import TEA, FlightSuite, OpenShared, following  # noqa: E402, TID252

pytestmark = pytest.mark.services


class OverRedis(FlightSuite):
    """The same suite as for a SQLite file."""

    @pytest.fixture
    def open_shared(self, cache: str) -> Iterator[OpenShared]:
        opened: list[Store] = []

        def open_one() -> Store:
            opened.append(RedisStore(cache))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()


class TestRedis(OverRedis):
    @pytest.fixture
    def cache(self, redis_url: str) -> str:
        return redis_url


class TestCluster(OverRedis):
    @pytest.fixture
    def cache(self, redis_cluster: RedisServer) -> str:
        with redis_cluster.client() as client:
            client.flushall()
        return redis_cluster.cluster_url


@pytest.mark.parametrize("answer_s", [0.05, 0.5])
def test_followers_learn_of_an_answer_soon(redis_url: str, answer_s: float) -> None:
    """A wait is longer than the answer took by a tenth or so, and costs Redis little: looks thin out as it goes on."""
    ours, other = ExactCache(RedisStore(redis_url)), RedisStore(redis_url)
    theirs = ExactCache(other)
    lease = ours.lookup("k")
    assert isinstance(lease, Lease)
    looks = 0
    claim = other.claim

    def counted(*arguments: object) -> tuple[bytes, float] | bool:
        nonlocal looks
        looks += 1
        return claim(*arguments)  # type: ignore[arg-type]

    other.claim = counted  # type: ignore[method-assign]
    with following(theirs) as waiting:
        time.sleep(answer_s)
        ours.remember(lease, TEA, origin="call-1")
        answered_at = time.monotonic()
        hit = waiting.result(60)
        late_s = time.monotonic() - answered_at
    assert isinstance(hit, Hit)
    print(f"{answer_s} s: {late_s * 1000:.1f} ms late, {looks} looks")
    # A tenth, and what a busy machine may take on top.
    assert late_s < answer_s * 0.1 + 0.25
    assert looks < 80
    for cache in (ours, theirs):
        cache.close()
