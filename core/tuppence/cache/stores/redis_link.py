"""Commands to a Redis, bounded in time: one that does not answer is left alone for a while.

It must never cost a caller more than the client's own timeouts once in a while, never block an event loop, and never
name a password.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeAlias

from tuppence.addresses import without_password
from tuppence.errors import CacheError, ConfigError
from tuppence.forks import make_fork_safe

CONNECT_S = 0.5
ANSWER_S = 0.5
"""A Redis in reach answers within milliseconds; half a second outlasts a slow fork of its server or a lost packet."""
PAUSE_S = 5.0
"""How long a Redis that failed is not asked: then one call in five seconds pays for finding out, and none else."""
CONNECTIONS = 16
"""How many threads ask at the same time. More wait their turn: a thousand that connect at once would time out."""
THREADS = 8
"""What asks on behalf of event loops. More would not be faster: they share one interpreter."""
SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
_LOOP_WITHIN_S = CONNECT_S + ANSWER_S

Command: TypeAlias = tuple[str | bytes | int | float, ...]
Client: TypeAlias = Any
"""`redis.Redis`, `redis.RedisCluster`, or the asyncio form of either: the package is an extra, and has four classes."""


class RedisLink:
    """One Redis or Redis Cluster, as a URL or as a client of the user's own.

    Of a URL, the connections wait `CONNECT_S` and `ANSWER_S`; a client keeps its own timeouts. An asyncio client
    belongs to the event loop that it is first used on; other threads reach it through that loop. Raises `CacheError`
    for whatever Redis says or does not say.
    """

    def __init__(
        self, target: str | Client, *, pause_s: float = PAUSE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = _package()
        self._url = target if isinstance(target, str) else None
        if self._url is not None and self._url.partition("://")[0] not in SCHEMES:
            raise ConfigError(
                f"{without_password(self._url)} is no address of a Redis: begin it with one of {_listed()}"
            )
        self._client: Client = None if self._url is not None else target
        self._is_async = self._url is None and _is_async(target)
        self._pause_s = pause_s
        self._clock = clock
        self._resting_until = 0.0
        self._trouble: BaseException | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begin()
        make_fork_safe(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._pool: ThreadPoolExecutor | None = None
        self._turns = threading.BoundedSemaphore(CONNECTIONS)

    def run(self, *commands: Command) -> list[Any]:
        """Send commands in one go and return their answers."""
        # The turn first: who waited for it may learn that Redis is away without asking.
        with self._turns, self._guarded():
            if self._is_async:
                answers: list[Any] = self._on_its_loop(lambda: self._asend(commands))
                return answers
            return self._send(commands)

    async def arun(self, *commands: Command) -> list[Any]:
        """Do as `run` does without blocking the event loop."""
        if self._is_async and self._at_home():
            with self._guarded():
                return await self._asend(commands)
        return await asyncio.get_running_loop().run_in_executor(self._threads(), lambda: self.run(*commands))

    def keys(self, pattern: str) -> list[bytes]:
        """List the keys that match, of every node."""
        with self._guarded():
            if self._is_async:
                found: list[bytes] = self._on_its_loop(lambda: self._akeys(pattern))
                return found
            return list(self._opened().scan_iter(match=pattern, count=1000))

    def close(self) -> None:
        """Close what was opened here; a client that was given stays open."""
        with self._lock:
            self._closed = True
            if self._pool is not None:
                self._pool.shutdown(wait=False)
            if self._url is not None and self._client is not None:
                self._client.close()
                self._client = None

    # -- a pause after a failure

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        self._admit()
        try:
            yield
        except self._redis.ResponseError as error:
            # It answered, so that asking again costs no time.
            self._recovered()
            raise CacheError(f"Redis refused a command of the cache: {error}") from error
        except (self._redis.RedisError, OSError) as error:
            with self._lock:
                self._trouble, self._resting_until = error, self._clock() + self._pause_s
            raise CacheError(
                f"Redis did not answer ({type(error).__name__}: {error}); it is not asked again for {self._pause_s} s"
            ) from error
        else:
            self._recovered()

    def _admit(self) -> None:
        self._refuse_if_closed()
        if self._trouble is None:
            return
        with self._lock:
            now = self._clock()
            if now < self._resting_until:
                left = self._resting_until - now
                raise CacheError(f"Redis is not asked for another {left:.1f} s: it did not answer ({self._trouble})")
            # This one finds out, and the others go on without.
            self._resting_until = now + self._pause_s

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise CacheError("the cache's connection to Redis is closed: open another one")

    def _recovered(self) -> None:
        if self._trouble is not None:
            with self._lock:
                self._trouble = None

    # -- the four kinds of client

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        client = self._opened()
        if len(commands) == 1:
            return [client.execute_command(*commands[0])]
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute()
        return answers

    async def _asend(self, commands: Sequence[Command]) -> list[Any]:
        client = self._client
        if len(commands) == 1:
            return [await client.execute_command(*commands[0])]
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute()
        return answers

    async def _akeys(self, pattern: str) -> list[bytes]:
        return [key async for key in self._client.scan_iter(match=pattern, count=1000)]

    def _opened(self) -> Client:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._connected()
        return self._client

    def _connected(self) -> Client:
        assert self._url is not None
        scheme, _, rest = self._url.partition("://")
        options: dict[str, Any] = {"socket_connect_timeout": CONNECT_S, "socket_timeout": ANSWER_S}
        # The older protocol answers a search in half the parts; each is read in Python, 0.15 ms of a lookup's one.
        options["protocol"] = 2
        # A connection that the server closed while it was idle is opened again; a timeout is not waited for twice.
        options["retry"] = self._redis.retry.Retry(
            self._redis.backoff.NoBackoff(), 1, supported_errors=(self._redis.ConnectionError,)
        )
        if scheme.endswith("+cluster"):
            return self._redis.RedisCluster.from_url(f"{scheme.removesuffix('+cluster')}://{rest}", **options)
        return self._redis.Redis.from_url(self._url, **options)

    # -- event loops

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            self._refuse_if_closed()
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="tuppence-redis")
            return self._pool

    def _at_home(self) -> bool:
        """Say whether this is the event loop of an asyncio client; the first one becomes it."""
        loop = asyncio.get_running_loop()
        if self._loop is None or self._loop.is_closed():
            self._loop = loop
        return self._loop is loop

    def _on_its_loop(self, work: Callable[[], Any]) -> Any:
        loop = self._loop
        if loop is None or not loop.is_running() or loop is _running_loop():
            raise CacheError(
                "an asyncio client of Redis answers only while its event loop runs, and not to code that blocks it: "
                "give the cache a URL or a redis.Redis to use it from elsewhere"
            )
        future = asyncio.run_coroutine_threadsafe(work(), loop)
        try:
            return future.result(_LOOP_WITHIN_S)
        except TimeoutError:
            future.cancel()
            raise

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        # Connections are looked after by the client itself.
        self._begin()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_async(client: Client) -> bool:
    return inspect.iscoroutinefunction(getattr(client, "execute_command", None))


def _listed() -> str:
    return ", ".join(f"{scheme}://" for scheme in SCHEMES)


def _package() -> ModuleType:
    try:
        import redis
        import redis.backoff
        import redis.retry
    except ImportError as error:
        raise ConfigError("a cache in Redis needs the package `redis`: pip install 'tuppence[redis]'") from error
    return redis
