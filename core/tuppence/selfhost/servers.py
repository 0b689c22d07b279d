"""Several servers of one model, seen as one: how busy each of them is, and which are down.

How busy is looked up in the background, at their `/metrics`, while there are calls and not more often than asked for;
in between, and where a server has no metrics, the calls of this process are counted. No call ever waits for a look.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

import httpx

from tuppence.selfhost.endpoint import Endpoint
from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.metrics import parsed
from tuppence.tiers import Health

NOT_THERE = (httpx.ConnectError, httpx.ConnectTimeout)
"""What is raised before anything was sent."""
# A server that does not say how busy it is within this time is as good as one without metrics.
_LOOK_TIMEOUT_S = 2.0
# What was seen longer ago than this says nothing of now.
_STALE_S = 10.0


class Server:
    """One of the servers. Counts are of requests."""

    __slots__ = ("_failed_at", "_lock", "_next_look", "_seen", "_since_look", "_under_way", "health", "url")

    def __init__(self, url: str, rest_s: float) -> None:
        self.url = httpx.URL(Endpoint(url).url)
        self.health = Health(trip_after=1, rest_s=rest_s)
        self._under_way = 0
        self._since_look = 0
        self._seen: tuple[float, float, float] | None = None
        """When it was looked at (monotonic), how many waited, and how many ran or waited that were not ours."""
        self._next_look = 0.0
        self._failed_at = 0.0
        self._lock = threading.Lock()

    @property
    def load(self) -> float:
        """How many requests it has, of ours now and of others when last seen."""
        seen = self._fresh()
        return self._under_way if seen is None else seen[2] + self._under_way

    @property
    def waiting(self) -> float | None:
        """How many wait for it; None where that is not known.

        Where some do, whatever was sent since the last look waits behind them.
        """
        seen = self._fresh()
        if seen is None:
            return None
        return seen[1] + self._since_look if seen[1] else 0.0

    def begun(self) -> None:
        with self._lock:
            self._under_way += 1

    def ended(self) -> None:
        with self._lock:
            self._under_way -= 1

    def failed(self) -> None:
        """Leave it alone for a while: it is not there, or was gone before it had answered."""
        self._failed_at = time.monotonic()
        self.health.failed(time.time())

    def sent(self) -> None:
        """Count a request that will soon be among those waiting."""
        with self._lock:
            self._since_look += 1

    def look(self, every_s: float) -> None:
        """Have it looked at, in the background, unless that was done just now."""
        now = time.monotonic()
        if now < self._next_look:
            return
        # A look that never ends, or was lost in a fork, is not waited for longer than it may take.
        self._next_look = now + _LOOK_TIMEOUT_S + every_s
        threading.Thread(target=self._looked, args=(every_s,), name="tuppence-look", daemon=True).start()

    def _fresh(self) -> tuple[float, float, float] | None:
        seen = self._seen
        return seen if seen is not None and time.monotonic() - seen[0] < _STALE_S else None

    def _looked(self, every_s: float) -> None:
        began = time.monotonic()
        try:
            page = _client(self.url).get(f"{self.url}/metrics")
        except httpx.HTTPError as error:
            self._seen = None
            if isinstance(error, NOT_THERE):
                self.failed()
        else:
            # A page that was asked for before the failure does not say that it is over.
            if self._failed_at < began:
                self.health.succeeded()
            self._see(page)
        self._next_look = time.monotonic() + every_s

    def _see(self, page: httpx.Response) -> None:
        try:
            seen = parsed(page.text, server=str(self.url), at=time.time())
        except SelfHostError:
            self._seen = None
            return
        if seen.waiting is None or seen.running is None:
            return
        with self._lock:
            others = max(0.0, seen.waiting + seen.running - self._under_way)
            self._seen, self._since_look = (time.monotonic(), seen.waiting, others), 0


class Servers:
    """The servers of one tier. Make one, and give it to all that should know of the same load.

    `rest_s`: how long one that is down is left alone, unless it is seen to be up again before. Raises `SelfHostError`
    for an address that is none.
    """

    def __init__(self, urls: str | Sequence[str], *, look_every_ms: int = 250, rest_s: float = 10.0) -> None:
        self.urls = (urls,) if isinstance(urls, str) else tuple(urls)
        if not self.urls or look_every_ms < 1:
            raise SelfHostError(
                f"servers are {self.urls}, looked at every {look_every_ms} ms: give an address, and 1 ms or more"
            )
        self._look_every_ms = look_every_ms
        self._rest_s = rest_s
        self._servers = tuple(Server(url, rest_s) for url in self.urls)

    def __reduce__(self) -> tuple[Callable[..., Servers], tuple[tuple[str, ...], int, float]]:
        """Travel as settings: what was seen here is old in another process."""
        return _servers, (self.urls, self._look_every_ms, self._rest_s)

    @property
    def base_url(self) -> str:
        """The address to give to a client, with `/v1`: the first server's, and any of them will be asked."""
        return Endpoint(self.urls[0]).base_url

    def in_order(self) -> list[Server]:
        """List all servers, the least busy first and those that are down last; of equals the first: its prefix cache
        is the warmest.
        """
        up, down = self._up_and_down()
        return sorted(up, key=lambda server: server.load) + down

    def path_within(self, raw_path: bytes) -> bytes:
        """Take off a request's path what it has of a server's own address."""
        own = sorted((server.url.raw_path.rstrip(b"/") for server in self._servers), key=len, reverse=True)
        return next((raw_path[len(one) :] for one in own if raw_path.startswith(one + b"/")), raw_path)

    def waiting(self) -> tuple[float, int] | None:
        """Say how many requests wait for how many servers; None where no server that is up says it."""
        told = [waiting for server in self._up_and_down()[0] if (waiting := server.waiting) is not None]
        return (sum(told), len(told)) if told else None

    def sent(self) -> None:
        """Count a request that the least busy of them is about to get."""
        min(self._servers, key=lambda server: server.load).sent()

    def _up_and_down(self) -> tuple[list[Server], list[Server]]:
        up: list[Server] = []
        down: list[Server] = []
        now = time.time()
        for server in self._servers:
            server.look(self._look_every_ms / 1000)
            (up if server.health.allows(now) else down).append(server)
        return up, down


def _servers(urls: tuple[str, ...], look_every_ms: int, rest_s: float) -> Servers:
    return Servers(urls, look_every_ms=look_every_ms, rest_s=rest_s)


# A company's proxy does not know the way to this very machine.
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_clients: dict[tuple[int, bool], httpx.Client] = {}


def _client(url: httpx.URL) -> httpx.Client:
    """Return the client for looking: one for all, since making one reads the system's certificates each time.

    Not across a fork, where two processes would read from one connection.
    """
    key = (os.getpid(), url.host in _LOOPBACK)
    if key not in _clients:
        _clients[key] = httpx.Client(timeout=_LOOK_TIMEOUT_S, trust_env=not key[1])
    return _clients[key]
