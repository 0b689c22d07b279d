"""The semantic cache's entries in Redis: what every such store promises, and what only a server can do to one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import pytest
import redis
import redis.asyncio
from redisvl.index import SearchIndex
from redisvl.query import VectorQuery
from redisvl.query.filter import Tag

from tuppence.cache.entries import Entry, SimilarStore
from tuppence.cache.stores.redis import RedisStore
from tuppence.cache.stores.redis_documents import digest
from tuppence.cache.stores.redis_search import Crowds
from tuppence.cache.stores.similar_redis import RedisSimilarStore
from tuppence.embed import Vector
from tuppence.errors import CacheError, ConfigError

pytest.register_assert_rewrite(f"{(__package__ or '').rpartition('.')[0]}.core.similar_stores")

# After pytest knows that it holds assertions.
from tuppence.testing.redis_server import RedisServer  # noqa: E402

from ..core.similar_stores import (  # noqa: E402, TID252
    AXIS,
    DIMENSIONS,
    HOUR,
    Clock,
    EvictionSuite,
    SimilarStoreSuite,
    apart,
    direction,
    entry,
    hits,
    ids,
    keep,
)
from .conftest import StartRedis  # noqa: E402

pytestmark = pytest.mark.services

Opened = Callable[..., RedisSimilarStore]
INDEX = f"{{tuppence-similar:1}}:{DIMENSIONS}"


@pytest.fixture
def opened(redis_url: str) -> Iterator[Opened]:
    """Open stores on the shared server, or on any other target, and close them in the end."""
    stores: list[RedisSimilarStore] = []

    def open_store(target: object = redis_url, **options: object) -> RedisSimilarStore:
        stores.append(RedisSimilarStore(target, **options))  # type: ignore[arg-type]
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """The test's own look at the shared server."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


class TestByAddress(SimilarStoreSuite):
    """One server, named by its address."""

    @pytest.fixture
    def store(self, opened: Opened, clock: Clock) -> SimilarStore:
        return opened(clock=clock)


class TestByClient(SimilarStoreSuite):
    """A client of the user's own, which speaks the newer protocol."""

    @pytest.fixture
    def store(self, opened: Opened, clock: Clock, redis_url: str) -> Iterator[SimilarStore]:
        with redis.Redis.from_url(redis_url, protocol=3) as client:
            yield opened(client, clock=clock)


class TestInACluster(SimilarStoreSuite):
    """By the cluster's own protocol."""

    @pytest.fixture
    def store(self, opened: Opened, clock: Clock, redis_cluster: RedisServer) -> SimilarStore:
        store = opened(redis_cluster.cluster_url, clock=clock)
        store.clear()
        return store


class TestMakingRoom(EvictionSuite):
    """Few entries are all in one sample, so that their order is exact."""

    @pytest.fixture
    def open_store(self, opened: Opened, clock: Clock) -> Callable[..., SimilarStore]:
        def open_empty(**bounds: int) -> SimilarStore:
            store = opened(clock=clock, **bounds)
            store.clear()
            return store

        return open_empty


# -- opening


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"prefix": ""}, "prefix is ''"),
        ({"prefix": "a{b"}, "prefix is 'a{b'"),
        ({"max_entries": 0}, "max_entries is 0"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], complaint: str) -> None:
    """At once, with the value."""
    with pytest.raises(ConfigError, match=complaint):
        RedisSimilarStore("redis://127.0.0.1", **options)  # type: ignore[arg-type]


def test_a_client_that_decodes_is_refused(redis_url: str) -> None:
    """It could not read a single vector."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client, pytest.raises(ConfigError, match="decode"):
        RedisSimilarStore(client)
    with pytest.raises(ConfigError, match="decode"):
        RedisSimilarStore(f"{redis_url}?decode_responses=true")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it; modules that are None are Python's way to say that there are none."""
    monkeypatch.setitem(sys.modules, "tuppence.cache.stores.redis_documents", None)
    monkeypatch.delattr("tuppence.cache.stores.redis_documents", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'tuppence\[redis\]'"):
        RedisSimilarStore("redis://127.0.0.1")


@pytest.mark.parametrize("vector", [2 * AXIS, 0 * AXIS, np.nan * AXIS, np.stack([AXIS, AXIS])])
def test_a_vector_that_is_no_direction_is_refused(opened: Opened, vector: Vector) -> None:
    """It would lie in the index for good, in everybody's way."""
    with pytest.raises(ConfigError, match="length"):
        opened().add(entry("a1", vector))


def test_a_closed_store_says_so(opened: Opened) -> None:
    """Closing writes what was added; using it afterwards loses nothing in silence."""
    store = opened()
    store.add(entry("a1"))
    store.close()
    for use in (lambda: store.add(entry("a2")), lambda: store.nearest("50", AXIS, 1), store.entries, store.clear):
        with pytest.raises(CacheError, match="closed"):
            use()
    assert ids(opened().nearest("50", AXIS, 1)) == ["a1"]


def test_redisvl_knows_the_index(opened: Opened, client: redis.Redis) -> None:
    """What lies there is found with redisvl's own classes too."""
    keep(opened(), entry("a1", apart(0.9)), entry("a2", apart(0.4)), entry("a3", scope="51"))
    index = SearchIndex.from_existing(INDEX, redis_client=client)
    assert index.schema.fields["vector"].attrs.algorithm == "HNSW"  # type: ignore[union-attr]
    query = VectorQuery(AXIS.tobytes(), "vector", ["pico_usd"], Tag("scope") == digest("50"), num_results=9)
    assert [row["id"] for row in index.query(query)] == [f"{INDEX}:a1", f"{INDEX}:a2"]


def test_vectors_of_two_lengths_lie_side_by_side(opened: Opened) -> None:
    """An embedder replaced by a larger one needs no other store; what goes by tag goes in both."""
    store = opened()
    long = np.eye(2 * DIMENSIONS, dtype=np.float32)[0]
    keep(store, entry("a1", tags=frozenset({"t"})), entry("a2", long, tags=frozenset({"t"})))
    assert (ids(store.nearest("50", AXIS, 9)), ids(store.nearest("50", long, 9))) == (["a1"], ["a2"])
    assert opened().invalidate("t") == 2
    assert list(store.entries()) == []


def test_the_exact_cache_beside_it_is_another(opened: Opened, redis_url: str) -> None:
    """Under one prefix on one server: clearing one leaves the other as it is."""
    similar, exact = opened(), RedisStore(redis_url)
    keep(similar, entry("a1"))
    exact.clear()
    assert ids(similar.nearest("50", AXIS, 1)) == ["a1"]
    exact.put("a1", b"{}", None)
    exact.flush()
    similar.clear()
    assert exact.get("a1") is not None
    exact.close()


async def test_an_asyncio_client_serves_its_loop_and_threads_beside_it(opened: Opened, redis_url: str) -> None:
    """Lookups on the loop, the rest from threads."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        store = opened(client)
        assert await store.anearest("50", AXIS, 1) == []
        await asyncio.to_thread(keep, store, entry("a1", tags=frozenset({"t"})))
        assert ids(await store.anearest("50", AXIS, 1)) == ["a1"]
        assert await asyncio.to_thread(store.invalidate, "t") == 1
        await asyncio.to_thread(store.close)


def test_a_cluster_of_three_finds_all_that_it_has(opened: Opened, start_redis: StartRedis) -> None:
    """Its search looks on one node only, so everything lies there: found, listed and gone by tag."""
    servers = [
        start_redis(options=("--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{n}.conf")) for n in range(3)
    ]
    clients = [server.client() for server in servers]
    for n, client in enumerate(clients):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", n * 5500, min((n + 1) * 5500, 16384) - 1)
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
    until(lambda: all("cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")) for client in clients), 30)
    until(lambda: all(str(client.execute_command("CLUSTER", "NODES")).count("master") == 3 for client in clients), 30)
    store = opened(servers[0].cluster_url)
    keep(store, *(entry(f"{n:x}", direction(n), tags=frozenset({"t"})) for n in range(60)))
    assert len(store.nearest("50", AXIS, 99)) == len(store.entries()) == 60
    assert sorted(client.dbsize() for client in clients) == [0, 0, 60]
    assert store.invalidate("t") == 60
    for client in clients:
        client.close()


# -- what is kept, and how long


def until(reached: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for something that a server does in its own time."""
    give_up_at = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def test_redis_forgets_what_has_expired(opened: Opened, client: redis.Redis) -> None:
    """By its own clock, uses included, whether anybody looks or not."""
    store = opened()
    keep(store, entry("a1", expires_at=time.time() + 0.3))
    store.used("a1")
    store.flush()
    assert client.dbsize() == 2
    until(lambda: client.dbsize() == 0)
    assert store.nearest("50", AXIS, 1) == []


def test_an_entry_and_its_end_are_written_together(opened: Opened, client: redis.Redis) -> None:
    """A key without an end would outlive every clock; a replacement without one has none."""
    store = opened()
    keep(store, entry("a1", expires_at=time.time() + HOUR))
    (key,) = client.keys()
    assert 0 < client.pttl(key) <= HOUR * 1000
    keep(store, entry("a1"))
    assert client.pttl(key) == -1


@pytest.mark.parametrize(
    "damage",
    [
        {"value": b'"al'},
        {"about": b'{"format":1'},
        {"about": b"[]"},
        {"about": b'{"format":99}'},
        {"about": b"\x80\x04N."},
        {"value": None},
    ],
)
def test_a_torn_or_foreign_document_is_no_entry(
    opened: Opened, client: redis.Redis, damage: dict[str, bytes | None]
) -> None:
    """It is dropped, and the one behind it is found."""
    store = opened()
    keep(store, entry("a1", apart(0.9)), entry("a2", apart(0.5)))
    key = f"{INDEX}:a1"
    for name, value in damage.items():
        client.hdel(key, name) if value is None else client.hset(key, name, value)
    assert ids(store.nearest("50", AXIS, 1)) == ["a2"]
    assert [one.id for one, _ in store.entries()] == ["a2"]


def test_a_document_that_claims_another_scope_is_not_served(opened: Opened, client: redis.Redis) -> None:
    """The index says where to look; what is found must say so itself."""
    store = opened()
    keep(store, entry("a1", scope="51"))
    client.hset(f"{INDEX}:a1", "scope", digest("50"))
    assert store.nearest("50", AXIS, 1) == []


def test_nothing_is_lost_by_adding_faster_than_redis_takes_it_in(opened: Opened, client: redis.Redis) -> None:
    """Three thousand in a row, all there; and going by tag they take a bounded number of round trips."""
    store = opened()
    for n in range(3000):
        store.add(entry(f"{n:x}", direction(n % 100), tags=frozenset({"t"})))
    store.flush()
    assert len(store.entries()) == 3000
    client.config_resetstat()
    assert store.invalidate("t") == 3000
    assert client.info("commandstats")["cmdstat_FT.SEARCH"]["calls"] == 3
    assert client.dbsize() == 0


def test_room_is_made_by_samples(opened: Opened) -> None:
    """Of more entries than a sample takes, the cheap ones go and the dear ones stay."""
    store = opened(max_entries=200)
    dear = {f"d{n:x}" for n in range(100)}
    keep(store, *(entry(key, direction(n), pico_usd=10**12) for n, key in enumerate(sorted(dear))))
    for begin in range(0, 300, 50):
        keep(store, *(entry(f"c{n:x}", direction(n), pico_usd=1) for n in range(begin, begin + 50)))
        assert len(store.entries()) <= 200
    left = {one.id for one, _ in store.entries()}
    assert dear <= left
    assert len(left) >= 180


def test_a_bound_in_bytes_holds_for_more_than_a_sample(opened: Opened) -> None:
    """What they take together is told from samples: to within some percent, whatever their sizes."""
    store = opened(max_bytes=1_000_000)
    for begin in range(0, 1_200, 50):
        some = range(begin, begin + 50)
        keep(store, *(entry(f"{n:x}", direction(n), value=json.dumps("v" * (n * 37 % 4_000)).encode()) for n in some))
    sizes = [one.vector.nbytes + len(one.value) + len(one.question) for one, _ in store.entries()]
    assert 300 < len(sizes) < 1_200
    assert 700_000 < sum(sizes) < 1_100_000


# -- large scopes


@pytest.mark.parametrize(
    ("entries", "of", "by_graph"),
    [
        (0, 0, False), (16, 16, False), (1_000, 1_000, False), (1_250, 80_000, False), (2_500, 80_000, False),
        (3_000, 3_000, True), (5_000, 80_000, True), (10_000, 10_000, True), (80_000, 80_000, True),
        (10_000, 1_000_000, False), (50_000, 1_000_000, True),
    ],
)  # fmt: skip
def test_the_graph_is_walked_where_that_was_quicker(entries: int, of: int, by_graph: bool) -> None:
    """In large scopes that are no small part of the whole, as measured."""
    crowds = Crowds()
    crowds.counted("50", entries, of)
    assert crowds.by_graph("50") == by_graph


def test_a_scope_is_counted_when_it_seems_large_and_now_and_then_again() -> None:
    """Never a scope of which a lookup found less than it wanted, nor twice within half a minute."""
    now = 0.0
    crowds = Crowds(clock=lambda: now)
    assert not crowds.due("50")
    crowds.met("50")
    assert crowds.due("50")
    crowds.counted("50", 10_000, 10_000)
    assert not crowds.due("50")
    now = 31.0
    assert crowds.due("50")
    assert crowds.by_graph("50")


def test_a_large_scope_is_searched_by_the_graph(opened: Opened, client: redis.Redis) -> None:
    """From the third lookup on; what it finds is what comparing with each entry found."""
    store = opened()
    keep(store, *(entry(f"{n:x}", direction(n)) for n in range(4000)))
    first = [ids(store.nearest("50", direction(n), 1)) for n in range(50)]
    client.config_set("slowlog-log-slower-than", 0)
    assert [ids(store.nearest("50", direction(n), 1)) for n in range(50)] == first == [[f"{n:x}"] for n in range(50)]
    client.config_set("slowlog-log-slower-than", 10_000)
    asked = [one["command"] for one in client.slowlog_get(50) if b"FT.SEARCH" in one["command"]]
    client.slowlog_reset()
    assert len(asked) > 40
    assert all(b"HYBRID_POLICY BATCHES" in command for command in asked)


def test_lookups_are_quick(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is asserted but that they find: a machine that is shared decides the figures, which are shown."""
    store, questions = opened(), np.random.default_rng(0).standard_normal((2000, 384)).astype(np.float32)
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    begun = time.perf_counter()
    keep(store, *(entry(f"{n:x}", one) for n, one in enumerate(questions)))
    rate = len(questions) / (time.perf_counter() - begun)
    took = []
    for n in range(200):
        begun = time.perf_counter()
        assert ids(store.nearest("50", questions[n], 16))[0] == f"{n:x}"
        took.append(time.perf_counter() - begun)
    with capsys.disabled():
        print(f"\n2,000 entries of 384 dimensions: {rate:.0f} added a second, lookup p50 {median(took) * 1000:.2f} ms")


# -- processes, kills, forks


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Run `script` in a process of its own that finds the same packages."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


OPEN = """
import json, os, sys
import numpy as np
from tuppence.cache.stores.similar_redis import RedisSimilarStore
from tuppence.effects import Entry
def entry(id):
    vector = np.random.default_rng(int(id, 16)).standard_normal(16)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Entry(id, "50", id, vector, json.dumps(id * 3000).encode(), tags=frozenset({"t"}))
store = RedisSimilarStore(sys.argv[1])
"""


def whole(one: Entry) -> bool:
    return one.question == one.id and json.loads(one.value) == one.id * 3000


def test_processes_that_start_together_share_one_index(opened: Opened, redis_url: str) -> None:
    """Four make the index at once and fill it; a program that just ends keeps all that it added."""
    script = OPEN + "for n in range(40): store.add(entry(f'{int(sys.argv[2]) * 40 + n:x}'))"
    writers = [python(script, redis_url, worker) for worker in range(4)]
    for writer in writers:
        writer.communicate(timeout=600)
        assert writer.returncode == 0
    store = opened()
    kept = [one for one, _ in store.entries()]
    assert {one.id for one in kept} == {f"{n:x}" for n in range(160)}
    assert all(map(whole, kept))
    assert ids(store.nearest("50", kept[7].vector, 1)) == [kept[7].id]


def test_what_one_process_invalidates_is_gone_in_another(opened: Opened, redis_url: str) -> None:
    """At its next lookup, while both have the store open."""
    looking = """
print(len(store.nearest("50", entry("a1").vector, 9)), flush=True)
sys.stdin.readline()
print(len(store.nearest("50", entry("a1").vector, 9)), flush=True)
"""
    store = opened()
    keep(store, entry("a1", tags=frozenset({"t"})), entry("a2"))
    with python(OPEN + looking, redis_url) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "2\n"
        assert store.invalidate("t") == 1
        assert other.communicate("go\n", timeout=600)[0] == "1\n"


@pytest.mark.parametrize("acknowledged", [1, 5])
def test_a_killed_writer_leaves_whole_entries_and_all_it_had_flushed(
    opened: Opened, redis_url: str, acknowledged: int
) -> None:
    """kill -9 in the middle of writing: every flushed entry is there, none is torn, each goes by its tag."""
    writing = """
for n in range(1_000_000):
    store.add(entry(f"{n:x}"))
    if n % 10 == 9:
        store.flush()
        print(n, flush=True)
"""
    with python(OPEN + writing, redis_url) as writer:
        assert writer.stdout is not None
        flushed = [int(writer.stdout.readline()) for _ in range(acknowledged)][-1]
        writer.send_signal(signal.SIGKILL)
    store = opened()
    kept = [one for one, _ in store.entries()]
    assert {f"{n:x}" for n in range(flushed + 1)} <= {one.id for one in kept}
    assert all(map(whole, kept))
    assert store.invalidate("t") == len(kept)


def test_a_forked_child_and_its_parent_go_on(opened: Opened, redis_url: str) -> None:
    """Fork with an entry queued and connections open: both sides look up and add, from threads and from a loop."""
    forking = """
import asyncio
store.add(entry("a1"))
store.flush()
asyncio.run(store.anearest("50", entry("a1").vector, 9))
store.add(entry("a2"))
child = os.fork()
name = "b" if child else "c"
store.add(entry(name + "1"))
store.flush()
assert "a1" in {one.entry.id for one in store.nearest("50", entry("a1").vector, 9)}
assert "a1" in {one.entry.id for one in asyncio.run(store.anearest("50", entry("a1").vector, 9))}
store.close()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    with python(OPEN + forking, redis_url) as process:
        process.communicate(timeout=600)
    assert process.returncode == 0
    assert {one.id for one, _ in opened().entries()} == {"a1", "a2", "b1", "c1"}


# -- a Redis that is away


def test_a_restart_in_between_is_survived(opened: Opened, start_redis: StartRedis) -> None:
    """While it is away lookups fail; once it is back, empty and without an index, they find what came after."""
    server = start_redis()
    store = opened(server.url, pause_s=0.01)
    keep(store, entry("a1"))
    assert ids(store.nearest("50", AXIS, 1)) == ["a1"]
    server.kill()
    with pytest.raises(CacheError, match="Redis"):
        store.nearest("50", AXIS, 1)
    store.add(entry("a2"))
    with pytest.raises(CacheError, match="Redis"):
        store.flush()
    server = start_redis(port=server.port)
    until(lambda: answers(store))
    store.flush()
    until(lambda: ids(store.nearest("50", AXIS, 9)) == ["a2"])
    server.kill()


def answers(store: RedisSimilarStore) -> bool:
    try:
        store.nearest("50", AXIS, 1)
    except CacheError:
        return False
    return True


def test_an_index_that_was_dropped_is_made_again(opened: Opened, client: redis.Redis) -> None:
    """By whoever notices first, over the entries that are still there."""
    store = opened()
    keep(store, entry("a1"))
    client.execute_command("FT.DROPINDEX", INDEX)
    until(lambda: ids(store.nearest("50", AXIS, 1)) == ["a1"])


def test_a_server_that_will_not_index_is_told_apart(opened: Opened, start_redis: StartRedis) -> None:
    """It answers, so nobody waits; the message says what it takes."""
    server = start_redis()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-ft.create", "-ft.info")
    for _ in range(2):
        with pytest.raises(CacheError, match="search module"):
            opened(server.url).nearest("50", AXIS, 1)


async def test_a_frozen_server_costs_a_bounded_delay(opened: Opened, start_redis: StartRedis) -> None:
    """One lookup finds out; the next ones do not wait, the event loop never does, and uses are noted meanwhile."""
    server = start_redis()
    store = opened(server.url)
    await asyncio.to_thread(keep, store, entry("a1"))
    server.freeze()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    begun = time.monotonic()
    with pytest.raises(CacheError, match="did not answer"):
        await store.anearest("50", AXIS, 1)
    assert time.monotonic() - begun < 3
    assert ticks > 5
    ticking.cancel()
    begun = time.monotonic()
    for _ in range(100):
        with pytest.raises(CacheError, match="not asked"):
            store.nearest("50", AXIS, 1)
        store.used("a1")
    assert time.monotonic() - begun < 0.4
    server.thaw()


def test_a_port_where_nobody_listens_is_told_at_once(opened: Opened, start_redis: StartRedis) -> None:
    """Opening asks nothing, adding queues, and nothing of it waits."""
    server = start_redis()
    server.kill()
    begun = time.monotonic()
    store = opened(server.url)
    store.add(entry("a1"))
    with pytest.raises(CacheError, match="Redis"):
        store.flush()
    with pytest.raises(CacheError, match="Redis"):
        store.nearest("50", AXIS, 1)
    store.close()
    assert time.monotonic() - begun < 5


def test_uses_of_what_is_gone_leave_nothing(opened: Opened, client: redis.Redis) -> None:
    """A count without its entry would stay for ever."""
    store = opened()
    keep(store, entry("a1"), entry("a2"))
    client.delete(f"{INDEX}:a1")
    store.used("a1")
    store.used("a2")
    store.flush()
    assert hits(store) == {"a2": 1}
    assert client.dbsize() == 2
