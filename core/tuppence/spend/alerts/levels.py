"""How much is spent, asked and begun: levels, by endpoint, alone and beside the others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from tuppence.spend.alerts.facts import Between, Facts, Totals
from tuppence.spend.alerts.growing import HISTORY_DAYS
from tuppence.spend.alerts.measure import EVERYTHING, Measure, Value, logarithm, ratio
from tuppence.spend.alerts.scopes import MATTERS, MOST, Scopes
from tuppence.spend.alerts.traffic import Shaped, Traffic

_WINDOWS = (6, 12, 24)
# Spread from one day to the next where there is no history yet, as the development months have it.
_BELIEVED = 0.2
# Measured on the development months: launches and ends of months come unannounced, a few dear calls make a day. With
# these factors the false alarms are about as many as the looks allow.
_WILDER = {"spend": 1.4, "requests": 1.1, "sessions": 1.1}


def levels(
    facts: Facts, name: str, quantity: str, rise: float, scopes: Scopes, past: tuple[int, int]
) -> Iterator[Measure]:  # fmt: skip
    """Watch how much of a quantity there is."""
    several = [(EVERYTHING, tuple(facts.sums)), *(scopes if len(scopes) > 1 else ())]
    unit = 1e-12 if quantity == "pico_usd" else 1.0
    for scope, keys in several:
        level = facts.summed(quantity, keys)
        shaped = Shaped(level, facts.first)
        shown = ratio(level, lambda *_: 1.0, unit)
        alone = Measure(
            name, scope, logarithm(level), math.log1p(rise), _WINDOWS, _BELIEVED, keys, shown, wilder=_WILDER[name],
            traffic=Traffic(shaped),
        )  # fmt: skip
        yield alone
        others = facts.summed(quantity, [key for key in facts.sums if key not in keys])
        if scope != EVERYTHING and others(*past) > 0:
            # Busy days are busy everywhere: beside the others an endpoint shows what is its own.
            beside = Traffic(shaped, Shaped(others, facts.first))
            yield replace(alone, value=logarithm(ratio(level, others, 1.0)), alone=alone, traffic=beside)


def sessions(facts: Facts, rise: float, now: int, past: tuple[int, int]) -> Iterator[Measure]:
    """Watch how many sessions begin: calls come in bursts, of which each is one session."""
    begun = facts.begun()
    least = MATTERS * sum(one.between(*past) for one in begun.values())
    named = {name: one for name, one in begun.items() if one.between(*past) > least}
    everything = Totals.added(begun.values())
    first = max(0, now - HISTORY_DAYS * 24)
    several = {EVERYTHING: everything, **(named if 1 < len(named) <= MOST else {})}
    for scope, each in several.items():
        shaped = Shaped(each.between, facts.first)
        level = _since(now - HISTORY_DAYS * 24, each.between)
        alone = Measure(
            "sessions", scope, logarithm(level), math.log1p(rise), _WINDOWS, _BELIEVED, tuple(facts.sums), level,
            wilder=_WILDER["sessions"], traffic=Traffic(shaped, None, first),
        )  # fmt: skip
        yield alone
        if scope != EVERYTHING:
            others = _less(everything.between, each.between)
            beside = Traffic(shaped, Shaped(others, facts.first), first)
            yield replace(alone, value=logarithm(ratio(each.between, others, 1.0)), alone=alone, traffic=beside)


def _since(first: int, count: Between) -> Value:
    """Return a count as far back as runs are read."""
    return lambda start, end: count(start, end) if start >= first else None


def _less(of: Between, part: Between) -> Between:
    return lambda start, end: of(start, end) - part(start, end)
