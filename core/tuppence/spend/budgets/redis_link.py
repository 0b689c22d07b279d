"""Scripts and commands to a Redis or a Redis Cluster, bounded in time, from threads and from event loops.

It must never block an event loop, and never name a password.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from tuppence.addresses import without_password
from tuppence.errors import BudgetError, ConfigError
from tuppence.forks import make_fork_safe
from tuppence.spend.budgets.redis_scripts import Script

ANSWER_S = 1.0
"""A Redis in reach answers within milliseconds; a second outlasts a slow fork of its server or a lost packet."""
CONNECT_S = 2.0
"""A busy event loop may come back late to the many connections that it opens at once."""
CONNECTIONS = 64
"""How many threads ask at the same time. More wait their turn: a thousand that connect at once would time out."""
SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")

Client: TypeAlias = Any
"""`redis.Redis`, `redis.RedisCluster`, or the asyncio form of either: the package is an extra, and has four classes."""
Call: TypeAlias = tuple[Script, Sequence[str], Sequence[str]]
"""A script, its keys and its arguments."""


class RedisLink:
    """One Redis or Redis Cluster, as a URL or as a client of the user's own, which keeps its timeouts.

    Of a URL, each event loop gets connections of its own; with a client, loops ask through a thread. Raises
    `BudgetError` for whatever Redis says or does not say.
    """

    def __init__(self, target: str | Client) -> None:
        self._redis = _package()
        self.url = target if isinstance(target, str) else None
        if self.url is not None and self.url.partition("://")[0] not in SCHEMES:
            listed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise ConfigError(
                f"{without_password(self.url)} is no place for budgets: give a file, or an address with {listed}"
            )
        if asyncio.iscoroutinefunction(getattr(target, "execute_command", None)):
            raise ConfigError("budgets ask a Redis from threads too: give them its URL or a redis.Redis, not asyncio's")
        self.name = f"the budgets' Redis {repr(target) if self.url is None else without_password(self.url)}"
        self._client: Client = None if self.url is not None else target
        self._left_behind: list[Client] = []
        self._begin()
        make_fork_safe(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(CONNECTIONS)
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Client, asyncio.Semaphore]] = (
            WeakKeyDictionary()
        )
        self._living: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[Client]] = WeakKeyDictionary()

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """Run one script."""
        with self._turn(), self._guarded():
            client = self._opened()
            try:
                return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except self._redis.exceptions.NoScriptError:
                return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    async def acall(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """Do as `call` does without blocking the event loop."""
        if self.url is None:
            return await asyncio.to_thread(self.call, script, keys, arguments)
        client, turns = await self._of_this_loop()
        async with turns:
            with self._guarded():
                try:
                    return await client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
                except self._redis.exceptions.NoScriptError:
                    return await client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        """Run scripts in one go, and those that Redis had forgotten once more; who fails may have run all the same."""
        answers = self.send([("EVALSHA", script.sha, len(keys), *keys, *args) for script, keys, args in calls])
        for i, (script, keys, arguments) in enumerate(calls):
            if isinstance(answers[i], self._redis.exceptions.NoScriptError):
                answers[i] = self.call(script, keys, arguments)
        with self._guarded():
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    def send(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one go; an answer may be the exception that Redis meant."""
        if not commands:
            return []
        with self._turn(), self._guarded():
            pipeline = self._opened().pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            return answers

    def evicts(self) -> bool:
        """Say whether Redis, once its memory is full, may throw keys away."""
        with self._turn(), self._guarded():
            found = self._opened().info("memory")
        nodes = [found] if "maxmemory" in found else found.values()
        return any(one["maxmemory"] and one["maxmemory_policy"] != "noeviction" for one in nodes)

    def close(self) -> None:
        """Close what was opened here for threads; loops' connections end with their loops, a client given stays."""
        with self._lock:
            client, self._client = self._client, self._client if self.url is None else None
        if self.url is not None and client is not None:
            client.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=CONNECT_S + ANSWER_S):
            raise BudgetError(f"{self.name} is slow, {CONNECTIONS} threads wait for it: no call is made unchecked")
        try:
            yield
        finally:
            self._turns.release()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except self._redis.ResponseError as error:
            raise BudgetError(
                f"{self.name} refused ({error}): no call is made that it cannot check; it must be writable, and this "
                "user allowed to run scripts"
            ) from error
        except (self._redis.RedisError, OSError) as error:
            raise BudgetError(
                f"{self.name} did not answer ({type(error).__name__}: {error}): no call is made that it cannot check; "
                "start it, or correct its address"
            ) from error

    def _opened(self) -> Client:
        client = self._client
        if client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._connected(self._redis, self._redis.retry.Retry)
                client = self._client
        return client

    async def _of_this_loop(self) -> tuple[Client, asyncio.Semaphore]:
        loop = asyncio.get_running_loop()
        known = self._of_loops.get(loop)
        if known is None:
            client = self._connected(self._redis.asyncio, self._redis.asyncio.retry.Retry)
            known = self._of_loops[loop] = (client, asyncio.Semaphore(CONNECTIONS))
            # A loop that ends closes its async generators: it then closes the connections too.
            self._living[loop] = _living(client)
            await anext(self._living[loop])
        return known

    def _connected(self, package: Any, retry: Callable[..., Any]) -> Client:
        assert self.url is not None
        scheme, _, rest = self.url.partition("://")
        options: dict[str, Any] = {"socket_connect_timeout": CONNECT_S, "socket_timeout": ANSWER_S, "protocol": 2}
        # A connection that the server closed while it was idle is opened again; a timeout is not waited for twice.
        backoff = self._redis.backoff.NoBackoff()
        options["retry"] = retry(backoff, 1, supported_errors=(self._redis.ConnectionError,))
        if scheme.endswith("+cluster"):
            return package.RedisCluster.from_url(f"{scheme.removesuffix('+cluster')}://{rest}", **options)
        return package.Redis.from_url(self.url, **options)

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        if self.url is not None:
            # Its pool's lock may have been taken when the process forked, and nobody here would ever give it back: so
            # it is neither used nor, which asks for the lock too, collected.
            self._left_behind.append(self._client)
            self._client = None
        self._begin()


async def _living(client: Client) -> AsyncGenerator[Client]:
    try:
        yield client
    finally:
        await client.aclose()


def _package() -> ModuleType:
    try:
        import redis
        import redis.asyncio
        import redis.asyncio.retry
        import redis.backoff
        import redis.retry
    except ImportError as error:
        raise ConfigError("budgets in a Redis need the package `redis`: pip install 'tuppence[redis]'") from error
    return redis
