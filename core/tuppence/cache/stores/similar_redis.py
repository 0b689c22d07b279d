"""The semantic cache's entries in a Redis or Redis Cluster with search: shared by machines.

It must never make a call fail or wait long because Redis is away, and never load what it needs for that before
somebody opens a store.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tuppence.cache.flights import runs_event_loop
from tuppence.cache.stores.eviction import Bounds, size_of
from tuppence.cache.stores.redis_link import PAUSE_S, Client, RedisLink
from tuppence.cache.stores.write_behind import MAX_PENDING, Change, WriteBehind
from tuppence.effects import Entry, Neighbour
from tuppence.errors import CacheError, ConfigError

if TYPE_CHECKING:
    from tuppence.embed import Vector

WAITING = MAX_PENDING // 2
"""Entries that may wait before a thread that adds more waits for them to be written."""


class RedisSimilarStore:
    """Entries in a Redis, for many machines; `target` is a URL or a client, of a cluster or not, asyncio or not.

    URLs begin with `redis://`, `rediss://` (TLS), `unix://` or, for a cluster, `redis+cluster://`; a client must not
    decode what it reads. `prefix` begins every key and every index's name; each vector length has an index of its own.
    In a cluster all that has one prefix lies on one node, which is the room there is.
    `add` returns at once, a thread writes within milliseconds, and a lookup finds an entry once it is written; who adds
    faster than Redis takes it in waits, but not in an event loop, where what waits is held in memory. After a failure
    Redis is not asked for `pause_s`; while writes fail, the oldest of more than 1,000 that wait are given up. `clock`
    gives Unix seconds.

    What is kept is bounded by the server: `maxmemory` with an eviction policy, of which `volatile-lfu` and
    `allkeys-lfu` see what was served. With `max_entries` or `max_bytes` the store makes room itself, to within some
    percent and for each vector length: of a random sample it lets go what has saved least for its size and age, price x
    (1 + uses) / (size x age), after Blankstein, Sen and Freedman, "Hyperbolic Caching" (USENIX ATC 2017). That is not
    the Greedy-Dual-Size-Frequency of the stores in this process, which needs all entries in one order. `max_bytes`
    counts vectors, values, questions and what names them, not Redis's own overhead; an entry of more than a sixteenth
    of it is not kept at all.

    Raises `ConfigError` where packages are missing, and `CacheError` where Redis does not answer: `nearest` for its own
    failure, `add` for that of an earlier write, which is tried again.
    """

    def __init__(
        self,
        target: str | Client,
        *,
        prefix: str = "tuppence",
        max_entries: int | None = None,
        max_bytes: int | None = None,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not prefix or set(prefix) & set("{}*?[]\\"):
            raise ConfigError(f"prefix is {prefix!r}: it begins every key, so give text without {{}}*?[]\\")
        self._bounds = Bounds(max_entries, max_bytes)
        if _decodes(target):
            raise ConfigError("with decode_responses Redis is read as text, and vectors are none: leave it out")
        try:
            from tuppence.cache.stores import redis_documents, redis_shelf
        except ImportError as error:
            raise ConfigError(f"{error}: a semantic cache in Redis needs pip install 'tuppence[redis]'") from error
        self._pack = redis_documents.pack
        self._shelf = redis_shelf.Shelf(RedisLink(target, pause_s=pause_s), prefix, self._bounds, clock)
        self._changes = WriteBehind(self._shelf.commit, _nothing_to_release, broken=CacheError)
        self._clock = clock
        self._waiting = 0
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, _close, self._changes, self._shelf.link)

    def nearest(self, scope: str, vector: Vector, k: int) -> list[Neighbour]:
        """Return up to `k` entries of `scope`, nearest first; raises `CacheError`."""
        self._require_open()
        return self._shelf.run(self._shelf.lookup(scope, vector, k))

    async def anearest(self, scope: str, vector: Vector, k: int) -> list[Neighbour]:
        """Do as `nearest` does without blocking the event loop."""
        self._require_open()
        return await self._shelf.arun(self._shelf.lookup(scope, vector, k))

    def add(self, entry: Entry) -> None:
        """Keep `entry` and forget how often its predecessor was served; raises `ConfigError` for a bad vector."""
        self._require_open()
        packed: bytes | None = self._pack(entry)
        if not self._bounds.admit(size_of(entry)):
            packed = None
        self._changes.add(entry.id, Change(packed, self._clock(), entry.expires_at))
        self._waiting += 1
        if self._waiting >= WAITING and not runs_event_loop():
            self.flush()

    def used(self, id: str) -> None:  # noqa: A002 (the entry's own word)
        self._changes.touch(id)

    def remove(self, ids: Iterable[str]) -> int:
        """Delete entries; return how many could still have been served. Raises `CacheError`."""
        self.flush()
        return self._shelf.drop(ids)

    def invalidate(self, tag: str) -> int:
        """Delete every entry that has `tag`, of every machine; return how many could still have been served.

        Takes some thirty round trips for a thousand entries. Raises `CacheError`.
        """
        self.flush()
        return self._shelf.drop_tagged(tag)

    def entries(self, scope: str | None = None) -> Sequence[tuple[Entry, int]]:
        """Return the entries, those first that were stored first, with how often each was served; raises `CacheError`.

        Redis lists a million of them at most.
        """
        self._require_open()
        return self._shelf.entries(scope)

    def flush(self) -> None:
        """Return once all that was added and noted is in Redis, or raise `CacheError`."""
        self._require_open()
        self._waiting = 0
        self._changes.flush()

    def clear(self) -> None:
        """Delete every entry with this prefix, those of other machines too; raises `CacheError` where that fails."""
        self._require_open()
        self._changes.clear(self._shelf.erase)

    def close(self) -> None:
        """Write what can be written and close; never raises, so `flush` first to know."""
        self._close()

    def _require_open(self) -> None:
        if not self._close.alive:
            raise CacheError("the store is closed: make another RedisSimilarStore")


def _decodes(target: str | Client) -> bool:
    if isinstance(target, str):
        return "decode_responses" in target.partition("?")[2]
    encoder = getattr(target, "get_encoder", None)
    return encoder is not None and bool(encoder().decode_responses)


def _nothing_to_release() -> None:
    """Do nothing: a client's connections look after forks themselves."""


def _close(changes: WriteBehind, link: RedisLink) -> None:
    changes.close()
    link.close()
