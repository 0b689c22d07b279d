"""What is usual for a level, such as requests or dollars in a stretch of hours: the shape of its days, its level in
the last week, and whether the hours that lead up to it are busy ones.

Busy days are busy all day, and for all endpoints. So what is news is not that a level is high, but that it is higher
than the hours before it, or the other endpoints, have made one expect; how far those tell is learned from the past,
and is nothing where days are all alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from tuppence.spend.alerts.baseline import NEEDED_DAYS, Usual, median, spread
from tuppence.spend.alerts.facts import Between
from tuppence.spend.alerts.pattern import pattern

_DAY = 24
_WEEK = 7
_KNOWN_ERRORS = 5
_KNOWN_DAYS = 4
# Errors of hours with other traffic count for so much at least and at most: not all noise comes from few calls.
_SCALES = (0.5, 2.0)
# Slopes are believed as if so many hours without any had been seen beside those that tell them.
_DOUBT = 4.0
# Beyond so many deviations of the week around it a stretch is cut, and below so many it is no ordinary one.
_CUT = 4.0
_LOW = 3.0
_MAD = 1.4826
# Where most of a week is all the same, nothing in it is odd.
_ANY = 1e6

Pattern = tuple[Between, float]


@dataclass(frozen=True, slots=True)
class Shaped:
    """A count by the hour, and the shape of its days, learned once for each stretch of history."""

    of: Between
    origin: int
    """Hour since 1970 of index 0."""
    _patterns: dict[tuple[int, int], Pattern | None] = field(default_factory=dict)

    def pattern(self, first: int, last: int, now: int) -> Pattern | None:
        if (first, last) not in self._patterns:
            self._patterns[first, last] = pattern(self.of, self.origin, first, last, now)
        return self._patterns[first, last]


@dataclass(frozen=True, slots=True)
class Traffic:
    """A count, alone or beside that of the others."""

    own: Shaped
    others: Shaped | None = None
    first: int = 0
    """From when on it is known."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    end: int
    off: float | None
    """Logarithm of what was there over the shape; None where nothing was, or it does not count."""
    shape: float
    """Logarithm of the shape."""
    expected: float
    """Its own traffic, by the shape."""


def expected(
    traffic: Traffic, now: int, hours: int, *, first: int, last: int, believed: float, worth: float
) -> Usual | None:
    """Predict the logarithm of a level in the `hours` up to `now`, from what was there between `first` and `last` and
    on the day before; None where less than a week is known.
    """
    shapes = [one.pattern(first, last, now) for one in (traffic.own, traffic.others) if one is not None]
    known = [one for one in shapes if one is not None]
    if len(known) < len(shapes):
        return None
    order = _stretches(traffic, [one[0] for one in known], now, hours, first, last)
    steps = _DAY // hours
    if len({(now - one.end) // _DAY for one in order if one.off is not None and one.end <= last}) < NEEDED_DAYS:
        return None
    level, off = _off(order, steps)
    leads = [_leads(off, place, steps) for place in range(len(order))]
    past = [place for place, one in enumerate(order) if place and off[place] is not None and one.end <= last]
    if level is None or len(past) < _KNOWN_ERRORS:
        return None
    slopes = _slopes([(off[place] or 0.0, leads[place]) for place in past])
    # What the shape was fitted to is closer to it than what comes is: as if each day had been left out of it.
    left_out = 1.0 + steps / max(steps, len(order) - steps)
    errors = [
        ((off[place] or 0.0) - _carried(slopes, leads[place])) * left_out
        * _scale(order[place].expected, order[0].expected) for place in past
    ]  # fmt: skip
    free = max(2.0, len(errors) - sum(one[1] for one in known) - len(slopes))
    noise = spread(errors, believed, worth) * math.sqrt(len(errors) / free)
    return Usual(level + _carried(slopes, leads[0]) + order[0].shape, noise, round(free + worth))


def _stretches(
    traffic: Traffic, shapes: Sequence[Between], now: int, hours: int, first: int, last: int
) -> list[_Stretch]:
    """Return all stretches of this length, the one up to `now` first; between `last` and a day ago nothing counts."""
    found = []
    for end in range(now, first + hours - 1, -hours):
        there, usual = traffic.own.of(end - hours, end), shapes[0](end - hours, end)
        shape = math.log(usual)
        if traffic.others is not None:
            others = traffic.others.of(end - hours, end)
            there = there / others if others > 0 else 0.0
            shape -= math.log(shapes[1](end - hours, end))
        counts = there > 0 and not last < end <= now - _DAY
        found.append(_Stretch(end, math.log(there) - shape if counts else None, shape, usual))
    return found


def _off(order: Sequence[_Stretch], steps: int) -> tuple[float | None, list[float | None]]:
    """Return the level of the latest stretch, and by how much each was off its own."""
    ordinary = _ordinary(order, steps)
    levels = _levels(order, ordinary, steps)
    # Holidays and outages say nothing of how much an ordinary day is above what was expected, nor of the day after.
    off = [
        None if one.off is None or level is None or one.off < middle - _LOW * scale else one.off - level
        for one, level, (middle, scale) in zip(order, levels, ordinary, strict=True)
    ]  # fmt: skip
    return levels[0], off


def _levels(order: Sequence[_Stretch], ordinary: Sequence[tuple[float, float]], steps: int) -> list[float | None]:
    """Return the mean of the week up to a day before each stretch, odd ones cut; None where too little is known."""
    half = median(one.expected for one in order)
    # Between equal and by traffic: busy hours are known better, but no hour is all that there is.
    weights = [0.0 if one.off is None else one.expected / (one.expected + half) for one in order]
    parts = [
        weight * min(middle + _CUT * scale, max(middle - _CUT * scale, one.off or 0.0))
        for weight, one, (middle, scale) in zip(weights, order, ordinary, strict=True)
    ]  # fmt: skip
    total, mass, count = ([0.0, *accumulate(column)] for column in (parts, weights, [w > 0 for w in weights]))
    levels: list[float | None] = []
    for place in range(len(order)):
        begin, end = (min(len(order), place + days * steps) for days in (1, 1 + _WEEK))
        enough = count[end] - count[begin] >= _KNOWN_DAYS and end - begin >= _KNOWN_DAYS * steps
        levels.append((total[end] - total[begin]) / (mass[end] - mass[begin]) if enough else None)
    return levels


def _ordinary(order: Sequence[_Stretch], steps: int) -> list[tuple[float, float]]:
    """Return the middle and the deviation of the week around each stretch's day."""
    found: list[tuple[float, float]] = []
    for day in range(0, len(order), steps):
        around = [one.off for one in order[max(0, day - 3 * steps) : day + 4 * steps] if one.off is not None]
        middle = median(around) if around else 0.0
        scale = _MAD * median(abs(off - middle) for off in around) if around else 0.0
        found += [(middle, scale or _ANY)] * len(order[day : day + steps])
    return found


def _carried(slopes: tuple[float, float], leads: tuple[float, float]) -> float:
    return slopes[0] * leads[0] + slopes[1] * leads[1]


def _leads(off: Sequence[float | None], place: int, steps: int) -> tuple[float, float]:
    """Return how busy the day before a stretch was, and the stretch before it beside that day."""
    day = [one for one in off[place + 1 : place + 1 + steps] if one is not None]
    mean = sum(day) / len(day) if 2 * len(day) >= steps and day else 0.0
    last = off[place + 1] if place + 1 < len(off) else None
    return mean, 0.0 if last is None or steps == 1 else last - mean


def _scale(usual: float, here: float) -> float:
    """Noise falls with the square root of the traffic."""
    least, most = _SCALES
    return min(most, max(least, math.sqrt(usual / here)))


def _slopes(known: Sequence[tuple[float, tuple[float, float]]]) -> tuple[float, float]:
    """Return which parts of what the hours before had more than usual carry over, each in [0, 1]."""
    found = []
    rest = [one for one, _ in known]
    for which in (0, 1):
        variance = sum(lead[which] ** 2 for _, lead in known)
        doubt = _DOUBT * variance / len(known)
        both = sum(one * lead[which] for one, (_, lead) in zip(rest, known, strict=True))
        slope = min(1.0, max(0.0, both / (variance + doubt))) if variance else 0.0
        found.append(slope)
        rest = [one - slope * lead[which] for one, (_, lead) in zip(rest, known, strict=True)]
    return found[0], found[1]
