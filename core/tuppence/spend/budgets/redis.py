"""Counters in a Redis or Redis Cluster: shared by machines.

All keys lie on one node of a cluster, since a call may be charged to any of the counters together. What is counted is
as safe as the Redis is: without its append-only file, a restart forgets what was spent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tuppence.effects import Charge, Granted, Refused, Release, Reserve
from tuppence.errors import BudgetError, ConfigError
from tuppence.forks import make_fork_safe
from tuppence.prices import PicoUSD
from tuppence.spend.budgets.closing import Cancel, Closer, log
from tuppence.spend.budgets.counters import FORGET_S, Correction, Count, Swept, as_pico, as_text
from tuppence.spend.budgets.redis_link import Call, Client, RedisLink
from tuppence.spend.budgets.redis_scripts import CORRECT, RELEASE, RESERVE, SWEEP

T = TypeVar("T")

_GRANTED = Granted()
_BATCH = 500
"""Commands in one go: a thousand counters are read in a few milliseconds, and nobody waits longer for it."""


class RedisCounters:
    """Counters in a Redis, for many machines; `target` is a URL or a client, of a cluster or not.

    URLs begin with `redis://`, `rediss://` (TLS), `unix://` or, for a cluster, `redis+cluster://`. `prefix` begins
    every key. Raises `ConfigError` for a target that is none; it is connected to by the first call.
    """

    def __init__(self, target: str | Client, *, prefix: str = "tuppence-budgets") -> None:
        if not prefix or set(prefix) & set("{}"):
            raise ConfigError(f"prefix is {prefix!r}: it begins every key, so give text without {{}}")
        self._prefix = prefix
        self._link = RedisLink(target)
        # The same hash tag for all, and so the same node of a cluster.
        self._root = f"{{{prefix}}}:"
        self._counter = f"{self._root}counter:"
        self._holds = f"{self._root}holds"
        self._counters = f"{self._root}counters"
        self._warned = False
        self._closer = Closer(self._carry_out, self._link.name)
        make_fork_safe(self)

    def __str__(self) -> str:
        return self._link.name

    def __reduce__(self) -> tuple[Callable[..., RedisCounters], tuple[str, str]]:
        if self._link.url is None:
            raise ConfigError("budgets with a Redis client of your own cannot travel to another process: give a URL")
        return _opened, (self._link.url, self._prefix)

    def reserve(self, reserve: Reserve, /) -> Granted | Refused:
        try:
            answer = self._link.call(RESERVE, *self._reservation(reserve))
        except BudgetError:
            self._cancel(reserve)
            raise
        return self._answered(reserve, answer)

    async def areserve(self, reserve: Reserve, /) -> Granted | Refused:
        """Do as `reserve` does without blocking the event loop."""
        try:
            answer = await self._link.acall(RESERVE, *self._reservation(reserve))
        except BudgetError:
            self._cancel(reserve)
            raise
        return self._answered(reserve, answer)

    def release(self, release: Release, /) -> None:
        self._closer.put(release)

    @property
    def waiting(self) -> int:
        return self._closer.waiting

    def counts(self) -> list[Count]:
        names = sorted(_text(name) for name in self._link.send([("ZRANGE", self._counters, 0, -1)])[0])
        found: list[Count] = []
        for some in _batches(names):
            fields = ("budget", "spent", "held", "limit", "until")
            answers = self._link.send([("HMGET", self._counter + name, *fields) for name in some])
            found += [_count(name, answer) for name, answer in zip(some, answers, strict=True) if answer[0] is not None]
        return found

    def sweep(self, before: float, at: float) -> Swept:
        self._warn_once()
        over = ("-inf", repr(at - FORGET_S))
        old, forgotten = self._link.send([
            ("ZRANGEBYSCORE", self._holds, "-inf", repr(before)), ("ZRANGEBYSCORE", self._counters, *over)
        ])  # fmt: skip
        amounts = [amount for some in _batches([_text(hold) for hold in old]) for amount in self._swept(some, before)]
        for some in _batches([_text(name) for name in forgotten]):
            self._link.send([("UNLINK", self._counter + name) for name in some])
            self._link.send([("ZREMRANGEBYSCORE", self._counters, *over)])
        return Swept(len(amounts), sum(amounts))

    def correct(self, corrections: Sequence[Correction]) -> None:
        for some in _batches(corrections):
            self._link.call_all([
                (
                    CORRECT, [self._counters, self._counter + one.charge.counter],
                    [*_described(one.charge), as_text(one.spent), as_text(one.counted)],
                )
                for one in some
            ])  # fmt: skip

    def flush(self, timeout_s: float = 10.0) -> None:
        self._closer.flush(timeout_s)

    def close(self) -> None:
        """Carry out what waits, and close the connections; who goes on opens them again."""
        self._closer.close()
        self._link.close()

    def _warn_once(self) -> None:
        if not self._warned and self._link.evicts():
            log.warning(
                "%s may throw counters away when its memory is full, and what was spent would be forgotten: set its "
                "maxmemory-policy to noeviction, or give the cache a Redis of its own",
                self._link.name,
            )
        self._warned = True

    def _reservation(self, reserve: Reserve) -> tuple[list[str], list[str]]:
        hold = reserve.hold
        keys = [self._hold(hold), self._holds, self._counters]
        arguments = [hold, repr(reserve.at), as_text(reserve.pico_usd)]
        for charge in reserve.charges:
            keys.append(self._counter + charge.counter)
            arguments += _described(charge)
        return keys, arguments

    def _answered(self, reserve: Reserve, answer: Any) -> Granted | Refused:
        if answer == 1:
            return _GRANTED
        index, spent, held = answer
        return Refused(reserve.charges[index], as_pico(spent or "0"), as_pico(held or "0"))

    def _cancel(self, reserve: Reserve) -> None:
        # It may have been made, and only its answer been lost.
        self._closer.put(Cancel(self, reserve.hold, reserve.charges, 0))

    def _carry_out(self, releases: Sequence[Release]) -> None:
        self._link.call_all([self._closing(one) for one in releases])

    def _closing(self, release: Release) -> Call:
        hold = release.hold
        keys = [self._hold(hold), self._holds, self._mark(hold)]
        keys += [self._counter + charge.counter for charge in release.charges]
        if isinstance(release, Cancel):
            return SWEEP, keys, self._sweeping(hold, "inf")
        return RELEASE, keys, [hold, as_text(release.pico_usd), self._counter]

    def _swept(self, holds: Sequence[str], before: float) -> Iterator[PicoUSD]:
        """Sweep these, and return what those held that were there to sweep."""
        counters = self._link.send([("HKEYS", self._hold(hold)) for hold in holds])
        calls: list[Call] = []
        for hold, names in zip(holds, counters, strict=True):
            keys = [self._hold(hold), self._holds, self._mark(hold), *(self._counter + _text(name) for name in names)]
            calls.append((SWEEP, keys, self._sweeping(hold, repr(before))))
        return (as_pico(amount) for amount in self._link.call_all(calls) if amount)

    def _sweeping(self, hold: str, before: str) -> list[str]:
        return [hold, before, self._counter, str(round(FORGET_S * 1000))]

    def _hold(self, hold: str) -> str:
        return f"{self._root}hold:{hold}"

    def _mark(self, hold: str) -> str:
        return f"{self._root}swept:{hold}"

    def before_fork(self) -> None:
        self._closer.before_fork()

    def after_fork_in_parent(self) -> None:
        self._closer.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        self._closer.after_fork_in_child()


def _opened(url: str, prefix: str) -> RedisCounters:
    return RedisCounters(url, prefix=prefix)


def _described(charge: Charge) -> list[str]:
    limit = "" if charge.limit is None else as_text(charge.limit)
    return [charge.counter, charge.budget, limit, repr(charge.until), str(math.ceil(charge.until + FORGET_S))]


def _count(name: str, fields: Sequence[Any]) -> Count:
    budget, spent, held, limit, until = fields
    return Count(
        name, _text(budget), as_pico(spent), as_pico(held), None if limit is None else as_pico(limit), float(until)
    )


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[i : i + _BATCH] for i in range(0, len(items), _BATCH))
