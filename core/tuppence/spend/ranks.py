"""Exact ranks of a million figures, such as the median of times, without handing all of them over or sorting them.

A sample says between which two figures a rank lies, as in Floyd and Rivest's selection (CACM 18, 1975, algorithm 489);
what is below is counted by the database, and only what lies between is read. Where a sample was too hopeful, all is
read: the answer is always that of a full sort.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Subquery, case, false, func, or_, select

from tuppence.spend.ledger.tables import attempts

SAMPLE = 8_000
_LEAST = 100
"""Figures of a group in the sample, fewer of which tell nothing: such a group is small, and read whole."""
_DEVIATIONS = 4.0
"""A rank lies outside of what the sample says once in sixteen thousand times."""
_AT_ONCE = 50_000

Figures = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Rank:
    """The least figure that so large a share of a group does not exceed (the nearest rank)."""

    share: float
    above: bool = False
    """Take the next one where the share is a whole number of figures: of an even number, the upper middle."""

    def place(self, count: int) -> int:
        """Return which of so many figures, in order, it is, counted from 0."""
        return math.floor(self.share * count) if self.above else math.ceil(self.share * count) - 1


@dataclass(frozen=True, slots=True)
class _Range:
    """Where the figure of a rank must lie, both ends included."""

    of: str
    rank: Rank
    low: float
    high: float


def ranked(connection: Connection, rows: Select[Any], ranks: Sequence[Rank]) -> dict[str, tuple[float, ...]]:
    """Return each group's figures of these ranks.

    `rows` selects a group's name and a figure, as `of` and `ms`, of each of some attempts; no figure is NULL.
    """
    ranges = [one for of, sample in _sampled(connection, rows).items() for one in _ranges(of, sample, ranks)]
    known = rows.subquery("ranked")
    counts, below = _counted(connection, known, ranges)
    read = _read(connection, known, ranges)
    found: dict[str, list[float]] = {}
    for one in ranges:
        inside = [figure for figure in read.get(one.of, ()) if one.low <= figure <= one.high]
        at = one.rank.place(counts[one.of]) - below[one.of, one.low]
        if 0 <= at < len(inside):
            found.setdefault(one.of, []).append(inside[at])
    whole = {of: figures for of, figures in read.items() if of not in counts}
    missed = [of for of in counts if len(found.get(of, ())) < len(ranks)]
    if missed:
        whole |= _all(connection, select(known.c.of, known.c.ms).where(known.c.of.in_(missed)))
    exact = {of: tuple(figures[rank.place(len(figures))] for rank in ranks) for of, figures in whole.items()}
    return {of: tuple(figures) for of, figures in found.items()} | exact


def _sampled(connection: Connection, rows: Select[Any]) -> Figures:
    """Read the figures of rows that are spread evenly over the ledger; none where that would be most of them."""
    first, last = (connection.execute(select(end(attempts.c.id))).scalar() or 0 for end in (func.min, func.max))
    if last - first < 4 * SAMPLE:
        return {}
    return _all(connection, rows.where(attempts.c.id.in_(range(first, last + 1, (last - first) // SAMPLE))))


def _ranges(of: str, sample: Sequence[float], ranks: Sequence[Rank]) -> list[_Range]:
    count = len(sample)
    if count < _LEAST:
        return []
    found = []
    for rank in ranks:
        middle = count * rank.share
        reach = _DEVIATIONS * math.sqrt(middle * (1 - rank.share)) + 1
        low, high = max(0, math.floor(middle - reach)), min(count - 1, math.ceil(middle + reach))
        found.append(_Range(of, rank, sample[low], sample[high]))
    return found


def _counted(
    connection: Connection, rows: Subquery, ranges: Sequence[_Range]
) -> tuple[dict[str, int], dict[tuple[str, float], int]]:
    """Count the figures of each group, and those below each range."""
    groups = list(dict.fromkeys(one.of for one in ranges))
    lows = list(dict.fromkeys((one.of, one.low) for one in ranges))
    if not groups:
        return {}, {}
    all_of = [func.count().filter(rows.c.of == of) for of in groups]
    below = [func.count().filter(rows.c.of == of, rows.c.ms < low) for of, low in lows]
    found = [int(count) for count in connection.execute(select(*all_of, *below)).one()]
    return dict(zip(groups, found, strict=False)), dict(zip(lows, found[len(groups) :], strict=True))


def _read(connection: Connection, rows: Subquery, ranges: Sequence[_Range]) -> Figures:
    """Read the figures in the ranges, and those of groups without any."""
    ends: dict[str, set[tuple[float, float]]] = {}
    for one in ranges:
        ends.setdefault(one.of, set()).add((one.low, one.high))
    within = {of: or_(false(), *(rows.c.ms.between(*two) for two in some)) for of, some in ends.items()}
    chosen = [case(within, value=rows.c.of, else_=True)] if within else []
    return _all(connection, select(rows.c.of, rows.c.ms).where(*chosen))


def _all(connection: Connection, question: Select[Any]) -> Figures:
    found: dict[str, list[float]] = {}
    with connection.execute(question) as result:
        # The driver's own rows: a million of SQLAlchemy's take a quarter of a second more.
        while several := result.cursor.fetchmany(_AT_ONCE):
            for of, ms in several:
                found.setdefault(of, []).append(ms)
    return {of: sorted(figures) for of, figures in found.items()}
