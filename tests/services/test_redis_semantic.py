"""The semantic cache in the flow with all that it keeps in Redis, and what happens when that Redis goes."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from tuppence.cache import Calibration, RedisAudits, RedisSimilarStore, RedisStore, SemanticCache, thaw_reply
from tuppence.errors import CacheError
from tuppence.testing import ProviderServer, Turn
from tuppence.testing.redis_server import RedisServer

_CORE = f"{(__package__ or '').rpartition('.')[0]}.core"
pytest.register_assert_rewrite(*(f"{_CORE}.{name}_suite" for name in ("flight", "semantic", "store")))

# After pytest knows that they hold assertions.
from ..core.flight_suite import CrowdSuite  # noqa: E402, TID252
from ..core.semantic_suite import AGAIN, ASKED, OTHER, OpenCache, SemanticSuite, Words  # noqa: E402, TID252
from ..core.store_suite import Clock  # noqa: E402, TID252
from .conftest import StartRedis  # noqa: E402
from .test_redis_away import CALL_S, ONCE_S, answers_hang, connections_hang, model, nobody_listens  # noqa: E402

pytestmark = pytest.mark.services


class TestRedis(SemanticSuite):
    """Many machines."""

    @pytest.fixture
    def open_cache(self, redis_url: str, clock: Clock) -> Iterator[OpenCache]:
        opened: list[SemanticCache] = []

        def open_one(**options: Any) -> SemanticCache:
            store, similar = RedisStore(redis_url, clock=clock), RedisSimilarStore(redis_url, clock=clock)
            opened.append(SemanticCache(Words(), store=store, similar=similar, threshold=0.5, clock=clock, **options))
            return opened[-1]

        yield open_one
        for cache in opened:
            cache.close()


def all_in(url: str, **options: Any) -> SemanticCache:
    """Open a cache that keeps everything in one Redis: answers, entries and audits."""
    return SemanticCache(Words(), store=RedisStore(url), similar=RedisSimilarStore(url), **options)


class TestCrowd(CrowdSuite):
    """Equal calls at the same time are one here, too."""

    @pytest.fixture
    def cache(self, redis_url: str) -> Iterator[SemanticCache]:
        cache = all_in(redis_url)
        yield cache
        cache.close()


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("away", [nobody_listens, connections_hang, answers_hang])
async def test_a_redis_that_is_away_fails_no_call(
    server: ProviderServer,
    start_redis: StartRedis,
    away: Callable[[ExitStack, StartRedis], str],
    asynchronous: bool,
) -> None:
    """Opening asks it for what was learned, the first call for answers and entries; then it is left alone."""
    with ExitStack() as stack:
        url = away(stack, start_redis)
        started = time.monotonic()
        cache = all_in(url, calibration=Calibration(log=RedisAudits(url)))
        assert time.monotonic() - started < ONCE_S
        llm = model(server, cache)
        took_s = []
        for question in (ASKED, AGAIN, OTHER, ASKED):
            started = time.monotonic()
            answer = await (llm.ainvoke(question) if asynchronous else asyncio.to_thread(llm.invoke, question))
            took_s.append(time.monotonic() - started)
            assert answer.content
            assert any("Redis" in fault for fault in answer.response_metadata["tuppence"]["faults"])
        assert len(server.served) == 4
        assert took_s[0] < 2 * ONCE_S + CALL_S
        assert max(took_s[1:]) < ONCE_S


@pytest.mark.parametrize("harm", [RedisServer.kill, RedisServer.freeze])
async def test_a_redis_that_goes_while_the_model_answers_fails_no_call(
    server: ProviderServer, start_redis: StartRedis, harm: Callable[[RedisServer], None]
) -> None:
    """What was compared before is fine, what should be kept waits elsewhere: the answer comes at once."""
    released = threading.Event()
    server.model("m", replies=Turn("2 pence", hold=released))
    redis = start_redis()
    llm = model(server, all_in(redis.url))
    calling = asyncio.create_task(llm.ainvoke(ASKED))
    await asyncio.to_thread(server.await_arrived, 1)
    harm(redis)
    started = time.monotonic()
    released.set()
    assert (await calling).content == "2 pence"
    assert time.monotonic() - started < CALL_S


async def test_an_event_loop_goes_on_while_an_entry_that_cannot_be_read_is_removed(
    server: ProviderServer, start_redis: StartRedis
) -> None:
    """Removing asks Redis, which may not answer any more: that is done beside the call."""
    redis = start_redis()
    cache = all_in(redis.url, threshold=0.5)
    llm = model(server, cache)
    await llm.ainvoke(ASKED)
    await asyncio.to_thread(cache.flush)
    ((entry, _),) = await asyncio.to_thread(cache.similar.entries)
    redis.freeze()
    started = time.monotonic()
    with pytest.raises(CacheError, match="cannot be read: it was removed"):
        cache.open(replace(entry, value=b"{"), thaw_reply)
    assert time.monotonic() - started < ONCE_S / 4
