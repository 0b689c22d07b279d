"""What is said to Redis about the semantic cache's entries, and what its answers mean.

It must never send anything itself: whoever asks, in a thread or in a task, sends these commands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tuppence.cache.stores.redis_documents import PARTS, Document, Names, digest, schema
from tuppence.cache.stores.redis_link import Command

# All of it in one step: a client that is killed half-way leaves nothing that never expires.
PUT = """
local now = redis.call('TIME')
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'arrived_us', now[1] .. string.format('%06d', tonumber(now[2])), unpack(ARGV, 2))
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
"""
# The uses lie apart, because a change of any field has the whole hash indexed anew: half a millisecond.
USE = """
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return end
redis.call('TOUCH', KEYS[1])
redis.call('INCRBY', KEYS[2], ARGV[1])
if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
"""
DROP = """
local ends = redis.call('HGET', KEYS[1], 'expires_at')
redis.call('UNLINK', KEYS[1], KEYS[2])
if ends and (ends == '' or tonumber(ends) > tonumber(ARGV[1])) then return 1 end
return 0
"""
WEIGH = """
local kept = redis.call('HMGET', KEYS[1], 'arrived_us', 'pico_usd', 'size', 'expires_at')
if not kept[1] then return {} end
local now = redis.call('TIME')
local age_us = tonumber(now[1]) * 1000000 + tonumber(now[2]) - tonumber(kept[1])
return {string.format('%.0f', age_us), kept[2], kept[3], kept[4], redis.call('GET', KEYS[2]) or '0'}
"""
# By way of a script, since that has a key: clients of a cluster do not know where else to send this one.
LIST = "return redis.call('FT._LIST')"

COUNTED_FOR_S = 30.0
COUNTED_SCOPES = 1_000
# Fitted to medians of 300 lookups, scopes of 1,250 to 80,000 of 80,000 entries (384 dimensions, k 16), Redis 8.2 with
# search 2.10. Left to itself it compared with every entry of the scope up to 80,000: 8 ms where the graph took 0.7.
COMPARE_US = 0.37
"""An entry of the scope compared with the question."""
WALK_US = 400.0
"""What the graph costs more than comparing with nobody."""
STRANGER_US = 43.0
"""For each entry of the scope, an entry of another one that the graph is walked past."""


def create(names: Names, dimensions: int) -> Command:
    index = schema(names.index(dimensions), dimensions)
    words = [str(word) for field in index.redis_fields for word in _plain(field.redis_args())]
    return ("FT.CREATE", index.index.name, "ON", "HASH", "PREFIX", 1, index.index.prefix, "SCHEMA", *words)


def indexes(names: Names) -> Command:
    """Ask for the names of all indexes, whoever made them."""
    return ("EVAL", LIST, 1, names.common())


def near(names: Names, scope: str, vector: bytes, k: int, *, by_graph: bool) -> Command:
    """Ask for the `k` documents of a scope that are nearest to a vector, in no order."""
    policy = "BATCHES" if by_graph else "ADHOC_BF"
    query = f"@scope:{{$scope}}=>[KNN {k} @vector $vector HYBRID_POLICY {policy}]"
    return (
        "FT.SEARCH", names.index(len(vector) // 4), query, "PARAMS", 4, "scope", digest(scope), "vector", vector,
        "RETURN", len(PARTS), *PARTS, "LIMIT", 0, k, "DIALECT", 2,
    )  # fmt: skip


def find(names: Names, dimensions: int, query: str, offset: int, most: int, /, **named: str) -> Command:
    """Ask for the keys that answer a query, page by page, and for how many there are."""
    words = [word for name, value in named.items() for word in (name, digest(value))]
    parameters: Command = ("PARAMS", len(words), *words) if words else ()
    return (
        "FT.SEARCH", names.index(dimensions), query, "NOCONTENT", "LIMIT", offset, most, *parameters, "DIALECT", 2,
    )  # fmt: skip


def put(names: Names, document: Document, lot: float, expires_in_s: float | None) -> Command:
    """Write an entry, to be drawn by `lot`; one that has expired only takes its predecessor away."""
    key = names.entry(document.id, document.dimensions)
    # Told as a duration: the clock that set the time and that of Redis may differ.
    left_ms = "" if expires_in_s is None else int(expires_in_s * 1000)
    if isinstance(left_ms, int) and left_ms < 1:
        return drop(names, key, 0.0)
    return ("EVAL", PUT, 2, key, names.uses(key), left_ms, "lot", lot, *document.fields)


def use(names: Names, key: str, times: int) -> Command:
    """Count uses of an entry, if it is still there."""
    return ("EVAL", USE, 2, key, names.uses(key), times)


def drop(names: Names, key: str, now: float) -> Command:
    """Delete an entry; the answer is 1 where it could still have been served, else 0."""
    return ("EVAL", DROP, 2, key, names.uses(key), repr(now))


def weigh(names: Names, key: str) -> Command:
    """Ask for an entry's age in microseconds, price, size, expiry and uses; the answer is empty where it is gone."""
    return ("EVAL", WEIGH, 2, key, names.uses(key))


def read(key: str) -> Command:
    """Ask for the parts of an entry."""
    return ("HMGET", key, *PARTS)


def documents(answer: Any) -> dict[str, list[bytes | None]]:
    """Read the answer to `near`: the parts of each document, by key."""
    if isinstance(answer, dict):
        hashes = {_text(row[b"id"]): row.get(b"extra_attributes") or {} for row in answer[b"results"]}
    else:
        rows = zip(answer[1::2], answer[2::2], strict=True)
        hashes = {_text(key): dict(zip(row[::2], row[1::2], strict=True)) if row else {} for key, row in rows}
    return {key: [found.get(part.encode()) for part in PARTS] for key, found in hashes.items()}


def lengths(answer: Any, names: Names) -> list[int]:
    """Read from the answer to `indexes` the vector lengths that there are indexes of ours for."""
    ours = [name.removeprefix(names.common()) for name in map(_text, answer) if name.startswith(names.common())]
    return sorted(int(length) for length in ours if length.isdecimal())


def keys(answer: Any) -> list[str]:
    """Read the answer to `find`."""
    found = [row[b"id"] for row in answer[b"results"]] if isinstance(answer, dict) else answer[1:]
    return [_text(key) for key in found]


def total(answer: Any) -> int:
    """Read from the answer to `find` how many there are."""
    return int(answer[b"total_results"] if isinstance(answer, dict) else answer[0])


def worth(weight: Sequence[bytes], now: float) -> tuple[float, float]:
    """Return what an entry has saved for its size and age, read from `weigh`'s answer; of equals the older is less."""
    if not weight:
        return -1.0, 0.0
    age_us, pico_usd, size, uses = (float(weight[i]) for i in (0, 1, 2, 4))
    if weight[3] and float(weight[3]) <= now:
        return -1.0, -age_us
    return max(pico_usd, 1.0) * (1 + uses) / (size * max(age_us, 1.0)), -age_us


def size(weight: Sequence[bytes]) -> float:
    """Return the bytes that an entry takes, read from `weigh`'s answer."""
    return float(weight[2])


def documents_in(answer: Any) -> int:
    """Read from the answer to FT.INFO how many entries an index has."""
    told = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
    return int(told["num_docs"] if "num_docs" in told else told[b"num_docs"])


class Crowds:
    """Which scopes have so many entries that the index's graph is quicker than comparing with each of them.

    The graph knows no scopes: it is walked from near to far until enough entries of the scope have been met, past
    those of all others. So it pays in a scope that is large and no small part of the whole.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: dict[str, tuple[float, bool]] = {}

    def by_graph(self, scope: str) -> bool:
        return self._counted.get(scope, (0.0, False))[1]

    def due(self, scope: str) -> bool:
        """Say whether a scope of which a lookup found as many as it wanted should be counted (again)."""
        counted = self._counted.get(scope)
        return counted is not None and self._clock() >= counted[0]

    def met(self, scope: str) -> None:
        """Note that a scope has at least as many entries as a lookup wanted."""
        if scope not in self._counted:
            if len(self._counted) >= COUNTED_SCOPES:
                self._counted.clear()
            self._counted[scope] = (self._clock(), False)

    def counted(self, scope: str, entries: int, of: int) -> None:
        """Note how many entries a scope has, of how many there are."""
        pays = entries > 0 and entries * COMPARE_US > WALK_US + STRANGER_US * of / entries
        self._counted[scope] = (self._clock() + COUNTED_FOR_S, pays)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _plain(words: list[Any]) -> list[Any]:
    return [getattr(word, "value", word) for word in words]
