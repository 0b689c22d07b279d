"""Cached answers in a Redis or Redis Cluster: shared by machines.

It must never make a call fail or wait long because Redis is away, never pickle, and never serve a value that was
written by half: a value is one string, written by one command.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from tuppence.cache.leases import Named
from tuppence.cache.stores.redis_link import PAUSE_S, Client, Command, RedisLink
from tuppence.cache.stores.tags import hashed_tag
from tuppence.cache.stores.write_behind import Batch, Change, WriteBehind
from tuppence.errors import CacheError, ConfigError

AT_ONCE = 200
"""Commands sent in one go: some megabytes of answers, which take well under `ANSWER_S`."""

# A value's first line says when it was put, when it ends (Unix seconds, or -) and its tags; the rest is the value.
# Machines' clocks differ: Redis's own time to live holds for one that is slow, the first line for one that is fast.
CLAIM = """
local value = redis.call('GET', KEYS[1])
if value then
    local ends = tonumber(string.match(value, '^%S+ (%S+)'))
    if not ends or ends > tonumber(ARGV[3]) then return value end
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
"""
EXTEND = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
# A tag's set is sorted by when its members end, so that those that have ended can be dropped from it.
TAG = """
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now_ms)
local ends = '+inf'
if ARGV[2] ~= '-' then ends = now_ms + ARGV[2] end
redis.call('ZADD', KEYS[1], ends, ARGV[1])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if last == 'inf' then
    redis.call('PERSIST', KEYS[1])
else
    redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
end
"""
DROP = """
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
local ends, tags = string.match(value, '^%S+ (%S+) ([^\\n]*)\\n')
if not tags or not string.find(tags, ARGV[1], 1, true) then return 0 end
redis.call('UNLINK', KEYS[1])
ends = tonumber(ends)
if ends and ends <= tonumber(ARGV[2]) then return 0 end
return 1
"""


class RedisStore:
    """A store in a Redis, for many machines; `target` is a URL or a client, of a cluster or not, asyncio or not.

    URLs begin with `redis://`, `rediss://` (TLS), `unix://` or, for a cluster, `redis+cluster://`. `put` returns at
    once, a thread writes within milliseconds; a process that is killed loses what it had not written, and `flush`
    returns when all is. What is kept is bounded by the server (`maxmemory` with an eviction policy). `prefix` begins
    every key. After a failure Redis is not asked for `pause_s`. `clock` gives Unix seconds.

    Raises `CacheError` where Redis does not answer: `get` for its own failure, `put` for that of an earlier write,
    which is tried again.
    """

    def __init__(
        self,
        target: str | Client,
        *,
        prefix: str = "tuppence",
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not prefix or set(prefix) & set("{}*?[]\\"):
            raise ConfigError(f"prefix is {prefix!r}: it begins every key, so give text without {{}}*?[]\\")
        self._prefix = prefix
        self._clock = clock
        self._link = RedisLink(target, pause_s=pause_s)
        writer = _Writer(self._link, prefix, clock)
        self._changes = WriteBehind(writer.commit, _nothing_to_release, broken=CacheError)
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, _close, self._changes, self._link)

    def get(self, key: str) -> tuple[bytes, float] | None:
        if change := self._changes.peek(key):
            return self._alive(change)
        return self._read(self._link.run(("GET", _entry(self._prefix, key)))[0])

    async def aget(self, key: str) -> tuple[bytes, float] | None:
        """Do as `get` does without blocking the event loop."""
        if change := self._changes.peek(key):
            return self._alive(change)
        return self._read((await self._link.arun(("GET", _entry(self._prefix, key))))[0])

    def put(self, key: str, value: bytes, ttl_s: float | None, tags: frozenset[str] = frozenset()) -> None:
        now = self._clock()
        self._change(key, Change(value, now, None if ttl_s is None else now + ttl_s, tags))

    def delete(self, key: str) -> None:
        self._change(key, Change(None, self._clock(), None))

    def invalidate(self, tag: str) -> int:
        """Delete every entry that was put with `tag`, on any machine; return how many could still have been served.

        Raises `CacheError` where Redis does not answer.
        """
        self.flush()
        index, name = _tagged(self._prefix, tag), hashed_tag(tag)
        dropped = 0
        for entries in _batches(self._link.run(("ZRANGE", index, 0, -1))[0]):
            drop = [("EVAL", DROP, 1, entry, name, self._clock()) for entry in entries]
            dropped += sum(self._link.run(*drop))
            self._link.run(("ZREM", index, *entries))
            # Who was put between the two lines above has lost its place in the index: it goes as well.
            dropped += sum(self._link.run(*drop))
        return dropped

    # -- turns

    def claim(self, key: str, token: str, for_s: float) -> tuple[bytes, float] | bool:
        """Return the value of `key`, or whether the lease to answer for it is now `token`'s."""
        return self._claimed(self._link.run(self._claim(key, token, for_s))[0])

    async def aclaim(self, key: str, token: str, for_s: float) -> tuple[bytes, float] | bool:
        """Do as `claim` does without blocking the event loop."""
        return self._claimed((await self._link.arun(self._claim(key, token, for_s)))[0])

    def extend(self, leases: Sequence[Named], for_s: float) -> None:
        """Have leases, by key and token, last for another `for_s` seconds; those lost meanwhile stay lost."""
        for batch in _batches(leases):
            self._link.run(*(("EVAL", EXTEND, 1, _lease(self._prefix, k), token, _ms(for_s)) for k, token in batch))

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
        entry, lease = _entry(self._prefix, key), _lease(self._prefix, key)
        return ("EVAL", CLAIM, 2, entry, lease, token, _ms(for_s), self._clock())

    def _claimed(self, answer: Any) -> tuple[bytes, float] | bool:
        if isinstance(answer, int):
            return answer == 1
        return self._read(answer) or False

    def _read(self, stored: bytes | str | None) -> tuple[bytes, float] | None:
        """Take a stored string apart; of one that is not ours all is the value, for the reader to refuse."""
        if stored is None:
            return None
        # A client may have been told to decode what it reads.
        stored = stored.encode() if isinstance(stored, str) else stored
        try:
            first, value = stored.split(b"\n", 1)
            stored_at, ends, _ = first.split(b" ", 2)
            return self._alive(Change(value, float(stored_at), None if ends == b"-" else float(ends)))
        except ValueError:
            return stored, 0.0

    def _alive(self, change: Change) -> tuple[bytes, float] | None:
        now = self._clock()
        if change.value is None or (change.expires_at is not None and now >= change.expires_at):
            return None
        return change.value, max(0.0, now - change.stored_at)

    def _erase(self) -> None:
        for keys in _batches(self._link.keys(f"{self._prefix}:*")):
            self._link.run(*(("UNLINK", key) for key in keys))


class _Writer:
    """Changes as commands; used by one thread at a time, and not holding the store that it writes for."""

    def __init__(self, link: RedisLink, prefix: str, clock: Callable[[], float]) -> None:
        self._link = link
        self._prefix = prefix
        self._clock = clock

    def commit(self, batch: Batch) -> None:
        """Write a batch; what was written before a failure is written again with the rest, to the same effect."""
        for changes in _batches(batch.changes.items()):
            tags = [command for key, change in changes for command in self._tags(key, change)]
            # Before the values, so that a kill in between leaves none without its tags; after them, because somebody
            # may have invalidated a tag meanwhile. Not with them: nodes of a cluster are asked in any order.
            for commands in (tags, [self._value(key, change) for key, change in changes], tags):
                if commands:
                    self._link.run(*commands)
        for leases in _batches(batch.freed):
            self._link.run(*(("EVAL", RELEASE, 1, _lease(self._prefix, key), token) for key, token in leases))

    def _value(self, key: str, change: Change) -> Command:
        entry = _entry(self._prefix, key)
        left = None if change.expires_at is None else change.expires_at - self._clock()
        if change.value is None or (left is not None and left <= 0):
            return ("DEL", entry)
        ends = "-" if change.expires_at is None else repr(change.expires_at)
        first = f"{change.stored_at!r} {ends} {','.join(sorted(map(hashed_tag, change.tags)))}\n"
        value = first.encode() + change.value
        return ("SET", entry, value) if left is None else ("SET", entry, value, "PX", _ms(left))

    def _tags(self, key: str, change: Change) -> Iterator[Command]:
        left = "-" if change.expires_at is None else _ms(change.expires_at - self._clock())
        for tag in change.tags:
            yield ("EVAL", TAG, 1, _tagged(self._prefix, tag), _entry(self._prefix, key), left)


def _nothing_to_release() -> None:
    """Do nothing: unlike a file's, a client's connections may stand open across a fork."""


def _close(changes: WriteBehind, link: RedisLink) -> None:
    changes.close()
    link.close()


# What belongs to one key shares its hash tag {..}, and so a cluster's node.
def _entry(prefix: str, key: str) -> str:
    return f"{prefix}:{{{key}}}:reply"


def _lease(prefix: str, key: str) -> str:
    return f"{prefix}:{{{key}}}:lease"


def _tagged(prefix: str, tag: str) -> str:
    return f"{prefix}:tag:{hashed_tag(tag)}"


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _batches(items: Any) -> Iterator[Sequence[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, AT_ONCE)):
        yield batch
