"""The protocol of the stores that keep a semantic cache's entries.

A store finds neighbours and never decides whether one may be served; it must never hand out an entry of another scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from tuppence.effects import Entry, Neighbour
from tuppence.embed import Vector

__all__ = ["Entry", "Neighbour", "SimilarStore"]


class SimilarStore(Protocol):
    """Keeps entries and finds those near a vector, within one scope; whatever it raises is recorded.

    Safe to use from threads, from tasks of any event loop, and after a fork. The async methods do as the sync ones do
    and never block the loop for longer than a lookup in memory takes.
    """

    def nearest(self, scope: str, vector: Vector, k: int, /) -> list[Neighbour]:
        """Return up to `k` entries of `scope`, nearest first, equally near ones by id; never an expired one.

        Vectors of another length than `vector` are no neighbours of it.
        """
        ...

    async def anearest(self, scope: str, vector: Vector, k: int, /) -> list[Neighbour]: ...

    def add(self, entry: Entry, /) -> None:
        """Keep `entry` in place of one with its id, whose hits are forgotten; raises `ConfigError` for a bad vector.

        Returns before it is safe from a kill; after `flush` it is, and every lookup finds it.
        """
        ...

    def used(self, id: str, /) -> None:  # noqa: A002 (the entry's own word)
        """Note that an entry was served: it stays longer, and its hits count it. An unknown id is no error."""
        ...

    def remove(self, ids: Iterable[str], /) -> int:
        """Delete entries; return how many there were, expired ones not counted."""
        ...

    def invalidate(self, tag: str, /) -> int:
        """Delete every entry that has `tag`, in every scope and process; return how many there were."""
        ...

    def entries(self, scope: str | None = None, /) -> Sequence[tuple[Entry, int]]:
        """Return the entries, of one scope or of all, with how often each was served; expired ones left out."""
        ...

    def flush(self) -> None:
        """Return once all that was added would survive a kill -9, where the store outlives the process at all."""
        ...

    def clear(self) -> None: ...
    def close(self) -> None: ...
