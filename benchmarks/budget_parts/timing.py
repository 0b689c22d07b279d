"""How long a call waits for its budgets: one thread, nobody else asking; and a bare script of one line beside it."""

from __future__ import annotations

import statistics
import time

import redis

from budget_parts.contenders import Reserved
from tuppence.prices import pico_usd

TIMES = 3000
WARM = 300
_BARE = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


def timed(place: str) -> dict[str, float]:
    """Return medians in microseconds: of reserving, of settling as the call sees it, and until it is carried out; for a
    Redis also of a bare EVALSHA that adds to one counter, asked in turn with the reservations.
    """
    ours = Reserved(place, pico_usd("1000000"))
    client = redis.Redis.from_url(place, protocol=2) if "://" in place else None
    digest = client.script_load(_BARE) if client is not None else ""
    reserve, settle, behind, bare, tickets = [], [], [], [], []
    for n in range(TIMES + WARM):
        begun = time.perf_counter()
        tickets.append(ours.ask({"user": f"user-{n % 4}"}, 1000))
        asked = time.perf_counter()
        reserve.append(asked - begun)
        if client is not None:
            client.evalsha(digest, 1, "bare", 1)
            bare.append(time.perf_counter() - asked)
    for ticket in tickets:
        begun = time.perf_counter()
        ours.settle(ticket, 900)
        settle.append(time.perf_counter() - begun)
        ours.counters.flush()
        behind.append(time.perf_counter() - begun)
    ours.close()
    figures = {
        "reserve_us_p50": _micro(reserve), "settle_us_p50": _micro(settle), "background_settle_us_p50": _micro(behind),
    }  # fmt: skip
    if client is not None:
        client.close()
        figures["bare_lua_us_p50"] = _micro(bare)
    return figures


def _micro(seconds: list[float]) -> float:
    return round(statistics.median(seconds[WARM:]) * 1e6, 1)
