"""The vectors of one scope, and which of them lie nearest to another: compared one by one, and once they are many, by
a graph that says which ones to compare.

What it says of a pair is the cosine itself, never an estimate of it, and the same wherever the vectors lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tuppence.cache.stores.graph import Builder, Graph, Locked
from tuppence.embed import Vector, Vectors
from tuppence.errors import ConfigError

EXACT_UP_TO = 4_096
"""Comparing with each of so many takes 0.09 ms at 384 dimensions, asking the graph 0.1 ms and up."""
SMALLEST = 4
"""Rows to begin with: most scopes are one conversation's."""
NOISE = 2e-6
"""More than the order of a sum moves a cosine in float32, so that none of equally near vectors is cut off."""


class Near(NamedTuple):
    """Vectors near another one, in no order."""

    handles: Sequence[int]
    cosines: Sequence[float]
    vectors: Vectors
    """A copy of the caller's own, a row for each handle."""


def unit(vector: Vector) -> Vector:
    """Return `vector` as float32; raises `ConfigError` where it is not one vector of length 1."""
    row = np.asarray(vector, dtype=np.float32)
    length = float(np.sqrt(row @ row)) if row.ndim == 1 else float("nan")
    if not 0.99 < length < 1.01:
        raise ConfigError(
            f"a vector has shape {row.shape} and length {length:.3g}: an Embedder returns rows of length 1; normalise"
        )
    return row


def cosines(vectors: Vectors, vector: Vector) -> npt.NDArray[np.float64]:
    """Return the cosine of `vector` with each row: for equal rows an equal one, which a matrix product may not give."""
    products = vectors.astype(np.float64) * vector.astype(np.float64)
    sums: npt.NDArray[np.float64] = np.ascontiguousarray(products).sum(axis=1)
    return sums.clip(-1.0, 1.0)


class ScopeVectors:
    """Vectors by handle, a number that is never used again; for one thread at a time.

    Rows lie without gaps: the last one moves to where one is taken out. Memory that is no longer needed is given back.
    `locked` is what a thread that builds a graph holds while it looks in.
    """

    def __init__(self, dimensions: int, locked: Locked) -> None:
        self.dimensions = dimensions
        self._locked = locked
        self._graph: Graph | None = None
        self._builder: Builder | None = None
        self._rows: Vectors = np.empty((SMALLEST, dimensions), dtype=np.float32)
        self._handles: list[int] = []
        self._slots: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._handles)

    def put(self, handle: int, vector: Vector) -> None:
        slot = len(self._handles)
        if slot == len(self._rows):
            self._resize(slot + max(SMALLEST, slot // 2))
        self._rows[slot] = vector
        self._handles.append(handle)
        self._slots[handle] = slot
        if self._graph is not None:
            self._graph.put([handle], self._rows[slot : slot + 1])
        self._have_graph()

    def drop(self, handle: int) -> None:
        slot, last = self._slots.pop(handle), self._handles.pop()
        if last != handle:
            self._rows[slot] = self._rows[len(self._handles)]
            self._handles[slot] = last
            self._slots[last] = slot
        if self._graph is not None:
            self._graph.drop(handle)
        if self._builder is not None:
            self._builder.dropped(handle)
        if len(self) < EXACT_UP_TO // 2:
            self.give_up_graph()
        if len(self) < len(self._rows) // 4 and len(self._rows) > SMALLEST:
            self._resize(max(SMALLEST, 2 * len(self)))
            # A dictionary never shrinks by itself.
            self._slots = dict(self._slots)

    def use(self, graph: Graph) -> None:
        """Find neighbours by `graph` from now on; it has all handles that are here."""
        self._graph, self._builder = graph, None

    def give_up_graph(self) -> None:
        """Compare with each again; a graph that is being built will not be used."""
        self._graph = None
        if self._builder is not None:
            self._builder.give_up()
            self._builder = None

    def forget_builder(self) -> None:
        """Begin anew in a forked child, where the thread that was building is not."""
        self._builder = None

    def await_graph(self) -> None:
        """Return once no graph is being built; not to be called by who holds the lock."""
        builder = self._builder
        if builder is not None:
            builder.join()

    def nearest(self, vector: Vector, k: int) -> Near:
        """Return up to `k` of the nearest, and those as near as the last of them."""
        if self._graph is None:
            found = self._nearest_of_all(vector, k)
        else:
            found = [self._slots[handle] for handle in self._graph.near(vector, k)]
        vectors = self._rows.take(found, axis=0)
        return Near([self._handles[slot] for slot in found], cosines(vectors, vector).tolist(), vectors)

    def handles(self) -> Sequence[int]:
        return tuple(self._handles)

    def copied(self, handles: Iterable[int]) -> tuple[list[int], Vectors]:
        """Return those of `handles` that are still there, with copies of their vectors."""
        there = [handle for handle in handles if handle in self._slots]
        return there, self._rows[[self._slots[handle] for handle in there]]

    def _nearest_of_all(self, vector: Vector, k: int) -> list[int]:
        near = self._rows[: len(self)] @ vector
        if len(near) <= k:
            return list(range(len(near)))
        edge = np.partition(near, len(near) - k)[len(near) - k]
        found: list[int] = np.flatnonzero(near >= edge - NOISE).tolist()
        return found

    def _have_graph(self) -> None:
        is_wanted = self._graph is None or self._graph.is_worn
        if is_wanted and self._builder is None and len(self) > EXACT_UP_TO:
            self._builder = Builder(self, self._locked)
            self._builder.start()

    def _resize(self, rows: int) -> None:
        resized = np.empty((rows, self.dimensions), dtype=np.float32)
        resized[: len(self)] = self._rows[: len(self)]
        self._rows = resized
