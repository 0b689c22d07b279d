"""Cached answers in this process: fast, and gone with it. It must never grow past its bounds."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from tuppence.cache.stored import Stored, most_hit_of
from tuppence.cache.stores.eviction import Bounds, GreedyDual
from tuppence.forks import make_fork_safe


class _Kept(NamedTuple):
    value: bytes
    stored_at: float
    expires_at: float
    tags: frozenset[str]
    pico_usd: int


class MemoryStore:
    """A thread-safe store; where there is no room, the answers that are cheapest to buy again go.

    `max_bytes` counts values, not Python's own overhead; a value of more than a sixteenth of it is not kept at all.
    `max_share_per_tenant`, such as 0.25, is the part of both bounds that one tenant's answers may take. `clock` gives
    Unix seconds.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 2**20,
        max_share_per_tenant: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bounds = Bounds(max_entries, max_bytes, max_share_per_tenant)
        self._ranks = GreedyDual(self._bounds)
        self._clock = clock
        self._entries: dict[str, _Kept] = {}
        self._tagged: dict[str, set[str]] = {}
        # Soonest first; what was replaced or removed stays until its time, or until it is swept.
        self._expiries: list[tuple[float, str]] = []
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
            self._ranks.hit(key)
        return entry.value, max(0.0, now - entry.stored_at)

    def put(
        self,
        key: str,
        value: bytes,
        ttl_s: float | None,
        tags: frozenset[str] = frozenset(),
        *,
        pico_usd: int = 0,
        tenant: str | None = None,
    ) -> None:
        now = self._clock()
        with self._lock:
            self.delete(key)
            if not self._bounds.admit(len(value)):
                return
            expires_at = math.inf if ttl_s is None else now + ttl_s
            self._entries[key] = _Kept(value, now, expires_at, tags, pico_usd)
            self._note_expiry(key, expires_at)
            for tag in tags:
                self._tagged.setdefault(tag, set()).add(key)
            self._ranks.put(key, pico_usd=pico_usd, size=len(value), tenant=tenant or "")
            self._make_room(now, tenant or "")

    def used(self, key: str) -> None:
        """Count a hit that was served past `get`."""
        with self._lock:
            self._ranks.hit(key)

    def most_hit(self, n: int) -> list[Stored]:
        """Return the `n` values with the most hits, most first; those without are left out."""
        with self._lock:
            now = self._clock()
            return most_hit_of(
                (
                    Stored(key, one.value, self._ranks.hits(key), one.pico_usd, max(0.0, now - one.stored_at))
                    for key, one in self._entries.items()
                    if now < one.expires_at
                ),
                n,
            )

    def delete(self, key: str) -> None:
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is None:
                return
            self._ranks.forget(key)
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
            self._expiries.clear()
            self._ranks.clear()

    def flush(self) -> None:
        """Return; nothing here outlives the process."""

    def close(self) -> None:
        self.clear()

    def _make_room(self, now: float, tenant: str) -> None:
        """Let go of what has expired, then of what is worth least while a bound is passed."""
        while self._expiries and self._expiries[0][0] <= now:
            at, key = heapq.heappop(self._expiries)
            if key in self._entries and self._entries[key].expires_at == at:
                self.delete(key)
        while (gone := self._ranks.evicted(tenant)) is not None:
            self.delete(gone)

    def _note_expiry(self, key: str, at: float) -> None:
        if at == math.inf:
            return
        heapq.heappush(self._expiries, (at, key))
        if len(self._expiries) > 2 * len(self._entries) + 64:
            self._expiries = [(one.expires_at, k) for k, one in self._entries.items() if one.expires_at < math.inf]
            heapq.heapify(self._expiries)

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()
