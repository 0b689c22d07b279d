"""A Redis that is dead, slow or in the way costs a bounded delay once in a while, and never a call."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, tier
from tuppence.cache import ExactCache
from tuppence.cache.stores.redis import RedisStore
from tuppence.cache.stores.redis_link import ANSWER_S, CONNECT_S, RedisLink
from tuppence.errors import CacheError
from tuppence.prices import token_rate
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.testing.redis_server import RedisServer

from .conftest import StartRedis

pytestmark = pytest.mark.services

# What a call without any cache takes on a busy machine.
CALL_S = 2.0
ONCE_S = CONNECT_S + ANSWER_S

Invoke = Callable[[ChatTuppence, str], Awaitable[Any]]


def model(server: ProviderServer, cache: ExactCache | str) -> ChatTuppence:
    plain = ChatOpenAI(base_url=server.base_url, api_key="test", model="m")
    return ChatTuppence(tiers=[tier(plain, name="m", rate=token_rate(input="1", output="2"))], cache=cache, ledger=None)


async def _sync(llm: ChatTuppence, question: str) -> Any:
    return await asyncio.to_thread(llm.invoke, question)


async def _async(llm: ChatTuppence, question: str) -> Any:
    return await llm.ainvoke(question)


async def _stream(llm: ChatTuppence, question: str) -> Any:
    chunks = [chunk async for chunk in llm.astream(question)]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


@pytest.fixture(params=[_sync, _async, _stream])
def invoke(request: pytest.FixtureRequest) -> Invoke:
    way: Invoke = request.param
    return way


def nobody_listens(_stack: ExitStack, _start: StartRedis) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{probe.getsockname()[1]}"


def connections_hang(stack: ExitStack, _start: StartRedis) -> str:
    """A port whose queue is full: the kernel drops whoever else knocks, as a firewall does."""
    listening = stack.enter_context(socket.socket())
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    for _ in range(3):
        knocking = stack.enter_context(socket.socket())
        knocking.setblocking(False)
        knocking.connect_ex(listening.getsockname())
    return f"redis://127.0.0.1:{listening.getsockname()[1]}"


def answers_hang(_stack: ExitStack, start: StartRedis) -> str:
    server = start()
    server.freeze()
    return server.url


def cluster_is_gone(stack: ExitStack, start: StartRedis) -> str:
    return nobody_listens(stack, start).replace("redis://", "redis+cluster://")


@pytest.mark.parametrize("away", [nobody_listens, connections_hang, answers_hang, cluster_is_gone])
async def test_a_redis_that_is_away_fails_no_call(
    server: ProviderServer, start_redis: StartRedis, invoke: Invoke, away: Callable[[ExitStack, StartRedis], str]
) -> None:
    """The first call finds out, within the timeouts, and says so; those after it do not even ask."""
    with ExitStack() as stack:
        llm = model(server, away(stack, start_redis))
        took_s = []
        for question in ("one", "two", "three"):
            started = time.monotonic()
            answer = await invoke(llm, question)
            took_s.append(time.monotonic() - started)
            assert answer.content
            assert "Redis" in answer.response_metadata["tuppence"]["faults"][0]
        assert len(server.served) == 3
        assert took_s[0] < ONCE_S + CALL_S
        assert max(took_s[1:]) < ONCE_S


async def test_an_event_loop_goes_on_while_redis_does_not_answer(
    server: ProviderServer, start_redis: StartRedis
) -> None:
    """Other tasks run on: none waits half a second for its turn."""
    redis = start_redis()
    llm = model(server, redis.url)
    await llm.ainvoke("before")
    redis.freeze()
    longest_s, done = 0.0, False

    async def ticking() -> None:
        nonlocal longest_s
        while not done:
            started = time.monotonic()
            await asyncio.sleep(0.01)
            longest_s = max(longest_s, time.monotonic() - started)

    ticks = asyncio.create_task(ticking())
    answer = await llm.ainvoke("after")
    done = True
    await ticks
    assert answer.content
    assert longest_s < ANSWER_S / 2


@pytest.fixture
def released(server: ProviderServer) -> threading.Event:
    """Set it, and the model answers."""
    release = threading.Event()
    server.model("m", replies=Turn("2 pence", hold=release))
    return release


@pytest.mark.parametrize("harm", [RedisServer.kill, RedisServer.freeze])
async def test_a_redis_that_goes_while_the_model_answers_fails_no_call(
    server: ProviderServer,
    start_redis: StartRedis,
    released: threading.Event,
    invoke: Invoke,
    harm: Callable[[RedisServer], None],
) -> None:
    """The lookup was fine, the writing is not: the answer comes at once, for the writing waits elsewhere."""
    redis = start_redis()
    llm = model(server, redis.url)
    calling = asyncio.create_task(invoke(llm, "How much is tea?"))
    await asyncio.to_thread(server.await_arrived, 1)
    harm(redis)
    started = time.monotonic()
    released.set()
    answer = await calling
    assert answer.content == "2 pence"
    assert time.monotonic() - started < CALL_S


async def test_a_call_that_is_cancelled_while_redis_hangs_ends_at_once(
    server: ProviderServer, start_redis: StartRedis
) -> None:
    """Closing effects are performed on the way out, and wait for nobody."""
    server.model("m", replies=Fault.hang())
    redis = start_redis()
    llm = model(server, redis.url)
    calling = asyncio.create_task(llm.ainvoke("How much is tea?"))
    await asyncio.to_thread(server.await_arrived, 1)
    redis.freeze()
    started = time.monotonic()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert time.monotonic() - started < ANSWER_S / 2


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_is_asked_again_after_a_pause_by_one(start_redis: StartRedis) -> None:
    """While it is away, one in five seconds finds out and the others pass by; once it is back, all may ask."""
    redis, clock = start_redis(), Clock()
    link = RedisLink(redis.url, pause_s=5.0, clock=clock)
    assert link.run(("PING",)) == [True]
    redis.kill()
    with pytest.raises(CacheError, match="did not answer"):
        link.run(("PING",))
    clock.now = 4.0
    with pytest.raises(CacheError, match=r"not asked for another 1\.0 s"):
        link.run(("PING",))
    clock.now = 5.0
    with pytest.raises(CacheError, match=r"not asked again for 5\.0 s"):
        link.run(("PING",))
    with pytest.raises(CacheError, match=r"not asked for another 5\.0 s"):
        link.run(("PING",))
    start_redis(port=redis.port)
    clock.now = 10.0
    assert link.run(("PING",)) == link.run(("PING",)) == [True]
    link.close()


def test_what_was_put_meanwhile_is_written_when_it_is_back(start_redis: StartRedis) -> None:
    """An answer that was paid for during an outage is kept; until then this process still serves it."""
    redis = start_redis()
    store = RedisStore(redis.url, pause_s=0.01)
    redis.kill()
    store.put("a1", b"paid for", 60, frozenset({"x"}))
    assert store.get("a1") is not None
    with start_redis(port=redis.port).client() as client:
        until = time.monotonic() + 300
        while not client.exists("tuppence:{a1}:reply"):
            assert time.monotonic() < until
    assert store.invalidate("x") == 1
    store.close()
