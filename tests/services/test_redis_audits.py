"""Audits that machines share, in a Redis or a cluster."""

import time
from collections.abc import Iterator

import pytest
import redis

from tuppence.cache import Audit, Calibration, RedisAudits, RedisStore
from tuppence.errors import CacheError, ConfigError
from tuppence.testing.redis_server import RedisServer

pytest.register_assert_rewrite(f"{(__package__ or '').rpartition('.')[0]}.core.audit_suite")

# After pytest knows that it holds assertions.
from ..core.audit_suite import FAQ, KeptLogSuite, OpenLog, audits, cli  # noqa: E402, TID252
from .conftest import StartRedis  # noqa: E402

pytestmark = pytest.mark.services


class InRedis(KeptLogSuite):
    @pytest.fixture
    def opening(self, where: str) -> str:
        return f"log = RedisAudits({where!r})"

    @pytest.fixture
    def open_log(self, where: str) -> Iterator[OpenLog]:
        opened: list[RedisAudits] = []

        def open_one(**options: bool) -> RedisAudits:
            opened.append(RedisAudits(where, **options))
            return opened[-1]

        yield open_one
        for log in opened:
            log.close()


class TestRedis(InRedis):
    @pytest.fixture
    def where(self, redis_url: str) -> str:
        return redis_url


class TestCluster(InRedis):
    @pytest.fixture
    def where(self, redis_cluster: RedisServer) -> str:
        with redis_cluster.client() as client:
            client.flushall()
        return redis_cluster.cluster_url


def test_a_redis_that_is_away_costs_no_program_its_start(start_redis: StartRedis) -> None:
    """Nothing is served meanwhile; once it is back, the next audit finds what was learned before."""
    server = start_redis()
    kept = RedisAudits(server.url, pause_s=0.001)
    for audit in audits(200):
        kept.add(audit)
    server.freeze()
    log = RedisAudits(server.url, pause_s=0.001)
    calibration = Calibration(max_wrong_share=0.05, log=log)
    assert calibration.finding(FAQ).audits == 0
    with pytest.raises(CacheError, match="did not answer"):
        calibration.add(audits(1)[0])
    assert calibration.finding(FAQ).audits == 1
    server.thaw()
    until = time.monotonic() + 300
    while not answers(log):
        assert time.monotonic() < until
    calibration.add(audits(1)[0])
    assert calibration.finding(FAQ).audits >= 202
    assert calibration.threshold(FAQ) == 0.95


def answers(log: RedisAudits) -> bool:
    try:
        log.read()
    except CacheError:
        return False
    return True


def test_the_command_line_tells_a_redis_that_is_away(start_redis: StartRedis) -> None:
    """In one line."""
    server = start_redis()
    server.kill()
    shown = cli("cache", "audit", server.url)
    assert shown.exit_code == 1
    assert "Redis did not answer" in shown.output


def test_a_cleared_cache_has_lost_no_evidence(redis_url: str) -> None:
    """Answers go; what is known about them is another thing."""
    log, store = RedisAudits(redis_url), RedisStore(redis_url)
    log.add(audits(1)[0])
    store.put("a1", b"1", None)
    store.flush()
    store.clear()
    assert len(log.read()) == 1
    store.close()
    log.close()


def test_prefixes_keep_logs_apart_and_may_not_be_empty(redis_url: str) -> None:
    """The command line takes one as well."""
    log = RedisAudits(redis_url, prefix="shop")
    log.add(audits(1)[0])
    assert cli("cache", "audit", redis_url).exit_code == 1
    assert cli("cache", "audit", redis_url, "--prefix", "shop").exit_code == 0
    log.close()
    with pytest.raises(ConfigError, match="prefix is empty"):
        RedisAudits(redis_url, prefix="")


@pytest.mark.parametrize("foreign", [b"x", b"[1, 2]", b'["d", "much", true, 1, "", ""]'])
def test_what_is_no_audit_is_told(redis_url: str, foreign: bytes) -> None:
    """With its place and what to do."""
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("tuppence-audits:1", foreign)
    log = RedisAudits(redis_url)
    with pytest.raises(CacheError, match=r"tuppence-audits:1 in Redis holds .* no audit: delete it or the key"):
        log.read()
    log.close()


def test_a_client_of_the_users_own_will_do(redis_server: RedisServer, redis_url: str) -> None:
    """One that decodes, too; it stays open."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        log = RedisAudits(client, examples=True)
        log.add(Audit(FAQ, 0.5, True, 1.5, "Größe?", "Maße?"))
        assert log.read() == [Audit(FAQ, 0.5, True, 1.5, "Größe?", "Maße?")]
        log.close()
        assert client.ping()
