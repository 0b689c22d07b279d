"""What a day costs here: a level that moves, times the weekday's weight, times that of a month's turn.

Plain medians and means of past days. Which ones, and how fast they forget, was chosen on made-up months
(`benchmarks/forecast.py`), on seeds that no reported figure is measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from statistics import median

WEEK = 7
_WEEKS = 8
"""Weekdays are learned from so many weeks: older ones may have been another business."""
_PRIOR_DAYS = 1.5
"""Days that a weekday's own weight is pulled by towards that of weekdays, or of weekends, together."""
_PRIOR_TURNS = 2.0
"""Days that the weight of a month's turn is pulled by towards 1."""
_HALF_LIFE_DAYS = 4.0
_FLOOR = 0.5
"""A day below half of what its neighbours tell is a holiday or an outage: it lowers the level no further."""
_REACH_DAYS = 42
"""Older days have less than a thousandth of the newest one's weight in the level."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What days cost."""

    level: float
    """Pico-USD of an average day."""
    weekdays: tuple[float, ...]
    """Weights from Monday on, 1 on average."""
    turn: float
    """Weight of a month's first and last two days, when invoices are written and books are closed."""

    def on(self, day: date) -> float:
        """Return what a day is expected to cost, in pico-USD."""
        return self.level * self.weekdays[day.weekday()] * (self.turn if _is_turn(day) else 1.0)


def pattern(days: Sequence[float], first: date) -> Pattern:
    """Learn from whole days, the first of which was `first`; at least one."""
    weekdays = _weekdays(days, first.weekday())
    dates = [first + timedelta(days=day) for day in range(len(days))]
    weights = [weekdays[one.weekday()] for one in dates]
    turns = [day for day, one in enumerate(dates) if _is_turn(one)]
    turn = _turn(days, weights, turns)
    for day in turns:
        weights[day] *= turn
    return Pattern(_level(days, weights), weekdays, turn)


def _is_turn(day: date) -> bool:
    return day.day == 1 or (day + timedelta(days=2)).month != day.month


def _weekdays(days: Sequence[float], first: int) -> tuple[float, ...]:
    """Compare days with the seven around them; the median of each weekday is pulled towards its like."""
    if len(days) < WEEK:
        return (1.0,) * WEEK
    total = [0.0, *accumulate(days)]
    seen: list[list[float]] = [[] for _ in range(WEEK)]
    for day in range(max(0, len(days) - WEEK * _WEEKS), len(days)):
        start = min(max(0, day - 3), len(days) - WEEK)
        around = total[start + WEEK] - total[start]
        if around > 0:
            seen[(first + day) % WEEK].append(days[day] * WEEK / around)
    if not any(seen):
        return (1.0,) * WEEK
    groups = [_pulled([ratio for one in seen[a:b] for ratio in one], 1.0, 1.0) for a, b in ((0, 5), (5, 7))]
    weights = [_pulled(one, groups[place >= 5], _PRIOR_DAYS) for place, one in enumerate(seen)]
    mean = sum(weights) / WEEK
    return tuple(max(1e-6, weight / mean) for weight in weights)


def _pulled(ratios: Sequence[float], towards: float, days: float) -> float:
    middle = median(ratios) if ratios else towards
    return (middle * len(ratios) + towards * days) / (len(ratios) + days)


def _turn(days: Sequence[float], weights: Sequence[float], turns: Sequence[int]) -> float:
    """Compare past turns of months with the three weeks around them."""
    found = []
    for day in turns:
        near = [other for other in range(max(0, day - 10), min(len(days), day + 11)) if other not in turns]
        usual = sum(weights[other] for other in near)
        spent = sum(days[other] for other in near)
        if len(near) >= WEEK and spent > 0:
            found.append(days[day] / (spent / usual * weights[day]))
    return _pulled(found, 1.0, _PRIOR_TURNS)


def _level(days: Sequence[float], weights: Sequence[float]) -> float:
    """Average days by their weights, the newest most."""
    ratios = [day / weight for day, weight in zip(days, weights, strict=True)]
    spent = weighed = 0.0
    for day in range(max(0, len(days) - _REACH_DAYS), len(days)):
        usual = median(ratios[max(0, day - WEEK) : day + WEEK + 1])
        share = 0.5 ** ((len(days) - 1 - day) / _HALF_LIFE_DAYS)
        spent += share * max(days[day], _FLOOR * usual * weights[day])
        weighed += share * weights[day]
    return spent / weighed
