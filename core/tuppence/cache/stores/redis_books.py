"""Who goes from the exact cache in a Redis: its entries in the order of `eviction`, kept in sorted sets beside them.

One script books what is written and served, and names those who must go: so machines agree, and what is booked never
passes a bound. It must never take longer than Redis may be held up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from tuppence.cache.stores.eviction import Bounds, cost_of
from tuppence.cache.stores.redis_commands import Names
from tuppence.cache.stores.redis_link import Command, RedisLink
from tuppence.cache.stores.tags import hashed_tag
from tuppence.cache.stores.write_behind import Change

AT_ONCE = 200
"""Entries booked in one go: a millisecond or two of Redis's time."""
UNBOUNDED = 1e300
WRITTEN_WITHIN_S = 60.0
"""How long who is about to be written may take: far longer than a process does that was not killed."""

# Greedy-Dual-Size-Frequency, as in `eviction`. A member begins with 16 digits that count arrivals: of equal ones the
# oldest comes first. A tenant's own order is a key that is not declared, on the node of those that are. Who must go is
# remembered until it is gone, and who is about to be written until that is done: no kill in between leaves a value that
# nobody knows of. At most 1,000 go at a time: the first answer says whether there are more.
BOOK = """
local ranks, kept, sums, ends, going, writing = unpack(KEYS)
local now, part_entries, part_bytes = tonumber(ARGV[1]), tonumber(ARGV[4]), tonumber(ARGV[5])
local call = redis.call
local clock = tonumber(call('HGET', sums, 'clock') or '0')
local may_go, tenants = 1000, {}

local function booked(key)
    local line = call('HGET', kept, key)
    if line then return string.match(line, '^(%S+) (%S+) (%S+) (%S+) (%S*)$') end
end
local function rank(key, member, cost, size, hits, tenant)
    local worth = (1 + hits) * tonumber(cost) / math.max(tonumber(size), 1)
    local priority = string.format('%.17g', clock + worth)
    call('HSET', kept, key, string.format('%s %s %s %.0f %s', member, cost, size, hits, tenant))
    call('ZADD', ranks, priority, member)
    if part_entries then call('ZADD', ranks .. ':' .. tenant, priority, member) end
end
local function forget(key)
    local member, _, size, _, tenant = booked(key)
    if not member then return end
    call('HDEL', kept, key)
    call('ZREM', ends, key)
    call('ZREM', ranks, member)
    call('ZREM', ranks .. ':' .. tenant, member)
    call('HINCRBY', sums, 'bytes', -size)
    if call('HINCRBY', sums, 'bytes:' .. tenant, -size) <= 0 then call('HDEL', sums, 'bytes:' .. tenant) end
end
local function let_go(key)
    forget(key)
    call('SADD', going, key)
    may_go = may_go - 1
end
local function make_room(from, field, entries, bytes)
    while may_go > 0 do
        if call('ZCARD', from) <= entries and tonumber(call('HGET', sums, field) or '0') <= bytes then return end
        local least = call('ZRANGE', from, 0, 0, 'WITHSCORES')
        if #least == 0 then return call('HDEL', sums, field) end
        clock = math.max(clock, tonumber(least[2]))
        call('ZREM', from, least[1])
        let_go(string.sub(least[1], 17))
    end
end

for i = 7, #ARGV, 6 do
    local what, key = ARGV[i], ARGV[i + 1]
    if what == 'use' then
        local member, cost, size, hits, tenant = booked(key)
        if member then rank(key, member, cost, size, hits + ARGV[i + 2], tenant) end
    elseif what == 'room' then
        tenants[key] = true
    else
        forget(key)
        call('SREM', going, key)
    end
    if what == 'put' then
        local cost, size, tenant = ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
        rank(key, string.format('%016x', call('HINCRBY', sums, 'arrivals', 1)) .. key, cost, size, 0, tenant)
        call('HINCRBY', sums, 'bytes', size)
        call('HINCRBY', sums, 'bytes:' .. tenant, size)
        if ARGV[i + 5] ~= '-' then call('ZADD', ends, ARGV[i + 5], key) end
        call('ZADD', writing, now, key)
        tenants[tenant] = true
    end
end
for _, key in ipairs(call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, may_go)) do let_go(key) end
for _, key in ipairs(call('ZRANGEBYSCORE', writing, '-inf', ARGV[6], 'LIMIT', 0, 1000)) do
    call('ZREM', writing, key)
    if call('HEXISTS', kept, key) == 0 then call('SADD', going, key) end
end
if part_entries then
    for tenant in pairs(tenants) do make_room(ranks .. ':' .. tenant, 'bytes:' .. tenant, part_entries, part_bytes) end
end
make_room(ranks, 'bytes', tonumber(ARGV[2]), tonumber(ARGV[3]))
call('HSET', sums, 'clock', string.format('%.17g', clock))
return {may_go > 0 and 0 or 1, call('SMEMBERS', going)}
"""


class Books:
    """The books under one prefix, for one thread at a time; raises `CacheError`."""

    def __init__(self, link: RedisLink, names: Names, bounds: Bounds) -> None:
        self._link = link
        self._keys = tuple(names.book(name) for name in ("ranks", "kept", "sums", "ends", "going", "writing"))
        part = bounds.of_one_tenant()
        self._bounds: Command = (*_spelt(bounds), *(("-", "-") if part is None else _spelt(part)))

    def write(self, changes: Sequence[tuple[str, Change]], times: Mapping[str, int], now: float) -> set[str]:
        """Book what is about to be written and was served; return the keys of those who must go, changed ones too."""
        lines = [_line(key, change, now) for key, change in changes]
        lines += [("use", key, n, "", "", "") for key, n in times.items()]
        return self._book(lines, now)

    def forget(self, keys: Iterable[str], now: float) -> None:
        """Book that entries have been deleted."""
        for some in batches(keys):
            self._book([("del", key, "", "", "", "") for key in some], now)

    def lost(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys just written that others had let go before there was anything to take away."""
        lost: set[str] = set()
        for some in batches(keys):
            (lines,) = self._link.run(("HMGET", self._keys[1], *some))
            lost |= {key for key, line in zip(some, lines, strict=True) if line is None}
        return lost

    def settle(self, written: Iterable[str], gone: Iterable[str]) -> None:
        """Note that what was booked has been done."""
        for command, key, keys in (("ZREM", self._keys[5], written), ("SREM", self._keys[4], gone)):
            for some in batches(keys):
                self._link.run((command, key, *some))

    def _book(self, lines: Sequence[Command], now: float) -> set[str]:
        flat = [word for line in lines for word in line]
        going: set[str] = set()
        is_more = 1
        while is_more:
            numbers = (repr(now), *self._bounds, repr(now - WRITTEN_WITHIN_S))
            ((is_more, found),) = self._link.run(("EVAL", BOOK, len(self._keys), *self._keys, *numbers, *flat))
            # A client may have been told to decode what it reads.
            going |= {key if isinstance(key, str) else key.decode() for key in found}
            # What is booked is booked; whose room was passed is said again.
            flat = [word for line in lines if line[0] == "put" for word in ("room", line[4], "", "", "", "")]
        return going


def batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield what may be sent in one go."""
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        yield some


def _spelt(bounds: Bounds) -> tuple[float, float]:
    return (
        UNBOUNDED if bounds.max_entries is None else bounds.max_entries,
        UNBOUNDED if bounds.max_bytes is None else bounds.max_bytes,
    )


def _line(key: str, change: Change, now: float) -> Command:
    if change.value is None or (change.expires_at is not None and change.expires_at <= now):
        return ("del", key, "", "", "", "")
    tenant = hashed_tag(change.tenant) if change.tenant else ""
    ends = "-" if change.expires_at is None else repr(change.expires_at)
    return ("put", key, repr(cost_of(change.pico_usd)), len(change.value), tenant, ends)
