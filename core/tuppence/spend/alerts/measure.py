"""What a measure is: a quantity of one scope, a number for any stretch of hours, and what rings.

Here too is what quantities are made of: logarithms, ratios and shares that are None where too little was there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tuppence.spend.alerts.facts import Between, Key
from tuppence.spend.alerts.traffic import Traffic

HOURS_A_MONTH = 720
EVERYTHING = "all calls"

Value = Callable[[int, int], float | None]
"""What a quantity is in the hours from one index up to another; None where too little was there."""

# Below so many requests in a window, a ratio says nothing.
FEWEST = 20


@dataclass(frozen=True, slots=True)
class Measure:
    """One quantity of one scope, and what rings."""

    rule: str
    scope: str
    value: Value
    """On the scale that noise is measured on: a logarithm, for all but scores."""
    rise: float
    """What it must be above the usual by, on that scale; below, where this is negative."""
    windows: tuple[int, ...]
    """Hours."""
    believed: float
    """Spread that is taken for granted before there is a history."""
    keys: tuple[Key, ...]
    """What it is about."""
    shown: Value
    """The same in the unit that a person reads: dollars, tokens, attempts, or a part."""
    count: Between | None = None
    """What the noise goes by: with fewer than usual, more is needed to ring."""
    traffic: Traffic | None = None
    """What a level is learned from: hours of traffic."""
    floor: float = -math.inf
    """What it must be above anyway."""
    wilder: float = 1.0
    """Factor on its spread: days that depend on each other, bursts."""
    alone: Measure | None = None
    """What must be beyond what rings too: one endpoint's traffic, where this is that beside the others'."""
    creeps: bool = False
    """Whether half of what rings is enough where it grows: prompts and habits do so by and by, prices do not."""
    binomial: bool = False
    """Whether it is a share of its count on the scale where chance alone spreads it by one over the count's root."""
    plain: Callable[[float], float] = lambda value: value
    """From its own scale to the one that `rise` is on."""

    @property
    def key(self) -> str:
        return f"{self.rule}/{self.scope}"

    @property
    def looks(self) -> float:
        """Windows a month that share no hour with another of their length."""
        return sum(HOURS_A_MONTH / hours for hours in self.windows)


def ratio(top: Between, bottom: Between, unit: float) -> Value:
    def shown(start: int, end: int) -> float | None:
        below = bottom(start, end)
        return unit * top(start, end) / below if below > 0 else None

    return shown


def logarithm(of: Value, count: Between | None = None) -> Value:
    def value(start: int, end: int) -> float | None:
        if count is not None and count(start, end) < FEWEST:
            return None
        found = of(start, end)
        return math.log(found) if found is not None and found > 0 else None

    return value


def exponential(of: Value) -> Value:
    def shown(start: int, end: int) -> float | None:
        found = of(start, end)
        return None if found is None else math.exp(found)

    return shown


def arcsine(top: Between, count: Between) -> Value:
    """Return a share on the scale on which its noise is the same whatever it is (F. J. Anscombe, Biometrika 35 (1948)
    246-254).
    """

    def value(start: int, end: int) -> float | None:
        below = count(start, end)
        return 2 * math.asin(math.sqrt((top(start, end) + 0.375) / (below + 0.75))) if below >= FEWEST else None

    return value


def share_of_arcsine(angle: float) -> float:
    return math.sin(min(max(angle, 0.0), math.pi) / 2) ** 2
