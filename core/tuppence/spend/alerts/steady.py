"""What is usual for a ratio, such as tokens a request, learned from all hours of the past and not from the same hours
alone.

Traffic has its hours; what a request costs mostly has not. So every stretch of the window's length is one more look at
how much chance moves a ratio, and a fortnight shows a quarter of a day some fifty times. Hours of the day and days of
the week that do differ are taken off first, as far as they stand out of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuppence.spend.alerts.baseline import NEEDED_DAYS, Usual, median, spread, weekday_effects

_DAY = 24
_WEEK = 7
# A stretch is compared with the week before it, of which this many days must be known.
_KNOWN_DAYS = 4
_MAD = 1.4826
# Nine in ten of a normal distribution lie within this many deviations.
_NINE_IN_TEN = 1.645
# A stretch beyond this many deviations counts as that many: a bad day must not move what is usual.
_CUT = 6.0
# No stretch's error counts for less than a third of itself: not all noise comes from few calls.
_SCALES = (0.33, 3.0)
# An hour of the day has an effect where its middle is this many times what chance would make it, squared.
_STANDS_OUT = 4.0

Value = Callable[[int, int], float | None]
Count = Callable[[int, int], float]


@dataclass(frozen=True, slots=True)
class _Stretch:
    end: int
    value: float
    count: float


def steady(
    value: Value, count: Count, now: int, hours: int, *, first: int, last: int, believed: float, worth: float
) -> Usual | None:
    """Predict the `hours` up to `now` from the stretches between `first` and `last`; None where these are too few.

    `believed` is the spread that is taken for granted, `worth` so many errors that are known.
    """
    here = count(now - hours, now)
    past = _stretches(value, count, now, hours, first, last)
    if here <= 0 or len({(now - one.end) // _DAY for one in past}) < NEEDED_DAYS:
        return None
    past, effect, fitted = _deseasoned(past, value, now, hours, first, last)
    errors = _errors(past, here)
    level = _level(past, last - _WEEK * _DAY, last)
    if level is None or len(errors) < _KNOWN_DAYS:
        return None
    free = max(2.0, len(errors) - fitted)
    noise = max(spread(errors, believed, worth, cut=_CUT), _tail(errors))
    known = math.sqrt((1.0 + 1.0 / level[1]) * len(errors) / free)
    return Usual(level[0] + effect, noise * known, round(free + worth))


def _stretches(value: Value, count: Count, now: int, hours: int, first: int, last: int) -> list[_Stretch]:
    """Return what is known, latest first; the ends are whole multiples of the window's length before `now`."""
    latest = now - math.ceil((now - last) / hours) * hours
    found = []
    for end in range(latest, first + hours - 1, -hours):
        seen = value(end - hours, end)
        if seen is not None:
            found.append(_Stretch(end, seen, max(1.0, count(end - hours, end))))
    return found


def _deseasoned(
    past: Sequence[_Stretch], value: Value, now: int, hours: int, first: int, last: int
) -> tuple[list[_Stretch], float, float]:
    """Take off what hours of the day and days of the week add; return also what they add to the window, and how many
    parameters that took.
    """
    days = {age: [one for one in past if (now - one.end) // _DAY == age] for age in range((now - first) // _DAY + 1)}
    daily = [_mean(these) for these in days.values()][1:]
    by_weekday, fitted = weekday_effects(daily, now // _DAY)
    by_phase = [0.0] * (_DAY // hours)
    if hours < _DAY:
        for phase in range(len(by_phase)):
            apart = [
                one.value - mean for age, these in days.items() if (mean := _mean(these)) is not None
                for one in these if (now - one.end) // hours % len(by_phase) == phase
            ]  # fmt: skip
            by_phase[phase] = _certain(apart)
        fitted += sum(1.0 for one in by_phase if one)
    plain = [
        _Stretch(
            one.end,
            one.value - by_weekday[(now // _DAY - (now - one.end) // _DAY) % _WEEK]
            - by_phase[(now - one.end) // hours % len(by_phase)],
            one.count,
        ) for one in past
    ]  # fmt: skip
    return plain, by_weekday[now // _DAY % _WEEK] + by_phase[0], fitted


def _mean(these: Sequence[_Stretch]) -> float | None:
    total = sum(one.count for one in these)
    return sum(one.value * one.count for one in these) / total if total else None


def _certain(apart: Sequence[float]) -> float:
    """Return the middle of what an hour of the day showed, as far as it stands out of its noise."""
    if len(apart) < NEEDED_DAYS:
        return 0.0
    middle = median(apart)
    noise = (_MAD * median(abs(one - middle) for one in apart)) ** 2 / len(apart)
    return middle * max(0.0, 1.0 - _STANDS_OUT * noise / middle**2) if middle else 0.0


def _errors(past: Sequence[_Stretch], here: float) -> list[float]:
    """Return by how much each stretch was off the middle of the week up to a day before, as if of `here` calls."""
    least, most = _SCALES
    errors = []
    low = high = 0
    for one in past:
        while low < len(past) and past[low].end > one.end - _DAY:
            low += 1
        while high < len(past) and past[high].end > one.end - _DAY - _WEEK * _DAY:
            high += 1
        if high > low and past[low].end - past[high - 1].end >= (_KNOWN_DAYS - 1) * _DAY:
            before = median(other.value for other in past[low:high])
            errors.append((one.value - before) * min(most, max(least, math.sqrt(one.count / here))))
    return errors


def _tail(errors: Sequence[float]) -> float:
    """Return the deviation that one error in ten says, if it were of normal ones: more than the others say where most
    are next to nothing and some are not, as where a few calls run in a cheaper lane.
    """
    ranked = sorted(map(abs, errors))
    return ranked[min(int(0.9 * len(ranked)), len(ranked) - 2)] / _NINE_IN_TEN


def _level(past: Sequence[_Stretch], first: int, last: int) -> tuple[float, float] | None:
    """Return the mean of the last week, and how many stretches it is worth."""
    week = [one for one in past if first < one.end <= last]
    if not week or week[0].end - week[-1].end < (_KNOWN_DAYS - 1) * _DAY:
        return None
    weights = _weights(week)
    total = sum(weights)
    middle = median(one.value for one in week)
    cut = _CUT * _MAD * median(abs(one.value - middle) for one in week) or math.inf
    mean = sum(w * min(middle + cut, max(middle - cut, one.value)) for w, one in zip(weights, week, strict=True))
    return mean / total, total**2 / sum(w * w for w in weights)


def _weights(past: Sequence[_Stretch]) -> list[float]:
    """Between equal and by calls: a stretch with many calls is known better, but no day is all that there is."""
    middle = median(one.count for one in past)
    return [one.count / (one.count + middle) for one in past]
