"""The protocol of the stores of exact keys, and what they tell of what they keep.

A store keeps bytes under a key and knows nothing of requests; it must never hand out a value that has expired.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from tuppence.cache.replies import glimpsed
from tuppence.prices import usd

__all__ = ["RemoteStore", "Store", "Stored", "most_hit_of"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A value that is kept, and how often it was served."""

    key: str
    value: bytes
    hits: int
    pico_usd: int
    """What it cost; 0 where it was free or its price is unknown."""
    age_s: float

    @property
    def saved(self) -> Decimal:
        """Exact dollars that its hits would have cost again."""
        return usd(self.hits * self.pico_usd)

    @property
    def origin(self) -> str:
        """Id of the logical call that paid for it; empty where the value is no answer."""
        return glimpsed(self.value)[0]

    @property
    def text(self) -> str:
        """The answer's words; empty where the value is no answer."""
        return glimpsed(self.value)[1]


class Store(Protocol):
    """Bytes in, bytes out: keys are hex digits, values JSON text; whatever it raises is recorded.

    `put`, `delete` and `used` never wait for a disk or a network. A store that processes share may offer `Claims`, too.
    """

    def get(self, key: str, /) -> tuple[bytes, float] | None:
        """Return a value and its age in seconds, which counts as a hit; an expired one is never returned."""
        ...

    def put(
        self,
        key: str,
        value: bytes,
        ttl_s: float | None,
        tags: frozenset[str] = frozenset(),
        /,
        *,
        pico_usd: int = 0,
        tenant: str | None = None,
    ) -> None:
        """Keep `value` for `ttl_s` seconds, or for as long as there is room; `invalidate` finds it by its tags.

        What it cost says how long it stays where there is too little room, and `tenant` whose room it takes. The hits
        of a value that it replaces are forgotten.
        """
        ...

    def used(self, key: str, /) -> None:
        """Count a hit that was served past `get`; an unknown key is no error."""
        ...

    def most_hit(self, n: int, /) -> list[Stored]:
        """Return the `n` values with the most hits, most first, equal ones by price and key; without hits, none.

        The hits of other processes may be missing for as long as they keep theirs back, about a minute.
        """
        ...

    def delete(self, key: str, /) -> None: ...

    def invalidate(self, tag: str, /) -> int:
        """Delete every entry that was put with `tag`; return how many could still have been served."""
        ...

    def clear(self) -> None:
        """Delete everything."""
        ...

    def flush(self) -> None:
        """Return once all that was put would survive a kill -9, where the store outlives the process at all."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class RemoteStore(Store, Protocol):
    """A store whose `get` waits for a network, so that an event loop needs another way."""

    async def aget(self, key: str, /) -> tuple[bytes, float] | None: ...


def most_hit_of(kept: Iterable[Stored], n: int) -> list[Stored]:
    """Return what `Store.most_hit` promises, of all that a store keeps."""
    served = (one for one in kept if one.hits)
    return heapq.nsmallest(n, served, key=lambda one: (-one.hits, -one.pico_usd, one.key))
