"""Cached answers in a Redis or Redis Cluster: shared by machines.

It must never make a call fail or wait long because Redis is away, never pickle, and never serve a value that was
written by half: a value is one string, written by one command.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import suppress
from typing import Any

from tuppence.cache.leases import Named
from tuppence.cache.stored import Stored, most_hit_of
from tuppence.cache.stores import redis_commands as commands
from tuppence.cache.stores.eviction import Bounds
from tuppence.cache.stores.redis_books import Books, batches
from tuppence.cache.stores.redis_link import PAUSE_S, Client, Command, RedisLink
from tuppence.cache.stores.write_behind import Batch, Change, WriteBehind
from tuppence.errors import CacheError, ConfigError


class RedisStore:
    """A store in a Redis, for many machines; `target` is a URL or a client, of a cluster or not, asyncio or not.

    URLs begin with `redis://`, `rediss://` (TLS), `unix://` or, for a cluster, `redis+cluster://`. `put` returns at
    once, a thread writes within milliseconds; a process that is killed loses what it had not written, and `flush`
    returns when all is. `prefix` begins every key. After a failure Redis is not asked for `pause_s`. `clock` gives Unix
    seconds.

    What is kept is bounded by the server: `maxmemory` with an eviction policy. With `max_entries` or `max_bytes`, which
    counts values, the answers that are cheapest to buy again go first, as in the other stores; a value of more than a
    sixteenth of `max_bytes` is not kept at all, and `max_share_per_tenant`, such as 0.25, is the part of both bounds
    that one tenant's answers may take. All programs that share a prefix should give the same bounds.

    Raises `CacheError` where Redis does not answer: `get` for its own failure, `put` for that of an earlier write,
    which is tried again.
    """

    def __init__(
        self,
        target: str | Client,
        *,
        prefix: str = "tuppence",
        max_entries: int | None = None,
        max_bytes: int | None = None,
        max_share_per_tenant: float | None = None,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not prefix or set(prefix) & set("{}*?[]\\"):
            raise ConfigError(f"prefix is {prefix!r}: it begins every key, so give text without {{}}*?[]\\")
        self._bounds = Bounds(max_entries, max_bytes, max_share_per_tenant)
        self._names = commands.Names(prefix)
        self._clock = clock
        self._link = RedisLink(target, pause_s=pause_s)
        self._books = None if self._bounds.are_open else Books(self._link, self._names, self._bounds)
        writer = _Writer(self._link, self._names, self._books, clock)
        self._changes = WriteBehind(writer.commit, _nothing_to_release, broken=CacheError)
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, _close, self._changes, self._link)

    def get(self, key: str) -> tuple[bytes, float] | None:
        if change := self._changes.peek(key):
            return self._served(key, change)
        return self._read(key, self._link.run(("GET", self._names.entry(key)))[0])

    async def aget(self, key: str) -> tuple[bytes, float] | None:
        """Do as `get` does without blocking the event loop."""
        if change := self._changes.peek(key):
            return self._served(key, change)
        return self._read(key, (await self._link.arun(("GET", self._names.entry(key))))[0])

    def put(
        self,
        key: str,
        value: bytes,
        ttl_s: float | None,
        tags: frozenset[str] = frozenset(),
        *,
        pico_usd: int = 0,
        tenant: str | None = None,
    ) -> None:
        if not self._bounds.admit(len(value)):
            self.delete(key)
            return
        now = self._clock()
        expires_at = None if ttl_s is None else now + ttl_s
        self._change(key, Change(value, now, expires_at, tags, pico_usd, tenant or ""))

    def delete(self, key: str) -> None:
        self._change(key, Change(None, self._clock(), None))

    def used(self, key: str) -> None:
        """Count a hit that was served past `get`."""
        self._changes.touch(key)

    def most_hit(self, n: int) -> list[Stored]:
        """Return the `n` values with the most hits, most first; those without are left out.

        Hits of other processes are a minute late at most. It reads the counts of all entries, some ten thousand in a
        second. Raises `CacheError`.
        """
        self.flush()
        counts = [
            (int(times), commands.key_of(name))
            for names in batches(self._link.keys(self._names.uses("*")))
            for name, times in zip(names, self._link.run(*(("GET", one) for one in names)), strict=True)
            if times is not None
        ]
        counts.sort(reverse=True)
        # Of equal counts the price decides, which stands with the values.
        least = counts[n - 1][0] if 0 < n <= len(counts) else 0
        return most_hit_of(self._stored([(key, times) for times, key in counts if times >= least]), n)

    def invalidate(self, tag: str) -> int:
        """Delete every entry that was put with `tag`, on any machine; return how many could still have been served.

        Raises `CacheError` where Redis does not answer.
        """
        self.flush()
        index = self._names.tagged(tag)
        dropped = 0
        for entries in batches(self._link.run(("ZRANGE", index, 0, -1))[0]):
            keys = [commands.key_of(entry) for entry in entries]
            drop = [commands.drop(self._names, key, tag, self._clock()) for key in keys]
            dropped += sum(self._link.run(*drop))
            self._link.run(("ZREM", index, *entries))
            # Who was put between the two lines above has lost its place in the index: it goes as well.
            dropped += sum(self._link.run(*drop))
            if self._books is not None:
                self._books.forget(keys, self._clock())
        return dropped

    # -- turns

    def claim(self, key: str, token: str, for_s: float) -> tuple[bytes, float] | bool:
        """Return the value of `key`, or whether the lease to answer for it is now `token`'s."""
        return self._claimed(key, self._link.run(self._claim(key, token, for_s))[0])

    async def aclaim(self, key: str, token: str, for_s: float) -> tuple[bytes, float] | bool:
        """Do as `claim` does without blocking the event loop."""
        return self._claimed(key, (await self._link.arun(self._claim(key, token, for_s)))[0])

    def extend(self, leases: Sequence[Named], for_s: float) -> None:
        """Have leases, by key and token, last for another `for_s` seconds; those lost meanwhile stay lost."""
        for some in batches(leases):
            self._link.run(*(commands.extend(self._names, key, token, for_s) for key, token in some))

    def release(self, lease: Named) -> None:
        """Give a lease up, by key and token, once what was put before is in Redis."""
        self._changes.free(lease)

    # -- life

    def clear(self) -> None:
        """Delete every entry with this prefix, those of other machines too; raises `CacheError` where that fails."""
        self._changes.clear(self._erase)

    def flush(self) -> None:
        """Return once all that was put is in Redis, or raise `CacheError`."""
        self._changes.flush()

    def close(self) -> None:
        """Write what can be written and close; never raises, so `flush` first to know."""
        self._close()

    def _change(self, key: str, change: Change) -> None:
        if not self._close.alive:
            raise CacheError("the store is closed: make another RedisStore")
        self._changes.add(key, change)

    def _claim(self, key: str, token: str, for_s: float) -> Command:
        return commands.claim(self._names, key, token, for_s, self._clock())

    def _claimed(self, key: str, answer: Any) -> tuple[bytes, float] | bool:
        if isinstance(answer, int):
            return answer == 1
        return self._read(key, answer) or False

    def _read(self, key: str, stored: bytes | str | None) -> tuple[bytes, float] | None:
        """Read a stored string; of one that is not ours all is the value, for the reader to refuse."""
        try:
            change = commands.read(stored)
        except ValueError:
            assert stored is not None
            return (stored.encode() if isinstance(stored, str) else stored), 0.0
        return None if change is None else self._served(key, change)

    def _served(self, key: str, change: Change) -> tuple[bytes, float] | None:
        now = self._clock()
        if change.value is None or (change.expires_at is not None and now >= change.expires_at):
            return None
        self._changes.touch(key)
        return change.value, max(0.0, now - change.stored_at)

    def _stored(self, counts: Sequence[tuple[str, int]]) -> Iterator[Stored]:
        """Read the entries of these keys that are there and alive; the numbers are their uses."""
        for some in batches(counts):
            answers = self._link.run(*(("GET", self._names.entry(key)) for key, _ in some))
            now = self._clock()
            for (key, times), answer in zip(some, answers, strict=True):
                with suppress(ValueError):
                    one = commands.read(answer)
                    if one and one.value is not None and (one.expires_at is None or now < one.expires_at):
                        yield Stored(key, one.value, times, one.pico_usd, max(0.0, now - one.stored_at))

    def _erase(self) -> None:
        for keys in batches(self._link.keys(f"{self._names.prefix}:*")):
            self._link.run(*(("UNLINK", key) for key in keys))


class _Writer:
    """Changes as commands; used by one thread at a time, and not holding the store that it writes for."""

    def __init__(self, link: RedisLink, names: commands.Names, books: Books | None, clock: Callable[[], float]) -> None:
        self._link = link
        self._names = names
        self._books = books
        self._clock = clock

    def commit(self, batch: Batch) -> None:
        """Write a batch; what was written before a failure is written again with the rest, to the same effect.

        But uses would be counted twice: they come last.
        """
        if self._books is not None and (unchanged := {k: n for k, n in batch.times.items() if k not in batch.changes}):
            for uses in batches(unchanged.items()):
                going = self._books.write((), dict(uses), self._clock())
                self._let_go(going)
                self._books.settle((), going)
        for changes in batches(batch.changes.items()):
            self._write(changes, {key: batch.times[key] for key, _ in changes if key in batch.times})
        for leases in batches(batch.freed):
            self._link.run(*(commands.release(self._names, key, token) for key, token in leases))
        for uses in batches(batch.times.items()):
            self._link.run(*(commands.use(self._names, key, times) for key, times in uses))

    def _write(self, changes: Sequence[tuple[str, Change]], times: dict[str, int]) -> None:
        now = self._clock()
        tags = [command for key, change in changes for command in commands.tag(self._names, key, change, now)]
        # First, so that what is written is always known of; there is room for it once these have gone.
        going = set() if self._books is None else self._books.write(changes, times, now)
        self._let_go(going)
        values = [c for key, one in changes if key not in going for c in commands.put(self._names, key, one, now)]
        # Before the values, so that a kill in between leaves none without its tags; after them, because somebody may
        # have invalidated a tag meanwhile. Not with them: nodes of a cluster are asked in any order.
        for some in (tags, values, tags):
            if some:
                self._link.run(*some)
        if self._books is not None:
            written = {key for key, _ in changes}
            self._let_go(self._books.lost(written - going))
            self._books.settle(written, going)

    def _let_go(self, going: Set[str]) -> None:
        for keys in batches(going):
            self._link.run(*(("UNLINK", self._names.entry(key), self._names.uses(key)) for key in keys))


def _nothing_to_release() -> None:
    """Do nothing: unlike a file's, a client's connections may stand open across a fork."""


def _close(changes: WriteBehind, link: RedisLink) -> None:
    changes.close()
    link.close()
