"""Services as the tests in this folder find them: a Redis with search, started once and emptied for each test."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tuppence.testing import ProviderServer
from tuppence.testing.redis_server import MISSING, RedisServer, running, running_cluster

StartRedis = Callable[..., RedisServer]

POSTGRES = os.environ.get("TUPPENCE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
"""Address of a database in which tests may make schemas."""


def _needs_wheels() -> None:
    if MISSING:
        pytest.skip(f"not installed: {MISSING}; make test-services installs them")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server that all tests share; who wants to kill or freeze one starts one by `start_redis`."""
    _needs_wheels()
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of the shared server, nothing in it: neither keys nor indexes."""
    client = redis_server.client()
    client.flushall()
    client.close()
    return redis_server.url


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    """Start a server of this test's own, on a free port or a given one."""
    _needs_wheels()
    with ExitStack() as stack:

        def start(*, port: int | None = None, options: tuple[str, ...] = ()) -> RedisServer:
            return stack.enter_context(running(tmp_path / "redis", port=port, options=options))

        yield start


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis Cluster of one node."""
    _needs_wheels()
    with running_cluster(tmp_path_factory.mktemp("cluster")) as server:
        yield server


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def postgres_address() -> Iterator[str]:
    """The address of an empty schema of PostgreSQL, gone after the test."""
    try:
        owner = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL at {POSTGRES} (TUPPENCE_TEST_POSTGRES names another): {error}")
    schema = f"tuppence_test_{os.urandom(6).hex()}"
    with owner:
        owner.execute(f"CREATE SCHEMA {schema}")
        within = make_url(POSTGRES).update_query_dict({"options": f"-csearch_path={schema}"})
        yield within.render_as_string(hide_password=False)
        owner.execute(f"DROP SCHEMA {schema} CASCADE")
