"""Opening the place of counters that a user named in one word."""

from __future__ import annotations

from pathlib import Path

from tuppence.errors import ConfigError
from tuppence.spend.budgets.counters import Counters
from tuppence.spend.budgets.memory import MemoryCounters

MEMORY = "memory"


def open_counters(place: Counters | str | Path | None) -> Counters:
    """Open a file's or a Redis's counters, or this process's own; an object is taken as it is.

    Raises `ConfigError` for what is none of these, `BudgetError` for a file that cannot be opened.
    """
    if place is None or place == MEMORY:
        return MemoryCounters()
    if isinstance(place, str) and "://" in place:
        from tuppence.spend.budgets.redis import RedisCounters

        return RedisCounters(place)
    if isinstance(place, str | Path):
        from tuppence.spend.budgets.sqlite import SqliteCounters

        return SqliteCounters(place)
    if not hasattr(place, "areserve"):
        raise ConfigError(
            f"store is {place!r}: give a file's name, an address such as 'redis://host:6379/0', or 'memory'"
        )
    return place
