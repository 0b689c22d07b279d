"""The counters of budgets in a real Redis: alone, as a cluster, away and back."""

import asyncio
import pickle
import time
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio

from tuppence.attempts import Attempt, Decision, Result
from tuppence.effects import Granted
from tuppence.errors import BudgetError, ConfigError
from tuppence.spend.budgets import Budget, Budgets
from tuppence.spend.budgets.counters import Counters
from tuppence.spend.budgets.redis import RedisCounters
from tuppence.spend.ledger import PostgresLedger
from tuppence.testing.redis_server import RedisServer
from tuppence.usage import Usage

pytest.register_assert_rewrite(
    *(f"{(__package__ or '').rpartition('.')[0]}.core.{suite}" for suite in ("budget_suite", "budget_process_suite"))
)

from ..core.budget_process_suite import SharedBudgetSuite  # noqa: E402, TID252
from ..core.budget_suite import (  # noqa: E402, TID252
    Ask,
    BudgetSuite,
    OpenCounters,
    is_away,
    release,
    reserve,
    standing,
)
from .conftest import StartRedis  # noqa: E402

pytestmark = pytest.mark.services


@pytest.fixture
def opened() -> Iterator[list[RedisCounters]]:
    stores: list[RedisCounters] = []
    yield stores
    for one in stores:
        one.close()


def _opener(opened: list[RedisCounters], place: str) -> OpenCounters:
    def another() -> Counters:
        opened.append(RedisCounters(place))
        return opened[-1]

    return another


class TestRedis(SharedBudgetSuite):
    @pytest.fixture
    def place(self, redis_url: str) -> str:
        return redis_url

    @pytest.fixture
    def open_counters(self, place: str, opened: list[RedisCounters]) -> OpenCounters:
        return _opener(opened, place)

    def test_scripts_that_redis_forgot_are_sent_again(self, store: Counters, ask: Ask, redis_url: str) -> None:
        """A restart or SCRIPT FLUSH forgets them; calls and releases go on."""
        with redis.Redis.from_url(redis_url) as client:
            client.script_flush()
            assert ask(store, reserve(store, "h1", 10)) == Granted()
            client.script_flush()
            store.release(release(store, "h1", 4))
            assert standing(store) == (4, 0)
            client.script_flush()
            assert ask(store, reserve(store, "h2", 10)) == Granted()
            client.script_flush()
            assert store.sweep(time.time() + 1, time.time()).holds == 1

    def test_a_person_can_read_the_counters(self, store: Counters, redis_url: str) -> None:
        """Exact dollars, under the name of the budget, and gone by themselves a day after the period."""
        store.reserve(reserve(store, "h1", 10))
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            key = "{tuppence-budgets}:counter:month/2026-11"
            fields = client.hgetall(key)
            assert {name: fields[name] for name in ("budget", "spent", "held", "limit")} == {
                "budget": "month", "spent": "0.000000000000", "held": "0.000000000010", "limit": "0.000000000100",
            }  # fmt: skip
            assert 86_400 < client.ttl(key) < 90_100

    def test_a_client_of_your_own_serves_threads_and_loops(self, redis_url: str) -> None:
        """As it is configured, also one that decodes; it stays open, and cannot travel."""
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            store = RedisCounters(client)
            assert store.reserve(reserve(store, "h1", 10)) == Granted()
            assert asyncio.run(_reserve(store, "h2")) == Granted()
            store.release(release(store, "h1", 4))
            assert standing(store) == (4, 1)
            store.sweep(time.time() + 1, time.time())
            assert standing(store) == (4, 0)
            with pytest.raises(ConfigError, match="give a URL"):
                pickle.dumps(store)
            store.close()
            assert client.ping()

    def test_each_event_loop_has_connections_that_end_with_it(self, store: Counters, redis_url: str) -> None:
        """Loop after loop, none is left open."""
        with redis.Redis.from_url(redis_url) as client:
            before = client.info("clients")["connected_clients"]
            for turn in range(5):
                assert asyncio.run(_reserve(store, f"h{turn}")) == Granted()
            assert client.info("clients")["connected_clients"] <= before + 1

    def test_a_redis_that_may_throw_counters_away_is_named(
        self, store: Counters, redis_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Once, by the first look for old reservations; one without a bound, or that refuses to, is not."""
        with redis.Redis.from_url(redis_url) as client:
            store.sweep(0, 0)
            store = RedisCounters(redis_url)
            before = client.config_get("maxmemory*")
            client.config_set("maxmemory", "1gb")
            client.config_set("maxmemory-policy", "volatile-lru")
            for _ in range(2):
                store.sweep(0, 0)
            for name in ("maxmemory", "maxmemory-policy"):
                client.config_set(name, before[name])
        store.close()
        (record,) = caplog.records
        assert "set its maxmemory-policy to noeviction" in record.getMessage()

    def test_two_prefixes_count_apart(self, redis_url: str, opened: list[RedisCounters]) -> None:
        """Staging and production may share a Redis."""
        opened += [RedisCounters(redis_url, prefix=name) for name in ("staging", "production")]
        opened[0].reserve(reserve(opened[0], "h1", 10))
        assert [standing(one) for one in opened] == [(0, 10), (0, 0)]

    def test_a_redis_that_may_not_be_written_stops_calls(self, store: Counters, ask: Ask, redis_url: str) -> None:
        """Its own words are in the message."""
        with redis.Redis.from_url(redis_url) as client:
            client.set("{tuppence-budgets}:counter:month/2026-11", "not ours")
            with pytest.raises(BudgetError, match=r"refused .*WRONGTYPE.*no call is made that it cannot check"):
                ask(store, reserve(store, "h1", 10))
            client.flushall()


class TestCluster(BudgetSuite):
    @pytest.fixture
    def open_counters(self, redis_cluster: RedisServer, opened: list[RedisCounters]) -> OpenCounters:
        with redis_cluster.client() as client:
            client.flushall()
        return _opener(opened, redis_cluster.cluster_url)


def test_a_redis_that_is_away_stops_calls_and_loses_nothing(
    start_redis: StartRedis, opened: list[RedisCounters], ask: Ask
) -> None:
    """What calls have spent is kept, tried again, and counted when it is back, as a server that keeps its file is."""
    server = start_redis(options=("--appendonly", "yes", "--appendfsync", "always"))
    opened.append(store := RedisCounters(server.url))
    assert ask(store, reserve(store, "h1", 10)) == Granted()
    server.kill()
    is_away(store, ask)
    start_redis(port=server.port, options=("--appendonly", "yes", "--appendfsync", "always"))
    assert standing(store) == (5, 0)
    assert ask(store, reserve(store, "h2", 1)) == Granted()


def test_a_redis_that_hangs_stops_calls_soon_and_holds_nothing_for_them(
    start_redis: StartRedis, opened: list[RedisCounters], ask: Ask
) -> None:
    """The reservation may have reached it, only the answer did not come: it is taken back. What a call had spent
    before still counts.
    """
    server = start_redis()
    opened.append(store := RedisCounters(server.url))
    assert ask(store, reserve(store, "topped up", 10)) == Granted()
    server.freeze()
    try:
        for hold, pico in (("first", 30), ("topped up", 20)):
            with pytest.raises(BudgetError, match="did not answer"):
                ask(store, reserve(store, hold, pico))
    finally:
        server.thaw()
    store.release(release(store, "topped up", 7))
    store.flush()
    # Redis gets to what was sent before it hung.
    while [one.held for one in store.counts()] != [0]:
        store.sweep(time.time() + 1, time.time())
    assert standing(store) == (7, 0)


def test_counters_that_redis_lost_are_read_from_the_ledger_of_many_machines(
    redis_url: str, postgres_address: str
) -> None:
    """Of PostgreSQL, by tags with columns and without, exactly."""
    now = time.time()
    ledger = PostgresLedger(postgres_address)
    budgets = Budgets(Budget(usd=9, per="month", each="user"), Budget(usd=9, per="day", each="team"), store=redis_url)
    usage = Usage(input=1)
    for n, (user, cost) in enumerate([("ann", 3), ("ann", 2**40 + 1), ("bob", 5)]):
        attempts = [Attempt("small", "s", "draft", "accepted", usage, cost, "exact", "v", now - 1, 5.0)]
        ledger.write(Result(f"call-{n}", None, attempts, Decision("optimise"), {"user": user, "team": "x"}))
    ledger.flush()
    found = {one.counter.rpartition("/")[0]: one.spent_usd * 10**12 for one in budgets.rebuild(postgres_address)}
    assert found == {
        "month for each user/ann": 2**40 + 4, "month for each user/bob": 5, "day for each team/x": 2**40 + 9,
    }  # fmt: skip
    ledger.close()
    budgets.close()


def test_what_is_no_redis_is_said_at_once() -> None:
    """With what would be one; a password is never shown."""
    with pytest.raises(ConfigError, match=r"http://\.\.\.@host/0 is no place for budgets.*redis://"):
        RedisCounters("http://me:secret@host/0")
    with pytest.raises(ConfigError, match="not asyncio's"):
        RedisCounters(redis.asyncio.Redis())
    with pytest.raises(ConfigError, match="prefix is"):
        RedisCounters("redis://host", prefix="a{b}")
    unknown = RedisCounters("redis://me:secret@127.0.0.1:1/0")
    with pytest.raises(BudgetError, match=r"redis://\.\.\.@127\.0\.0\.1:1/0 did not answer") as caught:
        unknown.reserve(reserve(unknown, "h1", 1))
    assert "secret" not in str(caught.value)
    unknown.close()


@pytest.fixture(params=["thread", "loop"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    yield from BudgetSuite.ask.__wrapped__(BudgetSuite(), request)  # type: ignore[attr-defined]


async def _reserve(store: RedisCounters, hold: str) -> object:
    return await store.areserve(reserve(store, hold, 1))
