"""The steps of the Redis counters: one Lua script each, so that each happens as a whole.

Lua's numbers are doubles, exact up to 2^53: nine thousand dollars in pico-USD. So an amount is text, dollars with
twelve decimals, and a script counts dollars and pico-dollars apart, exactly.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

_MONEY = """
local function amount(text)
    if not text then return 0, 0 end
    return tonumber(string.sub(text, 1, -14)), tonumber(string.sub(text, -12))
end
local function plus(dollars, pico, more, rest)
    pico = pico + rest
    if pico >= 1e12 then return dollars + more + 1, pico - 1e12 end
    return dollars + more, pico
end
local function minus(dollars, pico, less, rest)
    if pico < rest then return dollars - less - 1, pico + 1e12 - rest end
    return dollars - less, pico - rest
end
local function above(dollars, pico, other, rest)
    return dollars > other or (dollars == other and pico > rest)
end
local function text(dollars, pico) return string.format('%.0f.%012.0f', dollars, pico) end
local function give_back(prefix, hold)
    for i = 1, #hold, 2 do
        local key = prefix .. hold[i]
        local held = redis.call('HGET', key, 'held')
        if held then
            local dollars, pico = amount(held)
            redis.call('HSET', key, 'held', text(minus(dollars, pico, amount(hold[i + 1]))))
        end
    end
end
"""

# KEYS: the hold, all holds, all counters, then counters.
# ARGV: the hold's id, when, how much, then of each counter: its name, budget, limit or '', end, when it is forgotten.
_RESERVE = """
local dollars, pico = amount(ARGV[3])
local hold = redis.call('HGETALL', KEYS[1])
local had, found, kept = {}, {}, {}
for i = 1, #hold, 2 do had[hold[i]] = hold[i + 1] end
for i = 4, #KEYS do
    local at = 5 * i - 16
    local name, limit = ARGV[at], ARGV[at + 2]
    local now = redis.call('HMGET', KEYS[i], 'spent', 'held', 'limit', 'until')
    local held, part = amount(now[2])
    if above(dollars, pico, amount(had[name])) then
        held, part = plus(held, part, minus(dollars, pico, amount(had[name])))
        if limit ~= '' then
            local used, rest = amount(now[1])
            used, rest = plus(used, rest, held, part)
            if above(used, rest, amount(limit)) then return {i - 4, now[1] or '', now[2] or ''} end
        end
        kept[#kept + 1] = name
        kept[#kept + 1] = ARGV[3]
    elseif not had[name] then
        kept[#kept + 1] = name
        kept[#kept + 1] = ARGV[3]
    end
    found[i] = {now, text(held, part)}
end
for i = 4, #KEYS do
    local at = 5 * i - 16
    local now, held = found[i][1], found[i][2]
    redis.call('HSET', KEYS[i], 'held', held)
    if ARGV[at + 2] ~= '' and now[3] ~= ARGV[at + 2] then redis.call('HSET', KEYS[i], 'limit', ARGV[at + 2]) end
    if not now[4] or tonumber(now[4]) < tonumber(ARGV[at + 3]) then
        redis.call('HSET', KEYS[i], 'budget', ARGV[at + 1], 'spent', now[1] or text(0, 0), 'until', ARGV[at + 3])
        redis.call('ZADD', KEYS[3], ARGV[at + 3], ARGV[at])
        redis.call('EXPIREAT', KEYS[i], ARGV[at + 4])
    end
end
if #kept > 0 then redis.call('HSET', KEYS[1], unpack(kept)) end
local last = #hold > 0 and redis.call('ZSCORE', KEYS[2], ARGV[1])
if not last or tonumber(last) < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1]) end
return 1
"""

# KEYS: the hold, all holds, the mark of a swept hold, then the counters that are charged. ARGV: the hold's id, how
# much, what counters' keys begin with.
_RELEASE = """
local hold = redis.call('HGETALL', KEYS[1])
local swept = redis.call('DEL', KEYS[3])
if #hold == 0 then
    if swept == 0 then return 0 end
else
    give_back(ARGV[3], hold)
    redis.call('DEL', KEYS[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
end
local dollars, pico = amount(ARGV[2])
for i = 4, #KEYS do
    local spent = redis.call('HGET', KEYS[i], 'spent')
    if spent then redis.call('HSET', KEYS[i], 'spent', text(plus(dollars, pico, amount(spent)))) end
end
return 1
"""

# KEYS: the hold, all holds, the mark of a swept hold, then the hold's counters. ARGV: the hold's id, the latest time
# of a hold to sweep, what counters' keys begin with, how long to remember a hold whose counters are gone.
_SWEEP = """
local at = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not at or tonumber(at) > tonumber(ARGV[2]) then return '' end
local hold = redis.call('HGETALL', KEYS[1])
give_back(ARGV[3], hold)
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
local most, rest, left = 0, 0, tonumber(ARGV[4])
for i = 1, #hold, 2 do
    if above(most, rest, amount(hold[i + 1])) == false then most, rest = amount(hold[i + 1]) end
    left = math.max(left, redis.call('PTTL', ARGV[3] .. hold[i]))
end
redis.call('SET', KEYS[3], 1, 'PX', string.format('%.0f', left))
return text(most, rest)
"""

# KEYS: all counters, then the one. ARGV: its name, budget, limit or '', end, when it is forgotten, what was spent, and
# what the counter said then.
_CORRECT = """
local now = redis.call('HMGET', KEYS[2], 'spent', 'until')
local known, part = amount(ARGV[7])
local since, rest = 0, 0
local spent, pico = amount(now[1])
if above(spent, pico, known, part) then since, rest = minus(spent, pico, known, part) end
local dollars, more = amount(ARGV[6])
redis.call('HSET', KEYS[2], 'spent', text(plus(dollars, more, since, rest)))
if not now[2] then
    redis.call('HSET', KEYS[2], 'held', text(0, 0), 'budget', ARGV[2], 'until', ARGV[4])
    if ARGV[3] ~= '' then redis.call('HSET', KEYS[2], 'limit', ARGV[3]) end
    redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
    redis.call('EXPIREAT', KEYS[2], ARGV[5])
end
return 1
"""


@dataclass(frozen=True)
class Script:
    """A script, and the digest that Redis knows it by."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


RESERVE = Script(_MONEY + _RESERVE)
RELEASE = Script(_MONEY + _RELEASE)
SWEEP = Script(_MONEY + _SWEEP)
CORRECT = Script(_MONEY + _CORRECT)
