"""The exact cache's store in a real Redis and a real Cluster: what every store promises, and what this one must."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import redis
import redis.asyncio

from tuppence.assembly import open_cache
from tuppence.cache import ExactCache
from tuppence.cache.stores.redis import RedisStore
from tuppence.effects import Hit, Lease
from tuppence.errors import CacheError, ConfigError
from tuppence.request import Reply

pytest.register_assert_rewrite(
    *(f"{(__package__ or '').rpartition('.')[0]}.core.{suite}" for suite in ("store_suite", "cache_room_suite"))
)

# After pytest knows that it holds assertions.
from tuppence.testing.redis_server import RedisServer  # noqa: E402

from ..core.cache_room_suite import HitsSuite, RoomSuite  # noqa: E402, TID252
from ..core.store_suite import Clock, OpenStore, StoreSuite  # noqa: E402, TID252
from .conftest import StartRedis  # noqa: E402

pytestmark = pytest.mark.services


class Written(RedisStore):
    """A store whose every change is in Redis before the next step, and is read from there."""

    def put(self, *what: Any, **about: Any) -> None:
        super().put(*what, **about)
        self.flush()

    def delete(self, key: str) -> None:
        super().delete(key)
        self.flush()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["redis", "redis, written", "cluster, written"])
def open_store(
    request: pytest.FixtureRequest, redis_url: str, redis_cluster: RedisServer, clock: Clock
) -> Iterator[OpenStore]:
    opened: list[RedisStore] = []
    kind = RedisStore if request.param == "redis" else Written
    target = redis_cluster.cluster_url if request.param.startswith("cluster") else redis_url

    def open_one(**options: Any) -> RedisStore:
        opened.append(kind(target, prefix=f"{os.getpid()}-{time.monotonic_ns()}", clock=clock, **options))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


class TestStores(StoreSuite):
    """The same suite as for memory and SQLite."""


class TestRoom(RoomSuite):
    """Who goes, and whose room it is: as in memory and SQLite."""


class TestHits(HitsSuite):
    """How often each was served: as in memory and SQLite."""


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    store = RedisStore(redis_url)
    yield store
    store.close()


# -- what is in Redis


def test_redis_itself_ends_what_has_a_time_to_live(store: RedisStore, redis_server: RedisServer) -> None:
    """Nothing of ours has to come by for it to go; without a time to live it stays."""
    store.put("a1", b"{}", 60)
    store.put("b2", b"{}", None)
    store.flush()
    with redis_server.client() as client:
        left = [client.pttl(f"tuppence:{{{key}}}:reply") for key in ("a1", "b2")]
    assert 50_000 < left[0] <= 60_000
    assert left[1] == -1


def test_nothing_but_digests_and_json_is_there(redis_url: str, redis_server: RedisServer) -> None:
    """Neither a tag nor a tenant can be read off a key, and a value is text that other programs can read."""
    cache = ExactCache(RedisStore(redis_url))
    lease = cache.lookup("ab12")
    assert isinstance(lease, Lease)
    cache.remember(lease, Reply("2 pence"), origin="call-1", tags=frozenset({"secret-page"}))
    cache.close()
    with redis_server.client() as client:
        keys = sorted(client.scan_iter())
        value = client.get("tuppence:{ab12}:reply")
    assert isinstance(value, bytes)
    assert not any(b"secret" in part for part in (*keys, value))
    assert json.loads(value.split(b"\n", 1)[1])["reply"]["text"] == "2 pence"


def test_what_somebody_else_wrote_is_a_miss_and_removed(store: RedisStore, redis_server: RedisServer) -> None:
    """A torn or foreign value is never served; asking again heals it."""
    cache = ExactCache(store)
    with redis_server.client() as client:
        for torn in (b"", b"\x80\x04]", b"1.0 - \n{", b"1.0 -", b"x y z\n{}"):
            client.set("tuppence:{ab12}:reply", torn)
            lease = cache.lookup("ab12")
            assert isinstance(lease, Lease)
            cache.remember(lease, Reply("2 pence"), origin="call-1")
            store.flush()
            assert isinstance(cache.lookup("ab12"), Hit)
    cache.close()


def redis_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def test_a_tags_set_forgets_what_has_expired(store: RedisStore, redis_server: RedisServer) -> None:
    """It grows with the entries that are there, not with those that ever were, and ends with the last of them."""
    store.put("ee", b"{}", 60, frozenset({"x"}))
    for number in range(5):
        store.put(f"{number:x}", b"{}", 0.02, frozenset({"x"}))
    store.flush()
    with redis_server.client() as client:
        (index,) = client.scan_iter(match="tuppence:tag:*")
        until = time.monotonic() + 300
        while client.zcount(index, "-inf", redis_ms(client) - 1) < 5:
            assert time.monotonic() < until
        store.put("ff", b"{}", 60, frozenset({"x"}))
        store.flush()
        assert client.zrange(index, 0, -1) == [b"tuppence:{ee}:reply", b"tuppence:{ff}:reply"]
        assert 50_000 < client.pttl(index) <= 61_000


def test_a_key_and_its_lease_lie_on_one_node(redis_cluster: RedisServer) -> None:
    """A cluster refuses a script whose keys do not."""
    store = RedisStore(redis_cluster.cluster_url, prefix="one-node")
    assert store.claim("ab12", "token", 5.0) is True
    with redis_cluster.client() as client:
        (lease,) = client.scan_iter(match="one-node:*")
        slots = {client.cluster("KEYSLOT", key) for key in (lease, b"one-node:{ab12}:reply")}
    assert len(slots) == 1
    store.close()


def test_prefixes_keep_stores_apart(redis_url: str) -> None:
    """Two programs in one Redis neither read nor clear each other's entries."""
    ours, theirs = RedisStore(redis_url, prefix="ours"), RedisStore(redis_url, prefix="theirs")
    ours.put("a1", b"ours", None)
    theirs.put("a1", b"theirs", None)
    theirs.flush()
    ours.clear()
    assert ours.get("a1") is None
    found = theirs.get("a1")
    assert found is not None
    assert found[0] == b"theirs"
    for store in (ours, theirs):
        store.close()


# -- whose client


def _plain(server: RedisServer, _cluster: RedisServer) -> Any:
    return redis.Redis(port=server.port)


def _decoding(server: RedisServer, _cluster: RedisServer) -> Any:
    return redis.Redis(port=server.port, decode_responses=True)


def _cluster(_server: RedisServer, cluster: RedisServer) -> Any:
    return redis.RedisCluster(host="127.0.0.1", port=cluster.port)


def _aplain(server: RedisServer, _cluster: RedisServer) -> Any:
    return redis.asyncio.Redis(port=server.port)


def _acluster(_server: RedisServer, cluster: RedisServer) -> Any:
    return redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port)


@pytest.mark.parametrize("make", [_plain, _decoding, _cluster, _aplain, _acluster])
async def test_every_kind_of_client_decides_alike(
    redis_url: str, redis_server: RedisServer, redis_cluster: RedisServer, make: Callable[..., Any]
) -> None:
    """Values, leases and tags, from an event loop and from threads beside it; a client that was given stays open."""
    client = make(redis_server, redis_cluster)
    store = RedisStore(client, prefix=f"kinds-{time.monotonic_ns()}")
    assert await store.aget("a1") is None
    assert await store.aclaim("a1", "first", 60.0) is True
    assert await store.aclaim("a1", "second", 60.0) is False
    store.put("a1", b'{"x": 1}', 60, frozenset({"page"}))
    await in_thread(store.flush)
    found = await store.aget("a1")
    assert found is not None
    assert found[0] == b'{"x": 1}'
    claimed = await store.aclaim("a1", "third", 60.0)
    assert isinstance(claimed, tuple)
    assert await in_thread(store.get, "a1") is not None
    assert await in_thread(store.invalidate, "page") == 1
    assert await store.aget("a1") is None
    store.release(("a1", "first"))
    await in_thread(store.flush)
    assert await store.aclaim("a1", "third", 60.0) is True
    await in_thread(store.close)
    await closed(client)


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(work, *arguments)


async def closed(client: Any) -> None:
    """Close a client of either kind; it must still be open."""
    if isinstance(client, redis.asyncio.Redis | redis.asyncio.RedisCluster):
        assert await client.ping()
        await client.aclose()
    else:
        assert client.ping()
        client.close()


async def test_an_asyncio_client_says_why_it_cannot_be_used_by_blocking_code(redis_server: RedisServer) -> None:
    """Waiting for its loop on that loop would wait for ever."""
    client: AbstractAsyncContextManager[Any] = redis.asyncio.Redis(port=redis_server.port)
    async with client:
        store = RedisStore(client)
        assert await store.aget("a1") is None
        with pytest.raises(CacheError, match="give the cache a URL"):
            store.get("a1")
        await in_thread(store.close)


# -- opening, closing, killing


@pytest.mark.parametrize("prefix", ["", "a{b", "a*"])
def test_a_prefix_that_would_break_keys_is_refused(prefix: str) -> None:
    """Braces say where a cluster keeps a key, and stars what is cleared."""
    with pytest.raises(ConfigError, match="prefix is"):
        RedisStore("redis://127.0.0.1", prefix=prefix)


def test_an_address_of_something_else_is_refused_without_its_password() -> None:
    """The message names what may be given."""
    with pytest.raises(ConfigError, match=r"postgres://\.\.\.@db:5432.*redis://") as caught:
        open_cache("postgres://user:hunter2@db:5432")
    assert "hunter2" not in str(caught.value)


def test_an_address_opens_a_cache(redis_url: str) -> None:
    """The word that models and configuration files give."""
    cache = open_cache(redis_url)
    assert cache is not None
    lease = cache.lookup("ab12")
    assert isinstance(lease, Lease)
    cache.remember(lease, Reply("2 pence"), origin="call-1")
    assert isinstance(cache.lookup("ab12"), Hit)
    cache.close()


def test_a_closed_store_says_so(redis_url: str) -> None:
    """Closing writes what was put; using it afterwards loses nothing in silence."""
    store = RedisStore(redis_url)
    store.put("a1", b"v", None)
    store.close()
    store.close()
    with pytest.raises(CacheError, match="closed"):
        store.put("a1", b"v", None)
    with pytest.raises(CacheError, match="closed"):
        store.get("a1")
    with pytest.raises(CacheError, match="closed"):
        asyncio.run(store.aget("a1"))
    again = RedisStore(redis_url)
    assert again.get("a1") is not None
    again.close()


WRITE_MANY = """
import hashlib, sys
from tuppence.cache.stores.redis import RedisStore
store = RedisStore(sys.argv[1])
for i in range(1_000_000):
    key = f"{i:x}"
    store.put(key, hashlib.shake_128(key.encode()).hexdigest(10_000).encode(), None, frozenset({"all"}))
    if i % 10 == 9:
        store.flush()
        print(i, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 4, 9])
def test_a_killed_writer_leaves_whole_values_and_all_it_had_flushed(
    store: RedisStore, redis_url: str, redis_server: RedisServer, acknowledged: int
) -> None:
    """kill -9 in the middle of writing: what was flushed is there, nothing is torn, and every value has its tag."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_MANY, redis_url],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        flushed = [int(writer.stdout.readline()) for _ in range(acknowledged)][-1]
        writer.send_signal(signal.SIGKILL)
    with redis_server.client() as client:
        kept = {key.decode()[10:-7] for key in client.scan_iter(match="tuppence:*:reply")}
    assert {f"{i:x}" for i in range(flushed + 1)} <= kept
    for key in kept:
        found = store.get(key)
        assert found is not None
        assert found[0] == hashlib.shake_128(key.encode()).hexdigest(10_000).encode()
    assert store.invalidate("all") == len(kept)


def test_a_forked_child_and_its_parent_go_on(redis_url: str) -> None:
    """Fork with values queued, threads running and connections open: both sides read, write and ask from a loop."""
    script = """
import asyncio, os, sys
from tuppence.cache.stores.redis import RedisStore
store = RedisStore(sys.argv[1])
store.put("a0", b"before", None)
store.flush()
assert asyncio.run(store.aget("a0"))[0] == b"before"
store.put("a1", b"queued", None)
pid = os.fork()
name = "parent" if pid else "child"
assert asyncio.run(store.aget("a0"))[0] == b"before"
for i in range(100):
    store.put(f"{name}{i:x}", name.encode(), None)
    assert store.get(f"{name}{i:x}")[0] == name.encode()
store.flush()
if pid == 0:
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
for name in ("parent", "child"):
    for i in range(100):
        assert store.get(f"{name}{i:x}")[0] == name.encode()
assert store.get("a1")[0] == b"queued"
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, redis_url],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_read_only_redis_is_read(start_redis: StartRedis) -> None:
    """A replica serves what it has; that nothing can be written is told, and costs no pause."""
    server = start_redis()
    store = RedisStore(server.url)
    store.put("a1", b"v", None)
    store.flush()
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)
    store.put("b2", b"v", None)
    with pytest.raises(CacheError, match=r"refused.*read only replica"):
        store.flush()
    assert store.get("a1") is not None
    with pytest.raises(CacheError, match="refused"):
        store.claim("c3", "token", 1.0)
    assert store.get("a1") is not None
    store.close()
