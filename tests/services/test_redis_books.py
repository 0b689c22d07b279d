"""The exact cache's bounds and hits in a real Redis: among writers, kills and other programs' clients."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from tuppence.cache import ExactCache, RedisStore
from tuppence.cli import app
from tuppence.effects import Hit, Lease
from tuppence.request import Reply
from tuppence.testing.redis_server import RedisServer

pytestmark = pytest.mark.services


@pytest.fixture
def client(redis_server: RedisServer, redis_url: str) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client


def values(client: redis.Redis) -> set[str]:
    """The keys whose values lie in Redis."""
    return {name.decode()[10:-7] for name in client.scan_iter(match="tuppence:*:reply", count=1000)}


def booked(client: redis.Redis) -> dict[str, int]:
    """The bytes of those that the books know of."""
    kept = client.hgetall("tuppence:{tuppence-books}:kept")
    return {key.decode(): int(line.split()[2]) for key, line in kept.items()}


def running(script: str, *arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
    )


WRITE_MANY = """
import sys
from tuppence.cache import RedisStore
store = RedisStore(sys.argv[1], max_entries=50, max_bytes=100_000, max_share_per_tenant=0.5)
for i in range(int(sys.argv[3])):
    store.put(f"{sys.argv[2]}{i:x}", b"v" * (i * 37 % 6_000), None, pico_usd=i % 7 * 10**9, tenant=f"tenant {i % 3}")
    if i % 20 == 19:
        store.flush()
        print(i, flush=True)
store.close()
"""


def test_writers_share_one_budget(redis_url: str, client: redis.Redis) -> None:
    """Three at once: what lies there in the end is what is booked, and no bound is passed."""
    writers = [running(WRITE_MANY, redis_url, name, 600) for name in "abc"]
    for writer in writers:
        writer.communicate(timeout=600)
        assert writer.returncode == 0
    sizes = booked(client)
    assert 20 <= len(sizes) <= 50
    assert sum(sizes.values()) <= 100_000
    # One may let go of what another is about to write: what is booked may be missing, never the other way round.
    assert values(client) <= sizes.keys()
    assert len(values(client)) > 0.8 * len(sizes)
    assert int(client.hget("tuppence:{tuppence-books}:sums", "bytes") or 0) == sum(sizes.values())
    assert client.zcard("tuppence:{tuppence-books}:ranks") == len(sizes)
    parts = [client.zcard(name) for name in client.scan_iter(match="tuppence:{tuppence-books}:ranks:*")]
    assert sum(parts) == len(sizes)
    assert max(parts) <= 25


@pytest.mark.parametrize("acknowledged", [3, 6, 9])
def test_a_killed_writer_leaves_no_value_that_is_not_booked(
    redis_url: str, client: redis.Redis, acknowledged: int
) -> None:
    """kill -9 while entries come and go: after the next write of anybody no bound is passed by what is really there."""
    with running(WRITE_MANY, redis_url, "a", 1_000_000) as writer:
        assert writer.stdout is not None
        for _ in range(acknowledged):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    store = RedisStore(redis_url, max_entries=50, max_bytes=100_000, max_share_per_tenant=0.5)
    store.put("ff", b"v", None)
    store.flush()
    assert values(client) <= booked(client).keys()
    assert len(booked(client)) <= 50
    assert client.scard("tuppence:{tuppence-books}:going") == 0
    store.close()


def test_many_go_at_once(redis_url: str, client: redis.Redis) -> None:
    """A bound that is lowered is held after the next write, however far it was passed."""
    wide = RedisStore(redis_url, max_entries=5_000)
    for number in range(3_500):
        wide.put(f"{number:x}", b"v", None)
    wide.flush()
    assert len(values(client)) == 3_500
    narrow = RedisStore(redis_url, max_entries=10)
    narrow.put("ffff", b"v", None)
    narrow.flush()
    assert values(client) == booked(client).keys()
    assert len(values(client)) == 10
    for store in (wide, narrow):
        store.close()


def test_many_of_a_tenants_go_at_once(redis_url: str, client: redis.Redis) -> None:
    """A part that is lowered is held after the tenant's next write."""
    wide = RedisStore(redis_url, max_entries=10_000, max_share_per_tenant=0.5)
    for number in range(2_500):
        wide.put(f"{number:x}", b"v", None, tenant="ann")
    wide.close()
    narrow = RedisStore(redis_url, max_entries=10_000, max_share_per_tenant=0.001)
    narrow.put("ffff", b"v", None, tenant="ann")
    narrow.close()
    assert len(values(client)) == len(booked(client)) == 10


def test_without_bounds_nothing_is_booked(redis_url: str, client: redis.Redis) -> None:
    """The server's own bound holds then, and no memory goes into order that nobody needs."""
    store = RedisStore(redis_url)
    store.put("a1", b"v", None, pico_usd=5, tenant="ann")
    store.close()
    assert booked(client) == {}
    assert values(client) == {"a1"}


def test_a_decoding_client_counts_and_lets_go_alike(redis_server: RedisServer, redis_url: str) -> None:
    """It is the user's, and may read text where others read bytes."""
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        store = RedisStore(client, max_entries=2)
        for key in "abc":
            store.put(key, b"v", None)
            store.flush()
        assert store.get("b") is not None
        assert [(one.key, one.hits) for one in store.most_hit(5)] == [("b", 1)]
        assert store.get("a") is None
        store.close()


def test_hits_end_with_their_answer(redis_url: str, client: redis.Redis) -> None:
    """The count has the answer's own time to live: nothing of ours has to come by."""
    store = RedisStore(redis_url)
    store.put("a1", b"v", 60)
    store.put("b2", b"v", None)
    store.flush()
    for key in ("a1", "b2"):
        store.get(key)
    store.flush()
    assert 50_000 < client.pttl("tuppence:{a1}:uses") <= 60_000
    assert client.pttl("tuppence:{b2}:uses") == -1
    store.close()


async def test_what_is_served_in_an_event_loop_is_counted(redis_url: str) -> None:
    """As in threads: by the store's own lookup, and by the claim of who waits."""
    store, other = RedisStore(redis_url), RedisStore(redis_url)
    store.put("a1", b"{}", 60)
    store.flush()
    assert await other.aget("a1") is not None
    assert isinstance(await other.aclaim("a1", "token", 1.0), tuple)
    other.flush()
    assert [one.hits for one in store.most_hit(1)] == [2]
    for one in (store, other):
        one.close()


def test_the_most_served_answers_are_shown(redis_url: str) -> None:
    """By the same command as for a file."""
    cache = ExactCache(RedisStore(redis_url))
    lease = cache.lookup("a1")
    assert isinstance(lease, Lease)
    cache.remember(lease, Reply("2 pence"), origin="call-1", pico_usd=10**10)
    assert isinstance(cache.lookup("a1"), Hit)
    cache.close()
    shown = CliRunner().invoke(app, ["cache", "top", redis_url, "--format", "json"])
    (one,) = json.loads(shown.output)
    assert (one["hits"], one["saved_usd"], one["answer"]) == (1, "0.010000000000", "2 pence")
