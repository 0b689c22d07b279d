"""How far off a forecast may be, as its own past errors tell.

Forecasts are made again as of past days, and held against what came: how far they were off, as logarithms of ratios,
scales the interval. Where the history is short, an error that is usual elsewhere stands in for its own, and
gives way as they come in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tuppence.spend.forecasts.pattern import WEEK, pattern

QUANTILES: Mapping[float, float] = {0.025: -1.85, 0.1: -0.96, 0.9: 1.23, 0.975: 1.97}
"""Of errors over scale: split-conformal quantiles (Vovk et al., Algorithmic Learning in a Random World, 2005) on
3,200 forecasts of made-up months, seeds 0 to 199. Above the middle they reach further: what nobody foresaw costs."""
_ORIGIN_DAYS = 56
_EVERY = 2
"""Neighbouring origins tell nearly the same."""
_LEAST_DAYS = 7
_PRIOR_WEEK, _PRIOR_DAY = 0.2**2, 0.35**2
_PRIOR_ORIGINS = 8
"""Origins that the usual error of a week, and of a day, weighs as much as."""
_PER_WEEK = 0.2
"""Part of a week's squared error that each further week adds: where it goes from here, nobody knows."""
_LARGEST = 1.0
"""No single error counts for more than a factor of e: one outage must not widen the intervals of two months."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean squared errors of this scope's forecasts, as logarithms of ratios."""

    day: float
    week: float

    def of_sum(self, days: float) -> float:
        """Return the error's scale for a sum over the next `days` days."""
        variance = self.week
        if days < WEEK:
            # A sum of few days has more of each one's noise.
            few = (1 / max(days, 1.0) - 1 / WEEK) / (1 - 1 / WEEK)
            variance += max(0.0, self.day - self.week) * few
        return math.sqrt(variance * (1.0 + _PER_WEEK * days / WEEK))

    def of_day(self, days_ahead: float) -> float:
        """Return the error's scale for one single day, so many days ahead."""
        return math.sqrt(max(self.day, self.week) + self.week * _PER_WEEK * days_ahead / WEEK)


def spread(days: Sequence[float], first: date) -> Spread:
    """Forecast again as of past days."""
    return Spread(_error(days, first, 1, _PRIOR_DAY), _error(days, first, WEEK, _PRIOR_WEEK))


def _error(days: Sequence[float], first: date, ahead: int, prior: float) -> float:
    squares, count = prior * _PRIOR_ORIGINS, _PRIOR_ORIGINS
    last = len(days) - ahead
    for origin in range(last, max(_LEAST_DAYS, last - _ORIGIN_DAYS) - 1, -_EVERY):
        learned = pattern(days[:origin], first)
        told = sum(learned.on(first + timedelta(days=origin + day)) for day in range(ahead))
        came = sum(days[origin : origin + ahead])
        if told > 0 and came > 0:
            off = max(-_LARGEST, min(_LARGEST, math.log(came / told)))
            squares += off * off
            count += 1
    return squares / count


def quantile(told: float, scale: float, probability: float) -> float:
    """Return what a forecast of `told` stays below with this probability, one of those in `QUANTILES`."""
    return told * math.exp(QUANTILES[probability] * scale)
