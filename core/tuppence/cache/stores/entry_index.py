"""Entries in this process, found by id or by nearness within a scope; what every in-process lookup goes through.

It bounds nothing and writes nothing: that is for the store around it. It must never find an entry that has expired, or
one of another scope.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from tuppence.effects import Entry, Neighbour
from tuppence.embed import Vector
from tuppence.errors import ConfigError

if TYPE_CHECKING:
    from tuppence.cache.stores.vectors import ScopeVectors


class _Kept(NamedTuple):
    """An entry without its vector, which lies with those of its scope; and what the store knows it by."""

    id: str
    scope: str
    question: str
    value: bytes
    answer: str
    tags: frozenset[str]
    pico_usd: int
    stored_at: float
    expires_at: float | None
    stamp: str
    vectors: ScopeVectors

    def entry(self, vector: Vector) -> Entry:
        return Entry(
            self.id, self.scope, self.question, vector, self.value, self.answer, self.tags, self.pico_usd,
            self.stored_at, self.expires_at,
        )  # fmt: skip


class EntryIndex:
    """Entries by id. Whoever calls holds `lock`, and tells it of forks.

    Raises `ConfigError` where the extra `semantic` is not installed, and for vectors that are not of length 1.
    Vectors of another length than a lookup's are no neighbours of it.
    """

    def __init__(self) -> None:
        _require("numpy", "usearch")
        # Loaded here, so that a program without a semantic cache does without numpy.
        from tuppence.cache.stores import vectors

        self._vectors = vectors
        self.lock = threading.RLock()
        self._last_handle = 0
        self._begin()

    def _begin(self) -> None:
        self._handles: dict[str, int] = {}
        self._kept: dict[int, _Kept] = {}
        self._scopes: dict[tuple[str, int], ScopeVectors] = {}
        # Soonest first; what was replaced or removed stays until its time, or until it is swept.
        self._expiries: list[tuple[float, int]] = []

    def add(self, entry: Entry, stamp: str = "") -> None:
        """Keep `entry` in place of one with its id; `stamp` tells one addition of an id from another."""
        vector = self._vectors.unit(entry.vector)
        self.discard(entry.id)
        place = (entry.scope, len(vector))
        scope = self._scopes.get(place)
        if scope is None:
            scope = self._scopes[place] = self._vectors.ScopeVectors(len(vector), lambda: self.lock)
        self._last_handle += 1
        handle = self._handles[entry.id] = self._last_handle
        self._kept[handle] = _Kept(
            entry.id, entry.scope, entry.question, entry.value, entry.answer, entry.tags, entry.pico_usd,
            entry.stored_at, entry.expires_at, stamp, scope,
        )  # fmt: skip
        scope.put(handle, vector)
        if entry.expires_at is not None:
            self._note_expiry(entry.expires_at, handle)

    def discard(self, id: str) -> bool:  # noqa: A002 (the entry's own word)
        """Delete an entry; return whether it was there."""
        handle = self._handles.pop(id, None)
        if handle is None:
            return False
        kept = self._kept.pop(handle)
        kept.vectors.drop(handle)
        if not len(kept.vectors):
            del self._scopes[kept.scope, kept.vectors.dimensions]
        return True

    def expire(self, now: float) -> list[str]:
        """Delete what has expired by `now`; return the ids."""
        gone: list[str] = []
        while self._expiries and self._expiries[0][0] <= now:
            kept = self._kept.get(heapq.heappop(self._expiries)[1])
            if kept is not None:
                gone.append(kept.id)
                self.discard(kept.id)
        return gone

    def nearest(self, scope: str, vector: Vector, k: int) -> list[Neighbour]:
        """Return up to `k` entries of `scope`, nearest first, equally near ones by id; `expire` first."""
        vector = self._vectors.unit(vector)
        vectors = self._scopes.get((scope, len(vector)))
        if vectors is None or k < 1:
            return []
        near = vectors.nearest(vector, k)
        found = [self._kept[handle] for handle in near.handles]
        ranked = sorted(
            (-cosine, kept.id, row) for row, (cosine, kept) in enumerate(zip(near.cosines, found, strict=True))
        )
        return [Neighbour(found[row].entry(near.vectors[row]), -away) for away, _, row in ranked[:k]]

    def stamp(self, id: str) -> str | None:  # noqa: A002
        """Return what the entry was added with; None where there is none."""
        handle = self._handles.get(id)
        return None if handle is None else self._kept[handle].stamp

    def tagged(self, tag: str) -> list[str]:
        """Return the ids of the entries that have `tag`."""
        return [kept.id for kept in self._kept.values() if tag in kept.tags]

    def entries(self, scope: str | None) -> Iterator[Entry]:
        """Yield the entries of a scope, or all, oldest first."""
        for handle, kept in self._kept.items():
            if scope is None or kept.scope == scope:
                yield kept.entry(kept.vectors.copied([handle])[1][0])

    def clear(self) -> None:
        for scope in self._scopes.values():
            scope.give_up_graph()
        self._begin()

    def await_graphs(self) -> None:
        """Return once no graph is being built; the one call that is made without the lock."""
        with self.lock:
            scopes = list(self._scopes.values())
        for scope in scopes:
            scope.await_graph()

    def before_fork(self) -> None:
        self.lock.acquire()

    def after_fork_in_parent(self) -> None:
        self.lock.release()

    def after_fork_in_child(self) -> None:
        self.lock = threading.RLock()
        for scope in self._scopes.values():
            scope.forget_builder()

    def _note_expiry(self, at: float, handle: int) -> None:
        heapq.heappush(self._expiries, (at, handle))
        if len(self._expiries) > 2 * len(self._kept) + 64:
            self._expiries = [(kept.expires_at, one) for one, kept in self._kept.items() if kept.expires_at is not None]
            heapq.heapify(self._expiries)


def _require(*libraries: str) -> None:
    for library in libraries:
        if find_spec(library) is None:
            raise ConfigError(
                f"a semantic cache compares with {library}, which is not installed: pip install 'tuppence[semantic]'"
            )
