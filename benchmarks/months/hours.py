"""A month as hourly or daily cells: added up from the same columns as its rows, so equal to their sum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import starmap

import numpy as np

from months.columns import Day
from months.world import World

HOUR_US = 3_600_000_000
_SUMS = (
    "calls", "attempts", "hits", "failures", "retries", "input_tokens", "cached_tokens", "output_tokens", "pico_usd",
    "unpriced", "compared", "baseline_pico", "compared_pico",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HourCell:
    """What one group of attempts came to in one hour or day; `tuppence.spend.cells` explains the fields."""

    start_us: int
    key: tuple[str | None, ...]
    calls: int
    attempts: int
    hits: int
    failures: int
    retries: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    pico_usd: int
    unpriced: int
    compared: int
    baseline_pico: int
    compared_pico: int
    latency_ms: float


def hour_cells(world: World, days: Iterable[Day], by: Sequence[str], every: str) -> list[HourCell]:
    """Add attempts up by hour or day and by any of the dimensions of `Day.labels`, sorted by time and key."""
    hours = {"hour": 1, "day": 24}[every]
    found: dict[tuple[int, tuple[str | None, ...]], list[float]] = {}
    for day in days:
        slot = (day.rows.at // (3600 * hours)).astype(np.int64)
        labels = [day.labels(name) for name in by]
        group, first = _grouped(slot, [codes for codes, _ in labels])
        sums = _added(day, group, len(first))
        for place, row in enumerate(first):
            key = tuple(starmap(lambda codes, names, row=row: names(int(codes[row])), labels))
            held = found.setdefault((int(slot[row]), key), [0] * (len(_SUMS) + 1))
            for column, value in enumerate(sums):
                held[column] += value[place].item()
    start = int(world.start.timestamp() * 1e6)
    cells = [HourCell(start + slot * hours * HOUR_US, key, *sums) for (slot, key), sums in found.items()]
    return sorted(cells, key=lambda cell: (cell.start_us, tuple(part or "" for part in cell.key)))


def _grouped(slot: np.ndarray, codes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Number the groups; return each row's group and each group's first row."""
    combined = slot - slot.min(initial=0)
    for part in codes:
        part = part - part.min(initial=0)
        combined = combined * (int(part.max(initial=0)) + 1) + part
    _, first, group = np.unique(combined, return_index=True, return_inverse=True)
    return group, first


def _added(day: Day, group: np.ndarray, groups: int) -> list[np.ndarray]:
    rows = day.rows
    figures = (
        day.own, ~day.hit, day.hit, day.failed, day.retry, rows.used[:, :3].sum(axis=1), rows.used[:, 1],
        rows.used[:, 3], np.maximum(day.money.pico, 0), day.money.pico < 0, day.answers,
        np.where(day.answers, day.money.baseline, 0), np.where(day.compared, day.money.pico, 0),
    )  # fmt: skip
    sums = []
    for figure in figures:
        total = np.zeros(groups, np.int64)
        np.add.at(total, group, figure.astype(np.int64))
        sums.append(total)
    return [*sums, np.bincount(group, rows.latency_ms, groups)]
