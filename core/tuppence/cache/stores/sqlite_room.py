"""Greedy-Dual-Size-Frequency over the rows of a SQLite table, in the order that `eviction` keeps in this process.

The table holds the priorities, so that processes share them, and triggers keep its sums: making room reads no more rows
than go, and one that is asked about only the sums.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from tuppence.cache.stores.eviction import Bounds


class RankedRows:
    """A table with the columns seq, size, hits and priority; used inside a transaction.

    `sums` has one row: entries, bytes and clock. `key` names a row, and `cost` is what an answer cost as SQL knows it.
    Raises `sqlite3.Error`.
    """

    def __init__(self, *, table: str, sums: str, key: str, cost: str) -> None:
        self._use = f"""
            UPDATE {table} SET hits = hits + ?1,
                priority = (SELECT clock FROM {sums}) + (1 + hits + ?1) * {cost} / max(size, 1)
            WHERE {key} = ?2
        """
        self._sums = f"SELECT entries, bytes FROM {sums}"
        self._cheapest = f"SELECT seq, size, priority FROM {table} ORDER BY priority, seq"
        self._cheapest_of_tenant = f"SELECT seq, size, priority FROM {table} WHERE tenant = ? ORDER BY priority, seq"
        self._delete = f"DELETE FROM {table} WHERE seq = ?"
        self._raise_clock = f"UPDATE {sums} SET clock = max(clock, ?)"

    def note_uses(self, rows: sqlite3.Connection, times: Mapping[str, int]) -> None:
        """Count how often rows were served since the last time."""
        rows.executemany(self._use, [(n, key) for key, n in times.items()])

    def make_room(self, rows: sqlite3.Connection, bounds: Bounds) -> None:
        """Delete what is worth least until the bounds hold."""
        self._delete_least(rows, bounds, rows.execute(self._sums).fetchone(), self._cheapest, ())

    def make_room_of_tenants(
        self, rows: sqlite3.Connection, bounds: Bounds, sums: Iterable[tuple[str, int, int]]
    ) -> None:
        """Do the same for tenants, of each its entries and bytes; the table has a column `tenant` then."""
        for tenant, *taken in sums:
            self._delete_least(rows, bounds, taken, self._cheapest_of_tenant, (tenant,))

    def _delete_least(
        self, rows: sqlite3.Connection, bounds: Bounds, taken: Iterable[int], select: str, whose: tuple[str, ...]
    ) -> None:
        entries, size = taken
        if not bounds.passed(entries, size):
            return
        gone: list[tuple[int]] = []
        priority = 0.0
        for seq, freed, priority in rows.execute(select, whose):  # noqa: B007 (the last one's is the new clock)
            gone.append((seq,))
            entries, size = entries - 1, size - freed
            if not bounds.passed(entries, size):
                break
        rows.executemany(self._delete, gone)
        rows.execute(self._raise_clock, (priority,))
