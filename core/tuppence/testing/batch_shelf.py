"""The batches that a local batch API holds: made one after the other, found by id, listed newest first by pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class HeldBatch:
    """A batch as its API tells of it, and whether it is to end before its lines do."""

    told: dict[str, Any]
    cancelled: threading.Event = field(default_factory=threading.Event)


class BatchShelf:
    """Batches under way and ended; `prefix` begins their ids."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._batches: dict[str, HeldBatch] = {}
        self._lock = threading.Lock()

    def make(self, told: Callable[[str], dict[str, Any]]) -> HeldBatch:
        """Hold a new batch; `told` says what its API tells of one with this id."""
        with self._lock:
            batch_id = f"{self._prefix}_{len(self._batches) + 1:06d}"
            batch = self._batches[batch_id] = HeldBatch(told(batch_id))
        return batch

    def find(self, batch_id: str) -> HeldBatch | None:
        return self._batches.get(batch_id)

    def page(self, *, after: str | None, limit: int) -> dict[str, Any]:
        """Return one page of what is told, newest first."""
        with self._lock:
            newest = [dict(one.told) for one in reversed(self._batches.values())]
        return page_of(newest, after=after, limit=limit)


def page_of(items: Sequence[dict[str, Any]], *, after: str | None, limit: int) -> dict[str, Any]:
    """Return one page of a list, as both providers page: those after the id of the last seen."""
    start = next((index + 1 for index, one in enumerate(items) if one["id"] == after), 0)
    page = list(items[start : start + limit])
    return {
        "data": page, "has_more": start + limit < len(items), "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }  # fmt: skip
