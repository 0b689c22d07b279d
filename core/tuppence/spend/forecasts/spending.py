"""What a ledger spent in each hour, by scope: one question, much cheaper than all that a cell holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select

from tuppence.errors import LedgerError
from tuppence.prices import PicoUSD
from tuppence.spend.cells import KEYS
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts, days
from tuppence.spend.selection import Selection
from tuppence.spend.sums import Adding, summed, total

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class HourSpent:
    """One hour of one scope."""

    start_us: int
    key: tuple[str | None, ...]
    pico_usd: PicoUSD
    unpriced: int


def spending(place: str | Path, selection: Selection, by: Sequence[str]) -> list[HourSpent]:
    """Read what was spent. Days that were rolled up are spread over their hours: how, nobody knows any more.

    Raises `LedgerError` for an unknown key or a place that is not a ledger.
    """
    unknown = [name for name in by if name not in KEYS]
    if unknown:
        raise LedgerError(f"spending cannot be kept apart by {unknown}: it can by {list(KEYS)}")
    with reading(place) as connection:
        found = [
            HourSpent(hour * HOUR_US, tuple(key), total(pico), rows - priced)
            for hour, rows, priced, pico, *key in summed(connection, lambda adding: _hours(selection, by, adding))
        ]
        if selection.in_days(by):
            for day, unpriced, pico, *key in summed(connection, lambda adding: _days(selection, by, adding)):
                found += _spread(day * DAY_US, tuple(key), total(pico), total(unpriced))
    return found


def _hours(selection: Selection, by: Sequence[str], adding: Adding) -> Select[Any]:
    c = attempts.c
    keys = ((c.started_us // HOUR_US).label("hour"), *(c[name] for name in by))
    figures = (func.count(), func.count(c.pico_usd), adding(c.pico_usd))
    return select(keys[0], *figures, *keys[1:]).where(selection.met_by(attempts)).group_by(*keys)


def _days(selection: Selection, by: Sequence[str], adding: Adding) -> Select[Any]:
    c = days.c
    keys = ((c.day_us // DAY_US).label("day"), *(c[name] for name in by))
    figures = (adding(c.unpriced), adding(c.pico_usd))
    return select(keys[0], *figures, *keys[1:]).where(selection.met_by_day()).group_by(*keys)


def _spread(start_us: int, key: tuple[str | None, ...], pico: PicoUSD, unpriced: int) -> list[HourSpent]:
    each, left = divmod(pico, 24)
    return [
        HourSpent(start_us + hour * HOUR_US, key, each + (hour < left), unpriced if hour == 0 else 0)
        for hour in range(24)
    ]
