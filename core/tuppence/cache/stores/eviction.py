"""Which entry goes when there is no room: the one whose answer is cheapest to buy again, for the room that it takes.

Greedy-Dual-Size-Frequency (Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
Policy", HPL-98-69R1, 1998): priority = clock + frequency x cost / size, where the clock is the highest priority that
has gone so far. It must never let one entry push out all others.
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


def check_bounds(max_entries: int, max_bytes: int) -> None:
    if max_entries < 1 or max_bytes < 1:
        raise ConfigError(f"max_entries is {max_entries}, max_bytes is {max_bytes}: both must be 1 or more")


def size_of(entry: Entry) -> int:
    """Return the bytes that count: vector, value and question, not Python's own overhead."""
    return entry.vector.nbytes + len(entry.value) + len(entry.question.encode("utf-8", "surrogatepass"))


def cost_of(entry: Entry) -> float:
    """Return the price in pico-USD; a free or unpriced answer counts as one, so that its uses count too."""
    return float(max(entry.pico_usd, 1))


def is_admitted(size: int, max_bytes: int) -> bool:
    return size <= max_bytes * LARGEST_SHARE


@dataclass(slots=True)
class _Kept:
    cost: float
    size: int
    arrival: int
    hits: int
    priority: float


class GreedyDual:
    """The priorities of what is kept within two bounds; for one thread at a time.

    An entry counts as used once when it comes; of equal ones the oldest goes, and the newest may be the one to go.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        check_bounds(max_entries, max_bytes)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._arrivals = 0
        self.clear()

    def clear(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._bytes = 0
        self._clock = 0.0
        # Lowest first; an entry's older places stay until they come up, or are swept.
        self._queue: list[tuple[float, int, str]] = []

    def put(self, entry: Entry) -> None:
        self.forget(entry.id)
        cost, size = cost_of(entry), size_of(entry)
        self._arrivals += 1
        self._kept[entry.id] = _Kept(cost, size, self._arrivals, 0, self._clock + cost / size)
        self._bytes += size
        self._enqueue(entry.id)

    def hit(self, id: str) -> None:  # noqa: A002 (the entry's own word)
        kept = self._kept.get(id)
        if kept is not None:
            kept.hits += 1
            kept.priority = self._clock + (1 + kept.hits) * kept.cost / kept.size
            self._enqueue(id)

    def hits(self, id: str) -> int:  # noqa: A002
        return self._kept[id].hits

    def forget(self, id: str) -> None:  # noqa: A002
        kept = self._kept.pop(id, None)
        if kept is not None:
            self._bytes -= kept.size

    def evicted(self) -> str | None:
        """Take out the next that must go; None once all bounds hold."""
        if len(self._kept) <= self._max_entries and self._bytes <= self._max_bytes:
            return None
        while True:
            priority, arrival, id_ = heapq.heappop(self._queue)
            kept = self._kept.get(id_)
            if kept is not None and (kept.priority, kept.arrival) == (priority, arrival):
                self._clock = max(self._clock, priority)
                self.forget(id_)
                return id_

    def _enqueue(self, id: str) -> None:  # noqa: A002
        kept = self._kept[id]
        heapq.heappush(self._queue, (kept.priority, kept.arrival, id))
        if len(self._queue) > 2 * len(self._kept) + 64:
            self._queue = [(one.priority, one.arrival, id_) for id_, one in self._kept.items()]
            heapq.heapify(self._queue)
