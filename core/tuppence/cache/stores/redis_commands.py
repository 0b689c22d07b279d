"""What is said to Redis about the exact cache's entries, and what its answers mean.

It must never send anything itself. What belongs to one key shares its hash tag {..}, and so a cluster's node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuppence.cache.stores.redis_link import Command
from tuppence.cache.stores.tags import hashed_tag
from tuppence.cache.stores.write_behind import Change

# A value's first line says when it was put, when it ends (Unix seconds, or -), what it cost and its tags; the rest is
# the value. Machines' clocks differ: Redis's own time to live holds for one that is slow, the first line for one that
# is fast.
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
redis.call('UNLINK', KEYS[1], KEYS[2])
ends = tonumber(ends)
if ends and ends <= tonumber(ARGV[2]) then return 0 end
return 1
"""
# Beside the value and not in it: a count that is raised leaves kilobytes as they are.
USE = """
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return 0 end
redis.call('INCRBY', KEYS[2], ARGV[1])
if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
return 1
"""


@dataclass(frozen=True, slots=True)
class Names:
    """What keys are called under one prefix."""

    prefix: str

    def entry(self, key: str) -> str:
        return f"{self.prefix}:{{{key}}}:reply"

    def uses(self, key: str) -> str:
        return f"{self.prefix}:{{{key}}}:uses"

    def lease(self, key: str) -> str:
        return f"{self.prefix}:{{{key}}}:lease"

    def tagged(self, tag: str) -> str:
        return f"{self.prefix}:tag:{hashed_tag(tag)}"

    def book(self, name: str) -> str:
        """Return the key of something that is kept of all entries; all of these lie on one node."""
        return f"{self.prefix}:{{{self.prefix}-books}}:{name}"


def key_of(name: bytes | str) -> str:
    """Return the key that an entry, or its uses, is called by."""
    text = name.decode() if isinstance(name, bytes) else name
    return text[text.index("{") + 1 : text.index("}")]


def put(names: Names, key: str, change: Change, now: float) -> Iterator[Command]:
    """Write a value, or take it away where there is none or its time is over; its uses are forgotten."""
    left = None if change.expires_at is None else change.expires_at - now
    if change.value is None or (left is not None and left <= 0):
        yield ("UNLINK", names.entry(key), names.uses(key))
        return
    ends = "-" if change.expires_at is None else repr(change.expires_at)
    first = f"{change.stored_at!r} {ends} {change.pico_usd} {','.join(sorted(map(hashed_tag, change.tags)))}\n"
    entry = names.entry(key)
    value = first.encode() + change.value
    yield ("UNLINK", names.uses(key))
    yield ("SET", entry, value) if left is None else ("SET", entry, value, "PX", in_ms(left))


def tag(names: Names, key: str, change: Change, now: float) -> Iterator[Command]:
    """Have an entry found by its tags."""
    left = "-" if change.expires_at is None else in_ms(change.expires_at - now)
    for one in change.tags:
        yield ("EVAL", TAG, 1, names.tagged(one), names.entry(key), left)


def drop(names: Names, key: str, tag: str, now: float) -> Command:
    """Delete an entry if it has a tag; the answer is 1 where it could still have been served, else 0."""
    return ("EVAL", DROP, 2, names.entry(key), names.uses(key), hashed_tag(tag), now)


def use(names: Names, key: str, times: int) -> Command:
    """Count uses of an entry, if it is still there."""
    return ("EVAL", USE, 2, names.entry(key), names.uses(key), times)


def claim(names: Names, key: str, token: str, for_s: float, now: float) -> Command:
    """Take the lease of a key: the answer is its value if there is one, else 1 or 0."""
    return ("EVAL", CLAIM, 2, names.entry(key), names.lease(key), token, in_ms(for_s), now)


def extend(names: Names, key: str, token: str, for_s: float) -> Command:
    return ("EVAL", EXTEND, 1, names.lease(key), token, in_ms(for_s))


def release(names: Names, key: str, token: str) -> Command:
    return ("EVAL", RELEASE, 1, names.lease(key), token)


def read(stored: bytes | str | None) -> Change | None:
    """Take a stored string apart; raises `ValueError` for one that is not ours."""
    if stored is None:
        return None
    # A client may have been told to decode what it reads.
    stored = stored.encode() if isinstance(stored, str) else stored
    first, value = stored.split(b"\n", 1)
    stored_at, ends, pico_usd, _ = first.split(b" ", 3)
    expires_at = None if ends == b"-" else float(ends)
    return Change(value, float(stored_at), expires_at, pico_usd=int(pico_usd))


def in_ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
