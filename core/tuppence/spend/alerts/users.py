"""Who sends much more than they usually do: one user, a loop, a stolen key."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from statistics import median

from tuppence.spend.alerts.facts import Facts

USUAL_DAYS = 14
# Below this part of everybody's tokens nobody is worth a word.
_LEAST = 0.01
_FEWEST_DAYS = 7


def user_excess(facts: Facts, now: int) -> Callable[[int, int], float | None]:
    """Return the logarithm of what the one user who stands out most sends above their usual, as a part of everybody's
    usual tokens in such a window.
    """
    usual: dict[int, tuple[dict[str, float], float]] = {}

    def value(start: int, end: int) -> float | None:
        hours = end - start
        if hours not in usual:
            usual[hours] = _usual(facts, now, hours)
        each, everybody = usual[hours]
        if not everybody:
            return None
        top = standing_out(facts, start, end, each)
        return math.log(max(_LEAST, 0.0 if top is None else top[1] / everybody))

    return value


def standing_out(facts: Facts, start: int, end: int, usual: dict[str, float]) -> tuple[str, float] | None:
    """Return the user with most tokens above their usual, and these tokens; None where there is no user."""
    tokens = _tokens(facts, start, end)
    now, before = sum(tokens.values()), max(1.0, sum(usual.values()))
    # When everybody sends more, so may each.
    grown = {user: max(1.0, (now - count) / max(1.0, before - usual.get(user, 0.0))) for user, count in tokens.items()}
    above = ((user, count - usual.get(user, 0.0) * grown[user]) for user, count in tokens.items())
    return max(above, key=lambda one: (one[1], one[0]), default=None)


def who(facts: Facts, now: int, hours: int) -> str | None:
    """Name the user that stands out."""
    top = standing_out(facts, now - hours, now, _usual(facts, now, hours)[0])
    return None if top is None else top[0]


def _usual(facts: Facts, now: int, hours: int) -> tuple[dict[str, float], float]:
    """Return the middle day's tokens of each user, and of all, in the same hours."""
    ends = [now - 24 * age for age in range(1, USUAL_DAYS + 1) if now - 24 * age - hours >= 0]
    days = [tokens for end in ends if (tokens := _tokens(facts, end - hours, end))]
    if len(days) < _FEWEST_DAYS:
        return {}, 0.0
    # Who comes on fewer than half of the days has a middle of 0.
    often = Counter(user for tokens in days for user in tokens)
    each = {
        user: float(median(tokens.get(user, 0) for tokens in days)) for user, seen in often.items()
        if 2 * seen >= len(days)
    }  # fmt: skip
    return each, float(median(sum(tokens.values()) for tokens in days))


def _tokens(facts: Facts, start: int, end: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for hour in facts.users[max(0, start) : max(0, end)]:
        found.update(hour)
    return found
