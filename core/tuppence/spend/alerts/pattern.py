"""The shape of traffic: how a day's calls lie in its hours, and what kinds of day there are.

Work days are alike, and so are the days of a weekend: two weeks show ten and four of them, where each day of the week
would be known from two. What a day of the week has beyond that is believed as far as it stands out of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuppence.spend.alerts.baseline import median, weekday_effects
from tuppence.spend.alerts.facts import Between, Totals

_DAY = 24
_WEEK = 7
# 1 January 1970 was a Thursday.
_FIRST_WEEKDAY = 3
_WEEKEND = (5, 6)
# A kind of day's hours count as if so many days of the other kind had been like it.
_ALIKE_DAYS = 2.0
# Part of a day that an hour is believed to have at least: no hour is impossible.
_LEAST = 0.002
# The work days that a weekend is held against, and how many of them must be known.
_NEAR_DAYS = 5
_FEWEST_NEAR = 3
_MAD = 1.4826


def pattern(count: Between, origin: int, first: int, last: int, now: int) -> tuple[Between, float] | None:
    """Learn the shape from the whole days between two hours, counted from `origin`, an hour since 1970; return it as
    sums over the hours up to `now`, of which a work day's are about 1, and how many parameters its days of the week
    took. None where there was nothing.
    """
    midnight = -(origin % _DAY)
    days = [
        (_weekday(origin, start), [count(start + hour, start + hour + 1) for hour in range(_DAY)])
        for start in range(midnight, last - _DAY + 1, _DAY) if start >= first
    ]  # fmt: skip
    if not any(sum(hours) > 0 for _, hours in days):
        return None
    effects, taken = _effects(days)
    shapes = _shapes(days)
    hours = []
    for hour in range(now):
        day = _weekday(origin, hour)
        hours.append(shapes[day in _WEEKEND][(origin + hour) % _DAY] * math.exp(effects[day]))
    return Totals(hours).between, taken


def _weekday(origin: int, hour: int) -> int:
    """Return the day of the week in UTC, Monday being 0."""
    return ((origin + hour) // _DAY + _FIRST_WEEKDAY) % _WEEK


def _shapes(days: Sequence[tuple[int, list[float]]]) -> tuple[list[float], list[float]]:
    """Return which part of a day lies in each hour, on work days and at weekends."""
    kinds: tuple[list[list[float]], list[list[float]]] = [], []
    for day, hours in days:
        if (total := sum(hours)) > 0:
            kinds[day in _WEEKEND].append([one / total for one in hours])
    work, end = ([sum(column) / len(column) for column in zip(*kind, strict=True)] or [0.0] * _DAY for kind in kinds)
    sizes = len(kinds[0]), len(kinds[1])

    def shared(own: list[float], size: int, other: list[float], others: int) -> list[float]:
        lent = min(_ALIKE_DAYS, others)
        mixed = [(size * mine + lent * his) / (size + lent) for mine, his in zip(own, other, strict=True)]
        return [max(_LEAST, one) for one in mixed]

    return shared(work, sizes[0], end, sizes[1]), shared(end, sizes[1], work, sizes[0])


def _effects(days: Sequence[tuple[int, list[float]]]) -> tuple[list[float], float]:
    """Return what each day of the week adds to the logarithm of a day's total, and how many parameters that took."""
    levels = [(day, math.log(total) if (total := sum(hours)) > 0 else None) for day, hours in days]
    weekend = _weekend(levels)
    latest = [
        None if level is None else level - (weekend if day in _WEEKEND else 0.0) for day, level in reversed(levels)
    ]  # fmt: skip
    own, fitted = weekday_effects(latest, levels[-1][0] + 1)
    return [own[day] + (weekend if day in _WEEKEND else 0.0) for day in range(_WEEK)], fitted + bool(weekend)


def _weekend(levels: Sequence[tuple[int, float | None]]) -> float:
    """Return by how much the days of a weekend differ from the work days around them, as far as it stands out."""
    apart = []
    for place, (day, level) in enumerate(levels):
        near = levels[max(0, place - _NEAR_DAYS) : place + _NEAR_DAYS + 1]
        around = [one for other, one in near if one is not None and other not in _WEEKEND]
        if day in _WEEKEND and level is not None and len(around) >= _FEWEST_NEAR:
            apart.append(level - median(around))
    if len(apart) < 2:
        return 0.0
    middle = median(apart)
    work = [one for day, one in levels if one is not None and day not in _WEEKEND]
    center = median(work)
    scale = _MAD * median([abs(one - middle) for one in apart] + [abs(one - center) for one in work])
    variance = scale**2 * (1.0 / len(apart) + 1.0 / len(work))
    return middle * max(0.0, 1.0 - variance / middle**2) if middle else 0.0
