"""Cached answers in this process: fast, and gone with it. It must never grow past its bounds."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from tuppence.cache.forks import make_fork_safe
from tuppence.errors import ConfigError


class _Kept(NamedTuple):
    value: bytes
    stored_at: float
    expires_at: float
    tags: frozenset[str]


class MemoryStore:
    """A thread-safe store that forgets what was used least recently.

    `max_bytes` counts values, not Python's own overhead; a value larger than it is not kept at all. `clock`
    gives Unix seconds.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 2**20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_entries < 1 or max_bytes < 1:
            raise ConfigError(f"max_entries is {max_entries}, max_bytes is {max_bytes}: both must be 1 or more")
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Kept] = OrderedDict()
        self._tagged: dict[str, set[str]] = {}
        self._bytes = 0
        self._lock = threading.RLock()
        make_fork_safe(self)

    def get(self, key: str) -> tuple[bytes, float] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            now = self._clock()
            if now >= entry.expires_at:
                self.delete(key)
                return None
            self._entries.move_to_end(key)
        return entry.value, max(0.0, now - entry.stored_at)

    def put(self, key: str, value: bytes, ttl_s: float | None, tags: frozenset[str] = frozenset()) -> None:
        now = self._clock()
        with self._lock:
            self.delete(key)
            if len(value) > self._max_bytes:
                return
            self._entries[key] = _Kept(value, now, math.inf if ttl_s is None else now + ttl_s, tags)
            self._bytes += len(value)
            for tag in tags:
                self._tagged.setdefault(tag, set()).add(key)
            while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
                self.delete(next(iter(self._entries)))

    def delete(self, key: str) -> None:
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is None:
                return
            self._bytes -= len(entry.value)
            for tag in entry.tags:
                keys = self._tagged[tag]
                keys.discard(key)
                if not keys:
                    del self._tagged[tag]

    def invalidate(self, tag: str) -> int:
        """Delete every entry that was put with `tag`; return how many could still have been served."""
        now = self._clock()
        with self._lock:
            keys = list(self._tagged.get(tag, ()))
            alive = sum(now < self._entries[key].expires_at for key in keys)
            for key in keys:
                self.delete(key)
        return alive

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._tagged.clear()
            self._bytes = 0

    def flush(self) -> None:
        """Return; nothing here outlives the process."""

    def close(self) -> None:
        self.clear()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()
