"""Holding what is seen against what is usual: which measures are off now, and by how much more than noise.

The false alarms that a month may have are shared out among all windows of all measures that are looked at in it, so
that watching more makes each look stricter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tuppence.spend.alerts.baseline import NEEDED_DAYS, Usual, limit, usual
from tuppence.spend.alerts.measure import Measure
from tuppence.spend.alerts.steady import steady
from tuppence.spend.alerts.traffic import expected

_DAY = 24
_WEEK = 7
_HALF = 0.5
# In a shorter window the pace of a change is mostly noise.
_PACE_HOURS = 12
# Windows share hours, rules show the same things, and what is off by noise mostly is not off by enough to ring: so many
# looks are like one. With it the development months had three quarters of the false alarms that are allowed.
_ALIKE = 3.0
# Few calls make a figure with long tails: measured on the development months, as the factors of `levels` and `ratios`.
_SHORT = {3: 1.3, 6: 1.3, 12: 1.15}
_SHORT_TRAFFIC = {6: 1.15, 12: 1.08}
# How many errors' worth a spread is that is taken for granted, and one that shorter windows predict.
_FEW = 2.0
_BELIEF = 8.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One window of a measure beside what is usual for it."""

    measure: Measure
    hours: int
    value: float
    """On the measure's own scale."""
    known: Usual
    surprise: float
    """Standard deviations, above 0 in the direction that rings."""

    @property
    def usual(self) -> float:
        return self.known.value

    def beyond(self, part: float) -> bool:
        """Say whether it is off by more than this part of what rings."""
        plain, rise = self.measure.plain, self.measure.rise
        return (plain(self.value) - plain(self.usual)) / rise > part and self.value > self.measure.floor


def bars(measures: Iterable[Measure], false_alarms: float) -> dict[str, float]:
    """Return the deviations that a look must pass, by rule.

    A rule's part of the false alarms goes with the root of its looks: shared out by looks alone, a rule with one
    window a day would be held as far from ringing as one with hundreds, though it adds next to nothing to them.
    """
    looks: dict[str, float] = {}
    for one in measures:
        looks[one.rule] = looks.get(one.rule, 0.0) + one.looks
    roots = sum(math.sqrt(count) for count in looks.values())
    chances = {rule: _ALIKE * false_alarms / (math.sqrt(count) * roots) for rule, count in looks.items()}
    return {rule: limit(min(_HALF, chance)) for rule, chance in chances.items()}


def clearest(measure: Measure, now: int, *, history_days: int, deviations: float) -> Seen | None:
    """Return the window up to `now` that shows most clearly that something is off; None where none does."""
    looks = looked(measure, now, history_days=history_days)
    sure = [one for one in looks if one.surprise > deviations and (one.beyond(1.0) or _on_its_way(one, now))]
    if sure and measure.alone is not None:
        far = {one.hours for one in looked(measure.alone, now, history_days=history_days) if one.beyond(1.0)}
        sure = [replace(one, measure=measure.alone) for one in sure if one.hours in far]
    return max(sure, key=lambda one: one.surprise, default=None)


def _on_its_way(seen: Seen, now: int) -> bool:
    """Say whether it is off by half of what rings, and rises so fast that a day more takes it there."""
    measure, hours = seen.measure, seen.hours
    before = measure.value(now - 2 * hours, now - hours)
    if not measure.creeps or hours < _PACE_HOURS or before is None or not seen.beyond(_HALF):
        return False
    return replace(seen, value=seen.value + (seen.value - before) * _DAY / hours).beyond(1.0)


def looked(measure: Measure, now: int, *, history_days: int) -> Iterator[Seen]:
    """Yield the windows up to `now` that may stand out, shortest first; each is told what those before it found."""
    believed: tuple[float, float] | None = None
    seen = {hours: value for hours in measure.windows if (value := measure.value(now - hours, now)) is not None}
    worth = [hours for hours in seen if _worth_a_look(measure, seen[hours], now, hours, history_days)]
    for hours in seen:
        # What the shorter stretches of traffic vary by tells of the longer ones, which have fewer in the past.
        if hours not in worth and not (measure.traffic is not None and worth and hours < max(worth)):
            continue
        known = _known(measure, now, hours, now - _DAY, history_days, believed)
        if known is None:
            continue
        count = measure.count if measure.traffic is None else measure.traffic.own.of
        if count is not None:
            # As if calls were all that there is to noise: its own past says whether there is more.
            believed = known.spread * math.sqrt(count(now - hours, now)), _BELIEF
        if hours in worth:
            yield _seen(measure, now, hours, seen[hours], known)


def look(measure: Measure, now: int, hours: int, *, history_days: int, before: int) -> Seen | None:
    """Compare a window up to `now` with those that ended by `before`."""
    seen = measure.value(now - hours, now)
    known = None if seen is None else _known(measure, now, hours, before, history_days, None)
    return None if seen is None or known is None else _seen(measure, now, hours, seen, known)


def _known(
    measure: Measure, now: int, hours: int, last: int, history_days: int, believed: tuple[float, float] | None
) -> Usual | None:
    """Return what is usual: of traffic by the shape of its days, of ratios at any hour."""
    if measure.traffic is not None:
        start = max(measure.traffic.first, now - history_days * _DAY)
        asked = measure.traffic.own.of(now - hours, now)
        spread, worth = (measure.believed, _FEW) if believed is None else (believed[0] / math.sqrt(asked), believed[1])
        return expected(
            measure.traffic, now, hours, first=start, last=min(last, now - _DAY), believed=spread, worth=worth
        )
    if measure.count is None:
        ends = (now - _DAY * age for age in range(1, history_days + 1))
        past = [measure.value(end - hours, end) if hours <= end <= last else None for end in ends]
        return usual(past, now // _DAY, believed=measure.believed)
    first, here = max(0, now - history_days * _DAY), measure.count(now - hours, now)
    spread, worth = (measure.believed, _FEW) if believed is None else (believed[0] / math.sqrt(here), believed[1])
    return steady(
        measure.value, measure.count, now, hours, first=first, last=min(last, now - _DAY), believed=spread, worth=worth
    )


def _seen(measure: Measure, now: int, hours: int, seen: float, known: Usual) -> Seen:
    short = _SHORT if measure.traffic is None else _SHORT_TRAFFIC
    spread = known.spread * measure.wilder * short.get(hours, 1.0)
    if measure.binomial and measure.count is not None:
        spread = max(spread, 1.0 / math.sqrt(measure.count(now - hours, now)))
    known = replace(known, spread=spread)
    return Seen(measure, hours, seen, known, math.copysign(1.0, measure.rise) * known.surprise(seen))


def _worth_a_look(measure: Measure, seen: float, now: int, hours: int, history_days: int) -> bool:
    """Tell the many windows that cannot ring from the few that may, without their whole past: it must stand out from
    the least remarkable of these weekdays, or, for a ratio, from all that was before.
    """
    if measure.count is None:
        ends = range(now - _WEEK * _DAY, max(hours, now - history_days * _DAY) - 1, -_WEEK * _DAY)
        known = [measure.value(end - hours, end) for end in ends]
    else:
        known = [measure.value(max(0, now - days * _DAY), now - _DAY) for days in (_WEEK + 1, history_days)]
    off = [(measure.plain(seen) - measure.plain(value)) / measure.rise for value in known if value is not None]
    return seen > measure.floor and (not off or max(off) > _HALF)


def too_new(measures: Iterable[Measure], now: int) -> list[str]:
    """Return what has not been there for long enough to have anything usual."""

    def days(one: Measure) -> int:
        ends = (now - _DAY * age for age in range(1, 15))
        return sum(one.value(end - one.windows[-1], end) is not None for end in ends if end >= one.windows[-1])

    return [one.key for one in measures if one.alone is None and days(one) < NEEDED_DAYS]
