"""What is usual for this hour of the week, how much it varies, and how unlikely what is seen now would be.

A window is compared with the windows of the same hours on the days before. Days of the week have effects of their own,
as far as the history shows them; the level is that of the last week; the spread is that of this very method's errors
on the days that are known. Medians throughout: a day without traffic or a bad one does not move what is usual.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

NEEDED_DAYS = 7
"""Fewer days cannot tell a bad day from a Monday."""
_WEEK = 7
# A day is compared with the week before it, of which this many days must be known.
_KNOWN = 4
# The median of absolute errors as a standard deviation, for normal errors (F. R. Hampel, JASA 69 (1974) 383-393).
_MAD = 1.4826
# Errors beyond this many deviations are cut to it: one bad day in the history must not hide the next.
_CUT = 3.0
# How many days' worth the spread is that is believed of a quantity before there is a history.
_BELIEF_DAYS = 2.0
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Usual:
    """What a window would have shown on an ordinary day, on the scale of the quantity (a logarithm, for ratios)."""

    value: float
    spread: float
    """Standard deviation of the error of `value` as a prediction."""
    days: int
    """Errors that the spread is known from."""

    def surprise(self, seen: float) -> float:
        """Return how far off this is, in standard deviations of a normal distribution.

        Few days make for heavy tails: Student's t, brought to the normal scale by D. L. Wallace's approximation
        (Annals of Mathematical Statistics 30 (1959) 1121-1130).
        """
        t, df = (seen - self.value) / self.spread, float(self.days)
        z = (8 * df + 1) / (8 * df + 3) * math.sqrt(df * math.log1p(t * t / df))
        return math.copysign(z, t)


def usual(past: Sequence[float | None], weekday: int, *, believed: float) -> Usual | None:
    """Predict today's window from those of the days before, yesterday's first; None where they are too few.

    A None is a day on which nothing was there. `weekday` is any number that yesterday's is one less than, modulo 7.
    `believed` is the spread that is taken for granted before the errors of the past are known.
    """
    known = [value for value in past if value is not None]
    if len(known) < NEEDED_DAYS:
        return None
    effects, fitted = weekday_effects(past, weekday)
    plain = [
        None if value is None else value - effects[(weekday - 1 - age) % _WEEK] for age, value in enumerate(past)
    ]  # fmt: skip
    level = level_before(plain, 0)
    if level is None:
        return None
    errors = [
        value - before for age, value in enumerate(plain)
        if value is not None and (before := level_before(plain, age + 1)) is not None
    ]  # fmt: skip
    if not errors:
        return None
    # The effects were fitted to the very days that the errors are of, and so take some of the noise with them.
    free = max(1.0, len(errors) - fitted)
    noise = spread(errors, believed, _BELIEF_DAYS) * math.sqrt(len(errors) / free * (1.0 + fitted / len(known)))
    return Usual(level + effects[weekday % _WEEK], noise, max(2, round(free)))


def limit(chance: float) -> float:
    """Return the deviation that a normal quantity passes with this chance."""
    return _NORMAL.inv_cdf(1.0 - chance)


def median(values: Iterable[float]) -> float:
    """Return the middle value: the library's takes three times as long, and most of a check would be spent in it."""
    ranked = sorted(values)
    half = len(ranked) // 2
    return ranked[half] if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2


def level_before(values: Sequence[float | None], start: int) -> float | None:
    """Return the middle of a week of days, from this place on back; None where too few of them are known."""
    week = [value for value in values[start : start + _WEEK] if value is not None]
    return median(week) if len(week) >= _KNOWN else None


def spread(errors: Sequence[float], believed: float, worth: float, *, cut: float = _CUT) -> float:
    """Return the standard deviation about zero, with errors cut where the median says that they are wild; `believed`
    counts as so many errors are worth.
    """
    scale = _MAD * median(abs(error) for error in errors)
    # Where most errors are nothing, those that are something are all that is known.
    most = cut * scale if scale else math.inf
    squares = sum(min(abs(error), most) ** 2 for error in errors)
    seen = max(squares, len(errors) * scale**2)
    return math.sqrt((seen + worth * believed**2) / (len(errors) + worth))


def _certain(found: Sequence[float]) -> float:
    """Return the middle of what a weekday showed; of two the smaller if they agree in direction, for one may be an odd
    day; of one nothing.
    """
    if len(found) < 2 or (len(found) == 2 and found[0] * found[1] <= 0):
        return 0.0
    return median(found) if len(found) > 2 else min(found, key=abs)


def weekday_effects(past: Sequence[float | None], weekday: int) -> tuple[list[float], float]:
    """Estimate what each day of the week adds, and believe it as far as it stands out of the noise; return also how
    many parameters that amounts to.
    """
    apart: list[list[float]] = [[] for _ in range(_WEEK)]
    for age, value in enumerate(past):
        around = [one for one in past[max(0, age - 3) : age + 4] if one is not None]
        if value is not None and len(around) >= _KNOWN:
            apart[(weekday - 1 - age) % _WEEK].append(value - median(around))
    middles = [_certain(found) for found in apart]
    noise = [abs(one - middles[day]) for day, found in enumerate(apart) if len(found) > 1 for one in found]
    if not noise:
        return [0.0] * _WEEK, 0.0
    variance = (_MAD * median(noise)) ** 2
    belief = [
        0.0 if not middle else max(0.0, 1.0 - variance / (len(found) * middle**2))
        for middle, found in zip(middles, apart, strict=True)
    ]  # fmt: skip
    return [middle * part for middle, part in zip(middles, belief, strict=True)], sum(belief)
