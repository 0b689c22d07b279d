"""The semantic cache's entries in one Redis: how they are found, written, listed and let go.

It must never hand out an entry that is torn, expired or another scope's, and never take an unbounded number of round
trips for a lookup.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import numpy as np
import redis

from tuppence.cache.stores import redis_search as search
from tuppence.cache.stores.eviction import Bounds
from tuppence.cache.stores.redis_documents import Names, unpack, unwrap
from tuppence.cache.stores.redis_link import Command, RedisLink
from tuppence.cache.stores.redis_room import Room
from tuppence.cache.stores.write_behind import Batch
from tuppence.effects import Entry, Neighbour
from tuppence.embed import Vector
from tuppence.errors import CacheError

T = TypeVar("T")
Plan: TypeAlias = Generator[tuple[Command, ...], "list[Any] | CacheError", T]
"""Yields commands to send together and is sent their answers, or the failure."""

AT_ONCE = 32
"""Changes sent in one go: the index takes in each within a millisecond or two, and the link waits for half a second."""
PAGE = 1_000
"""Keys asked for in one go."""
MOST = 1_024
"""Neighbours asked for where nearer ones turn out to have expired."""
EQUAL = 12
"""Decimals to which equal vectors have equal cosines, in whatever order a processor sums."""


class Shelf:
    """The entries under one prefix. `commit` is for one thread at a time; the rest is for any."""

    def __init__(self, link: RedisLink, prefix: str, bounds: Bounds, clock: Callable[[], float]) -> None:
        self.link = link
        self._names = Names(prefix)
        self._clock = clock
        self._room = Room(link, self._names, bounds, clock, self._dropped)
        self._crowds = search.Crowds()
        self._indexed: set[int] = set()

    # -- finding

    def lookup(self, scope: str, vector: Vector, k: int) -> Plan[list[Neighbour]]:
        """Find up to `k` entries of `scope`, nearest first."""
        if k < 1:
            return []
        wanted = np.ascontiguousarray(vector, dtype="<f4")
        asked = k
        while True:
            answer = yield from self._found(scope, wanted, asked)
            now = self._clock()
            whole = [entry for parts in answer if (entry := unpack(parts, len(wanted))) and entry.scope == scope]
            alive = [entry for entry in whole if entry.expires_at is None or now < entry.expires_at]
            if len(alive) >= k or len(answer) < asked or asked >= MOST:
                return _ranked(alive, wanted)[:k]
            asked = min(2 * asked, MOST)

    def _found(self, scope: str, vector: Vector, k: int) -> Plan[list[list[bytes | None]]]:
        dimensions, raw = len(vector), vector.tobytes()
        commands = [search.near(self._names, scope, raw, k, by_graph=self._crowds.by_graph(scope))]
        if counts := self._crowds.due(scope):
            commands.append(search.find(self._names, dimensions, "@scope:{$scope}", 0, 0, scope=scope))
            commands.append(("FT.INFO", self._names.index(dimensions)))
        answers = yield from self._searched(dimensions, tuple(commands))
        found = search.documents(answers[0])
        if empty := [key for key, parts in found.items() if not any(parts)]:
            # They have just expired; or a server in cluster mode (8.2 with search 2.10) finds, but loads nothing.
            read = yield tuple(map(search.read, empty))
            found |= zip(empty, _told(read), strict=True)
        if counts:
            self._crowds.counted(scope, search.total(answers[1]), search.documents_in(answers[2]))
        elif len(found) >= k:
            self._crowds.met(scope)
        return list(found.values())

    def _searched(self, dimensions: int, commands: tuple[Command, ...]) -> Plan[list[Any]]:
        yield from self._index(dimensions)
        answers = yield commands
        if isinstance(answers, CacheError) and isinstance(answers.__cause__, redis.ResponseError):
            # Redis came back empty, or somebody dropped the index.
            self._indexed.discard(dimensions)
            yield from self._index(dimensions)
            answers = yield commands
        return _told(answers)

    def _index(self, dimensions: int) -> Plan[None]:
        """Make the index, unless this process has, or another one."""
        if dimensions in self._indexed:
            return
        made = yield (search.create(self._names, dimensions),)
        if isinstance(made, CacheError):
            there = yield (("FT.INFO", self._names.index(dimensions)),)
            if isinstance(there, CacheError):
                raise CacheError(f"{made} (it takes Redis 8, or one with its search module)") from made.__cause__
        self._indexed.add(dimensions)

    # -- changing

    def commit(self, batch: Batch) -> None:
        """Write a batch; what was written before a failure is written again with the rest, to the same effect."""
        for some in _batches(batch.changes.values(), AT_ONCE):
            now = self._clock()
            added = [(unwrap(c.value), None if c.expires_at is None else c.expires_at - now) for c in some if c.value]
            for dimensions in {document.dimensions for document, _ in added}:
                self.run(self._index(dimensions))
            self.link.run(*(search.put(self._names, document, random.random(), left_s) for document, left_s in added))
        if gone := [id_ for id_, change in batch.changes.items() if change.value is None]:
            self.drop(gone)
        self._write_uses(batch.times)
        if self._room.is_due(len(batch.changes), sum(len(change.value or b"") for change in batch.changes.values())):
            for dimensions in tuple(self._indexed):
                self._room.make(dimensions)

    def drop(self, ids: Iterable[str]) -> int:
        """Delete entries; return how many could still have been served."""
        known = self.dimensions()
        return self._dropped([self._names.entry(id_, dimensions) for id_ in set(ids) for dimensions in known])

    def drop_tagged(self, tag: str) -> int:
        """Delete every entry that has `tag`; return how many could still have been served."""
        dropped = 0
        for dimensions in self.dimensions():
            command = search.find(self._names, dimensions, "@tags:{$tag}", 0, PAGE, tag=tag)
            left = math.inf
            while left > 0:
                (answer,) = self.run(self._searched(dimensions, (command,)))
                dropped += self._dropped(search.keys(answer))
                left = min(left, search.total(answer)) - PAGE
        return dropped

    def erase(self) -> None:
        """Delete every entry; the indexes are made anew, empty."""
        known = self.dimensions()
        for dimensions in known:
            try:
                # First, or the documents would be taken out of its graph one by one, half a millisecond each.
                self.link.run(("FT.DROPINDEX", self._names.index(dimensions)))
            except CacheError as error:
                # Somebody else may clear at the same time.
                if not isinstance(error.__cause__, redis.ResponseError):
                    raise
        for keys in _batches(self.link.keys(f"{self._names.common()}*"), PAGE):
            self.link.run(*(("UNLINK", key) for key in keys))
        self._indexed.clear()
        for dimensions in known:
            self.run(self._index(dimensions))

    # -- listing

    def entries(self, scope: str | None) -> list[tuple[Entry, int]]:
        """Read the entries that are alive, with their uses, those first that were stored first."""
        now = self._clock()
        read = [kept for dimensions in self.dimensions() for kept in self._read(dimensions, scope)]
        alive = {e.id: (e, n) for e, n in read if e.expires_at is None or now < e.expires_at}
        return sorted(alive.values(), key=lambda kept: (kept[0].stored_at, kept[0].id))

    def dimensions(self) -> list[int]:
        """Return the vector lengths that this or another process has kept."""
        return search.lengths(self.link.run(search.indexes(self._names))[0], self._names)

    def run(self, plan: Plan[T]) -> T:
        """Carry a plan out in this thread."""
        try:
            commands = next(plan)
            while True:
                commands = plan.send(self._answers(commands))
        except StopIteration as done:
            result: T = done.value
            return result

    async def arun(self, plan: Plan[T]) -> T:
        """Carry a plan out without blocking the event loop."""
        try:
            commands = next(plan)
            while True:
                try:
                    answers: list[Any] | CacheError = await self.link.arun(*commands)
                except CacheError as error:
                    answers = error
                commands = plan.send(answers)
        except StopIteration as done:
            result: T = done.value
            return result

    def _answers(self, commands: tuple[Command, ...]) -> list[Any] | CacheError:
        try:
            return self.link.run(*commands)
        except CacheError as error:
            return error

    def _dropped(self, keys: Sequence[str]) -> int:
        now = self._clock()
        drops = (search.drop(self._names, key, now) for key in keys)
        return sum(sum(self.link.run(*some)) for some in _batches(drops, AT_ONCE))

    def _read(self, dimensions: int, scope: str | None) -> Iterator[tuple[Entry, int]]:
        query, named = ("*", {}) if scope is None else ("@scope:{$scope}", {"scope": scope})
        offset, left = 0, 1
        while left > 0:
            command = search.find(self._names, dimensions, query, offset, PAGE, **named)
            (answer,) = self.run(self._searched(dimensions, (command,)))
            for keys in _batches(search.keys(answer), AT_ONCE):
                read = self.link.run(*map(search.read, keys))
                uses = self.link.run(*(("GET", self._names.uses(key)) for key in keys))
                for parts, times in zip(read, uses, strict=True):
                    entry = unpack(parts, dimensions)
                    if entry is not None and scope in (None, entry.scope):
                        yield entry, int(times or 0)
            offset += PAGE
            left = search.total(answer) - offset

    def _write_uses(self, times: Mapping[str, int]) -> None:
        # An entry that was found is in an index that this process knows.
        keys = [(self._names.entry(id_, d), n) for id_, n in times.items() for d in tuple(self._indexed)]
        for some in _batches(keys, AT_ONCE):
            self.link.run(*(search.use(self._names, key, n) for key, n in some))


def _told(answers: list[Any] | CacheError) -> list[Any]:
    if isinstance(answers, CacheError):
        raise answers
    return answers


def _ranked(entries: Sequence[Entry], wanted: Vector) -> list[Neighbour]:
    """Order entries by their cosine with `wanted`, equally near ones by id."""
    if not entries:
        return []
    cosines = np.array([entry.vector for entry in entries], dtype=np.float64) @ wanted.astype(np.float64)
    near = [Neighbour(entry, min(max(s, -1.0), 1.0)) for entry, s in zip(entries, cosines.tolist(), strict=True)]
    return sorted(near, key=lambda one: (-round(one.similarity, EQUAL), one.entry.id))


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
