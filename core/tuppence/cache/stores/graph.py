"""A graph that finds neighbours among many vectors without comparing with all of them, and how one is built aside.

It proposes and never decides: what it proposes is compared exactly. No lookup ever waits for one to be built.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

import numpy as np

from tuppence.embed import Vector, Vectors

Locked: TypeAlias = Callable[[], AbstractContextManager[object]]
"""Gives the lock that guards the vectors; after a fork it is another one."""

# usearch and faiss-cpu were measured side by side (docs/caching.md). They find the same; faiss searches a third faster,
# but in a forked child it hangs. 8-bit copies are searched twice as fast as floats, at a quarter of their size; what
# they blur is compared exactly afterwards.
CONNECTIVITY = 16
EXPANSION_ADD = 128
EXPANSION_SEARCH = 96
"""Of 86,000 questions, the nearest above cosine .6 was found in .998 of lookups; with 64 in .995, with 128 in .999 and
a third slower."""
MANY = 250_000
EXPANSION_AMONG_MANY = 192
"""Of a million, it was found in .991 of lookups; with 96 in .987."""
SPARE = 8
"""Proposals beyond those asked for: by 8 bits a number, near ones may trade places."""
CHUNK = 256
"""Vectors added between two looks at whether the graph is still wanted: 0.1 s."""
CATCH_UP = 64
"""Vectors that may be added while lookups wait: 20 ms, once."""


class Graph:
    """A set of vectors by handle that proposes neighbours; not exact, and for one thread at a time."""

    def __init__(self, dimensions: int) -> None:
        # Its import takes 0.2 s, and most programs never have so many entries.
        from usearch.index import Index

        self._index = Index(
            ndim=dimensions, metric="cos", dtype="i8", connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        )  # fmt: skip
        # Those that are gone still lead the way, and every lookup found the nearest after half of 10,000 questions had
        # been replaced six times; with usearch's own removal, which gives their places to others, .993 to .998 did.
        self._gone: set[int] = set()

    @property
    def is_worn(self) -> bool:
        """Whether so many are gone, half as many as are there, that a new graph would be worth its time."""
        return 3 * len(self._gone) > len(self._index)

    def put(self, handles: Sequence[int], vectors: Vectors) -> None:
        # As many threads as the machine has would leave none for the program.
        self._index.add(np.array(handles, dtype=np.uint64), vectors, threads=1)
        if len(self._index) > MANY:
            # Its setter stands apart from its getter, where mypy does not look.
            self._index.expansion_search = EXPANSION_AMONG_MANY  # type: ignore[misc]

    def drop(self, handle: int) -> None:
        """Propose `handle` no more; one that was never put is no error."""
        if self._index.contains(handle):
            self._gone.add(handle)

    def lacks(self, handles: Sequence[int]) -> list[int]:
        """Return those of `handles` that it does not have."""
        there = np.asarray(self._index.contains(np.array(handles, dtype=np.uint64)))
        return [handle for handle, is_there in zip(handles, there.tolist(), strict=True) if not is_there]

    def near(self, vector: Vector, k: int) -> list[int]:
        """Propose `k` or somewhat more, as long as there are so many."""
        wanted = k + SPARE
        while True:
            proposed: list[int] = self._index.search(vector, wanted, threads=1).keys.tolist()
            there = [handle for handle in proposed if handle not in self._gone]
            if len(there) >= k or len(proposed) < wanted:
                return there
            # A whole neighbourhood may be gone, as after an invalidation.
            wanted *= 4


class Source(Protocol):
    """The vectors that a graph is built from."""

    @property
    def dimensions(self) -> int: ...

    def handles(self) -> Sequence[int]: ...

    def copied(self, handles: Iterable[int]) -> tuple[list[int], Vectors]: ...

    def use(self, graph: Graph) -> None: ...


class Builder:
    """Builds one graph for a scope in a thread of its own; `locked` guards the scope's vectors.

    A build that is given up, or cut off by a fork or the end of the program, leaves the scope as it was.
    """

    def __init__(self, vectors: Source, locked: Locked) -> None:
        self._vectors = vectors
        self._locked = locked
        self._given_up = False
        self._dropped: list[int] = []
        # A daemon that comes back from native code into an interpreter that is going aborts the process; this one is
        # waited for, and looks at the main thread.
        self._thread = threading.Thread(target=self._build, name="tuppence-graph", daemon=False)

    def start(self) -> None:
        self._thread.start()

    def give_up(self) -> None:
        self._given_up = True

    def dropped(self, handle: int) -> None:
        """Note that a vector is gone that may have been added already."""
        self._dropped.append(handle)

    def join(self) -> None:
        """Return once the graph is in use or given up."""
        self._thread.join()

    def _build(self) -> None:
        graph = Graph(self._vectors.dimensions)
        while self._is_wanted():
            with self._locked():
                missing = graph.lacks(self._vectors.handles())
                if len(missing) <= CATCH_UP and self._is_wanted():
                    self._hand_over(graph, missing)
                    return
            for begin in range(0, len(missing), CHUNK):
                if not self._is_wanted():
                    return
                with self._locked():
                    chunk = self._vectors.copied(missing[begin : begin + CHUNK])
                graph.put(*chunk)

    def _is_wanted(self) -> bool:
        return not self._given_up and threading.main_thread().is_alive()

    def _hand_over(self, graph: Graph, missing: Sequence[int]) -> None:
        graph.put(*self._vectors.copied(missing))
        for handle in self._dropped:
            graph.drop(handle)
        self._vectors.use(graph)
