"""Which entry goes when there is no room: the one whose answer is cheapest to buy again, for the room that it takes.

Greedy-Dual-Size-Frequency (Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
Policy", HPL-98-69R1, 1998): priority = clock + frequency x cost / size, where the clock is the highest priority that
has gone so far. It must never let one entry push out all others, nor one tenant.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from tuppence.effects import Entry
from tuppence.errors import ConfigError

MAX_ENTRIES = 100_000
MAX_BYTES = 256 * 2**20
"""Room for 100,000 entries of 384 dimensions with a kilobyte of text each."""
LARGEST_SHARE = 1 / 16
"""The share of `max_bytes` that one entry may take: sixteen of the largest still fit."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the entries of a store may take; None leaves a bound open.

    `max_share_per_tenant` is the part of each bound that is one tenant's at most; entries of no tenant share one part.
    Raises `ConfigError` for what leaves no room, and for a part of nothing.
    """

    max_entries: int | None
    max_bytes: int | None
    max_share_per_tenant: float | None = None

    def __post_init__(self) -> None:
        for name, bound in (("max_entries", self.max_entries), ("max_bytes", self.max_bytes)):
            if bound is not None and bound < 1:
                raise ConfigError(f"{name} is {bound}: it must be 1 or more")
        share = self.max_share_per_tenant
        if share is None:
            return
        if not 0.0 < share < 1.0:
            raise ConfigError(f"max_share_per_tenant is {share}: it must be above 0 and below 1, or None for no quota")
        if self.are_open:
            raise ConfigError(f"max_share_per_tenant is {share}, but of what? Give max_entries or max_bytes, too")

    @property
    def are_open(self) -> bool:
        return self.max_entries is None and self.max_bytes is None

    def of_one_tenant(self) -> Bounds | None:
        """Return what one tenant's entries may take; None where they are bounded by nothing of their own."""
        share = self.max_share_per_tenant
        if share is None:
            return None
        entries, bytes_ = (all_ and max(1, int(all_ * share)) for all_ in (self.max_entries, self.max_bytes))
        return Bounds(entries, bytes_)

    def passed(self, entries: int, size: float) -> bool:
        """Say whether so many entries, of `size` bytes together, are too much."""
        return (self.max_entries is not None and entries > self.max_entries) or (
            self.max_bytes is not None and size > self.max_bytes
        )

    def admit(self, size: int) -> bool:
        """Say whether an entry of `size` bytes may come in at all: it must leave room for others."""
        if self.max_bytes is None:
            return True
        return size <= self.max_bytes * min(LARGEST_SHARE, self.max_share_per_tenant or 1.0)


def size_of(entry: Entry) -> int:
    """Return the bytes that count: vector, value and question, not Python's own overhead."""
    return entry.vector.nbytes + len(entry.value) + len(entry.question.encode("utf-8", "surrogatepass"))


def cost_of(pico_usd: int) -> float:
    """Return the price in pico-USD; a free or unpriced answer counts as one, so that its uses count too."""
    return float(max(pico_usd, 1))


@dataclass(slots=True, eq=False)
class _Kept:
    id: str
    cost: float
    size: int
    tenant: str
    arrival: int
    clock: float
    """Where the clock stood when it was last used."""
    hits: int = 0
    is_gone: bool = False

    @property
    def priority(self) -> float:
        return self.clock + (1 + self.hits) * self.cost / (self.size or 1)


class _Room:
    """What is kept under one set of bounds: all there is, or one tenant's part of it."""

    __slots__ = ("bytes", "entries", "queue")

    def __init__(self) -> None:
        self.entries = 0
        self.bytes = 0
        # Lowest first. A place may be out of date, as priorities only rise: it is looked at when it comes up.
        self.queue: list[tuple[float, int, _Kept]] = []

    def add(self, kept: _Kept) -> None:
        self.entries += 1
        self.bytes += kept.size
        heapq.heappush(self.queue, (kept.priority, kept.arrival, kept))
        if len(self.queue) > 2 * self.entries + 64:
            alive = (one for _, _, one in self.queue if not one.is_gone)
            self.queue = [(one.priority, one.arrival, one) for one in alive]
            heapq.heapify(self.queue)

    def remove(self, kept: _Kept) -> None:
        self.entries -= 1
        self.bytes -= kept.size

    def least(self) -> _Kept:
        """Return the one that is worth least; there must be one."""
        while True:
            priority, arrival, kept = self.queue[0]
            if kept.is_gone:
                heapq.heappop(self.queue)
            elif (risen := kept.priority) > priority:
                heapq.heapreplace(self.queue, (risen, arrival, kept))
            else:
                return kept


class GreedyDual:
    """The priorities of what is kept within bounds; for one thread at a time.

    An entry counts as used once when it comes; of equal ones the oldest goes, and the newest may be the one to go. A
    hit is but counted: the order is put right by who makes room.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._part = bounds.of_one_tenant()
        self._arrivals = 0
        self.clear()

    def clear(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._clock = 0.0
        self._all = _Room()
        self._tenants: dict[str, _Room] = {}

    def put(self, id: str, *, pico_usd: int, size: int, tenant: str = "") -> None:  # noqa: A002 (the entry's own word)
        """Keep an entry in place of one with its id, whose hits are forgotten; then ask who is `evicted`."""
        self.forget(id)
        self._arrivals += 1
        kept = self._kept[id] = _Kept(id, cost_of(pico_usd), size, tenant, self._arrivals, self._clock)
        self._all.add(kept)
        if self._part is not None:
            self._tenants.setdefault(tenant, _Room()).add(kept)

    def hit(self, id: str) -> None:  # noqa: A002
        kept = self._kept.get(id)
        if kept is not None:
            kept.hits += 1
            kept.clock = self._clock

    def hits(self, id: str) -> int:  # noqa: A002
        return self._kept[id].hits

    def forget(self, id: str) -> None:  # noqa: A002
        kept = self._kept.pop(id, None)
        if kept is None:
            return
        kept.is_gone = True
        self._all.remove(kept)
        if self._part is not None:
            part = self._tenants[kept.tenant]
            part.remove(kept)
            if not part.entries:
                del self._tenants[kept.tenant]

    def evicted(self, tenant: str = "") -> str | None:
        """Take out the next that must go since `tenant` put something: its own first; None once all bounds hold."""
        part = self._tenants.get(tenant)
        if part is not None and self._part is not None and self._part.passed(part.entries, part.bytes):
            return self._let_go(part.least())
        if self._bounds.passed(self._all.entries, self._all.bytes):
            return self._let_go(self._all.least())
        return None

    def _let_go(self, kept: _Kept) -> str:
        self._clock = max(self._clock, kept.priority)
        self.forget(kept.id)
        return kept.id
