"""Who competes: our budgets, and the way that is usual, to look at a counter first and to add to it afterwards."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tuppence.effects import Charge, Granted, Release, Reserve
from tuppence.prices import PicoUSD, usd
from tuppence.spend.budgets import Budget, Budgets
from tuppence.spend.budgets.counters import Counters

_MEMORY: dict[str, Any] = {}
"""What lies at a place in memory, for those who open it again in this process."""


class Contender(Protocol):
    """A way to keep to a limit."""

    def ask(self, tags: Mapping[str, str], estimate: PicoUSD) -> Any:
        """Return what the call settles with; None where it may not be made."""
        ...

    def settle(self, ticket: Any, cost: PicoUSD) -> None: ...
    def end(self, at: float) -> tuple[PicoUSD, PicoUSD]:
        """Sweep, and return what was counted and what is still held."""
        ...

    def close(self) -> None: ...


def open_contender(name: str, place: str, limit: PicoUSD) -> Contender:
    """Open it on counters that others may have open."""
    return CheckThenAdd(place, limit) if name == "check_then_add" else Reserved(place, limit)


class Reserved:
    """Our budgets: one for all calls, and one for each user."""

    def __init__(self, place: str, limit: PicoUSD) -> None:
        counters = _MEMORY.get(place)
        month, each = Budget(usd=usd(limit), per="month"), Budget(usd=usd(limit), per="day", each="user")
        self.budgets = Budgets(month, each, store=counters or ("memory" if place.startswith("memory") else place))
        if place.startswith("memory"):
            _MEMORY[place] = self.budgets.counters
        self._ids = itertools.count()
        self._process = os.urandom(6).hex()

    @property
    def counters(self) -> Counters:
        return self.budgets.counters

    def ask(self, tags: Mapping[str, str], estimate: PicoUSD) -> tuple[str, tuple[Charge, ...]] | None:
        at = time.time()
        charges = self.budgets.charges(tags, at)
        hold = f"{self._process}-{next(self._ids)}"
        outcome = self.budgets.store.reserve(Reserve(self.budgets.store, hold, charges, estimate, at))
        return (hold, charges) if type(outcome) is Granted else None

    def settle(self, ticket: tuple[str, tuple[Charge, ...]], cost: PicoUSD) -> None:
        self.budgets.store.release(Release(self.budgets.store, *ticket, cost))

    def end(self, at: float) -> tuple[PicoUSD, PicoUSD]:
        self.counters.flush()
        self.budgets.sweep(at)
        counts = self.counters.counts()
        self.close()
        return sum(one.spent for one in counts if one.budget == "month"), sum(one.held for one in counts)

    def close(self) -> None:
        self.budgets.close()


class CheckThenAdd:
    """Read the counter, compare, call, add: what callbacks that track spending do, each step atomic in itself."""

    def __init__(self, place: str, limit: PicoUSD) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._redis: Any = None
        self._rows: sqlite3.Connection | None = None
        self._place = place
        if "://" in place:
            import redis

            self._redis = redis.Redis.from_url(place)
        elif not place.startswith("memory"):
            self._rows = sqlite3.connect(Path(place), timeout=10, isolation_level=None, check_same_thread=False)
            self._rows.execute("PRAGMA journal_mode = WAL")
            self._rows.execute("CREATE TABLE IF NOT EXISTS naive (spent INTEGER)")

    def ask(self, tags: Mapping[str, str], estimate: PicoUSD) -> bool | None:
        return True if self._spent() < self._limit else None

    def settle(self, ticket: bool, cost: PicoUSD) -> None:
        if self._redis is not None:
            self._redis.incrby("naive", cost)
            return
        with self._lock:
            if self._rows is not None:
                self._rows.execute("INSERT INTO naive VALUES (?)", (cost,))
            else:
                _MEMORY[self._place] = _MEMORY.get(self._place, 0) + cost

    def end(self, at: float) -> tuple[PicoUSD, PicoUSD]:
        spent = self._spent()
        self.close()
        return spent, 0

    def close(self) -> None:
        if self._redis is not None:
            self._redis.close()
        if self._rows is not None:
            self._rows.close()

    def _spent(self) -> PicoUSD:
        if self._redis is not None:
            return int(self._redis.get("naive") or 0)
        with self._lock:
            if self._rows is not None:
                return int(self._rows.execute("SELECT coalesce(sum(spent), 0) FROM naive").fetchone()[0])
            return int(_MEMORY.get(self._place, 0))
