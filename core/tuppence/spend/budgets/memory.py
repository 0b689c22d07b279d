"""Counters of one process, gone with it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from tuppence.effects import Charge, Granted, Refused, Release, Reserve
from tuppence.errors import ConfigError
from tuppence.forks import make_fork_safe
from tuppence.prices import PicoUSD
from tuppence.spend.budgets.counters import FORGET_S, Correction, Count, Swept

_GRANTED = Granted()


@dataclass(slots=True)
class _Counter:
    budget: str
    until: float
    limit: PicoUSD | None = None
    spent: PicoUSD = 0
    held: PicoUSD = 0


@dataclass(slots=True)
class _Hold:
    at: float
    amounts: dict[str, PicoUSD] = field(default_factory=dict)
    """By counter."""


class MemoryCounters:
    """Counters in this process. A forked child goes on with a copy of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, _Counter] = {}
        self._holds: dict[str, _Hold] = {}
        self._swept: dict[str, float] = {}
        """Holds that were swept, with the end of their last period: their calls may still close them."""
        make_fork_safe(self)

    def __reduce__(self) -> NoReturn:
        raise ConfigError(
            "budgets that are counted in a process's memory cannot travel to another process, which would spend as "
            "much again: give them a store, such as store='redis://host:6379/0' or a file's name"
        )

    def reserve(self, reserve: Reserve, /) -> Granted | Refused:
        with self._lock:
            hold = self._holds.get(reserve.hold)
            held = {} if hold is None else hold.amounts
            for charge in reserve.charges:
                if refused := self._refused(charge, reserve.pico_usd - held.get(charge.counter, 0)):
                    return refused
            if hold is None:
                hold = self._holds[reserve.hold] = _Hold(reserve.at)
                self._swept.pop(reserve.hold, None)
            hold.at = max(hold.at, reserve.at)
            for charge in reserve.charges:
                self._hold(hold, charge, reserve.pico_usd)
        return _GRANTED

    async def areserve(self, reserve: Reserve, /) -> Granted | Refused:
        return self.reserve(reserve)

    def release(self, release: Release, /) -> None:
        with self._lock:
            hold = self._holds.pop(release.hold, None)
            if hold is not None:
                self._give_back(hold)
            elif self._swept.pop(release.hold, None) is None:
                return
            for charge in release.charges:
                if counter := self._counters.get(charge.counter):
                    counter.spent += release.pico_usd

    @property
    def waiting(self) -> int:
        return 0

    def counts(self) -> list[Count]:
        with self._lock:
            return [
                Count(key, one.budget, one.spent, one.held, one.limit, one.until)
                for key, one in sorted(self._counters.items())
            ]

    def sweep(self, before: float, at: float) -> Swept:
        with self._lock:
            old = [(key, hold) for key, hold in self._holds.items() if hold.at <= before]
            for key, hold in old:
                del self._holds[key]
                self._swept[key] = max(
                    (self._counters[name].until for name in hold.amounts if name in self._counters), default=at
                )
                self._give_back(hold)
            for known in [key for key, one in self._counters.items() if one.until + FORGET_S <= at and not one.held]:
                del self._counters[known]
            for gone in [key for key, until in self._swept.items() if until + FORGET_S <= at]:
                del self._swept[gone]
        return Swept(len(old), sum(max(hold.amounts.values(), default=0) for _, hold in old))

    def correct(self, corrections: Sequence[Correction]) -> None:
        with self._lock:
            for correction in corrections:
                counter = self._counter(correction.charge)
                counter.spent = correction.of(counter.spent)

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return: nothing ever waits."""

    def close(self) -> None:
        """Return: there is nothing to let go of."""

    def _refused(self, charge: Charge, rise: PicoUSD) -> Refused | None:
        if charge.limit is None or rise <= 0:
            return None
        counter = self._counters.get(charge.counter)
        spent, held = (0, 0) if counter is None else (counter.spent, counter.held)
        return Refused(charge, spent, held) if spent + held + rise > charge.limit else None

    def _hold(self, hold: _Hold, charge: Charge, amount: PicoUSD) -> None:
        counter = self._counter(charge)
        rise = max(0, amount - hold.amounts.get(charge.counter, 0))
        hold.amounts[charge.counter] = hold.amounts.get(charge.counter, 0) + rise
        counter.held += rise

    def _counter(self, charge: Charge) -> _Counter:
        counter = self._counters.get(charge.counter)
        if counter is None:
            counter = self._counters[charge.counter] = _Counter(charge.budget, charge.until)
        counter.until = max(counter.until, charge.until)
        if charge.limit is not None:
            counter.limit = charge.limit
        return counter

    def _give_back(self, hold: _Hold) -> None:
        for key, amount in hold.amounts.items():
            # One without anything held may have been forgotten.
            if counter := self._counters.get(key):
                counter.held -= amount

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
