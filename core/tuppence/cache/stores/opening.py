"""Open the store of exact keys that a user named in one word, so that a word means the same for answers and vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuppence.cache.stores.memory import MemoryStore
from tuppence.cache.stores.redis import RedisStore
from tuppence.cache.stores.sqlite import SqliteStore

__all__ = ["MEMORY", "Place", "bounded_store", "exact_store", "is_address"]

MEMORY = "memory"
Place = str | Path
"""Where a store lies: `MEMORY`, a file or an address."""


def exact_store(place: Place, **room: Any) -> MemoryStore | SqliteStore | RedisStore:
    """Open the store at a place; `room` is what one in memory or a file takes for its size: a Redis has its own."""
    return bounded_store(place) if is_address(place) else bounded_store(place, **room)


def bounded_store(place: Place, **bounds: Any) -> MemoryStore | SqliteStore | RedisStore:
    """Open the store at a place, held to these bounds wherever it lies."""
    if place == MEMORY:
        return MemoryStore(**bounds)
    return RedisStore(str(place), **bounds) if is_address(place) else SqliteStore(place, **bounds)


def is_address(place: Place) -> bool:
    """Tell `redis://host:6379/0` and the like from a path."""
    return isinstance(place, str) and "://" in place
