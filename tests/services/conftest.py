"""Services as the tests in this folder find them: a Redis with search, started once and emptied for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tuppence.testing import ProviderServer
from tuppence.testing.redis_server import MISSING, RedisServer, running, running_cluster

StartRedis = Callable[..., RedisServer]


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
