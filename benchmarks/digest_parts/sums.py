"""A made-up week as sums of days, with everything that the ledger's cells say and the digest reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import fields, replace

import numpy as np
from months import Month
from months.columns import Day
from months.hours import HourCell, hour_cells
from months.ladder import STANDARD

from tuppence.spend.cells import Cell

CACHED, PUT = 1, 2
"""Buckets of the generator."""


def day_cells(made: Month, days: Sequence[Day], by: Sequence[str]) -> Iterator[Cell]:
    """Yield the week's cells by day. The generator's own tell neither what is put into the prompt cache nor lanes: they
    are asked again, with these tokens alone.
    """

    def asked(those: Sequence[Day]) -> list[HourCell]:
        return hour_cells(made.world, those, by, "day")

    put, lanes = asked([_put(day) for day in days]), asked([_discounted(day) for day in days])
    names = [one.name for one in fields(HourCell)]
    for cell, into_cache, lane in zip(asked(days), put, lanes, strict=True):
        yield Cell(
            **{name: getattr(cell, name) for name in names},
            cache_write_5m=into_cache.cached_tokens,
            discounted_fresh=lane.input_tokens - lane.cached_tokens,
            discounted_cached=lane.cached_tokens,
            discounted_output=lane.output_tokens,
        )


def _put(day: Day) -> Day:
    used = np.zeros_like(day.rows.used)
    used[:, CACHED] = day.rows.used[:, PUT]
    return _with(day, used)


def _discounted(day: Day) -> Day:
    return _with(day, day.rows.used * (day.rows.lane != STANDARD)[:, None])


def _with(day: Day, used: np.ndarray) -> Day:
    other = copy(day)
    other.rows = replace(day.rows, used=used)
    return other
