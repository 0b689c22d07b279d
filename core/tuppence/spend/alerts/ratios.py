"""What a request costs and takes, and how good its answer was: ratios, which go by calls and not by the hour.

Over all endpoints a ratio is compared with what its endpoints usually have, weighted by the calls that there are: a
launch that moves traffic from one endpoint to another changes no ratio. An endpoint without a past is left out of
them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tuppence.spend.alerts.facts import Between, Facts, Key
from tuppence.spend.alerts.measure import (
    EVERYTHING,
    FEWEST,
    Measure,
    Value,
    arcsine,
    logarithm,
    ratio,
    share_of_arcsine,
)
from tuppence.spend.alerts.rules import AlertRules
from tuppence.spend.alerts.scopes import MATTERS, Scopes

_FEWEST_SCORES = 4
# A share that is usually smaller than this has nowhere to fall to.
_SMALLEST_SHARE = 0.02
_RATIOS = (
    ("cost_per_request", "pico_usd", "calls", (6, 12, 24)),
    ("tokens_per_request", "input_tokens", "calls", (6, 12, 24)),
    ("amplification", "attempts", "calls", (3, 6, 12, 24)),
    ("cache_hits", "hits", "calls", (6, 12, 24)),
    ("prefix_hits", "cached_tokens", "input_tokens", (6, 12, 24)),
)
SHARES = ("cache_hits", "prefix_hits")
# Measured on the development months: days depend on each other, and a few dear calls make a day. With these factors
# the false alarms are about as many as the looks allow.
_WILDER = {
    "cost_per_request": 1.1, "tokens_per_request": 1.1, "amplification": 1.0, "price": 1.35, "cache_hits": 1.1,
    "prefix_hits": 1.1,
}  # fmt: skip
# Spread from one day to the next where there is no history yet, as the development months have it.
_BELIEVED = {
    "cost_per_request": 0.08, "tokens_per_request": 0.08, "amplification": 0.04, "retries": 0.04, "tier_mix": 0.06,
    "price": 0.01, "cache_hits": 0.1, "prefix_hits": 0.1, "judge_score": 0.02,
}  # fmt: skip


def ratios(facts: Facts, rules: AlertRules, scopes: Scopes, past: tuple[int, int]) -> Iterator[Measure]:
    """Watch one sum beside another, for each of the ratios that has a rule."""
    for name, top, bottom, windows in _RATIOS:
        rise = getattr(rules, name)
        if rise is not None:
            yield from _ratio(facts, name, (top, bottom), rise, windows, scopes, past)


def _ratio(
    facts: Facts, name: str, of: tuple[str, str], rise: float, windows: tuple[int, ...], scopes: Scopes,
    past: tuple[int, int],
) -> Iterator[Measure]:  # fmt: skip
    falls = name in SHARES
    # A share may fall to nothing, of which there is no logarithm.
    step = -rise if falls else math.log1p(rise)
    unit = 1e-12 if of[0] == "pico_usd" else 1.0
    parts: dict[str, tuple[tuple[Key, ...], Between, Between, float]] = {}
    for scope, keys in scopes:
        top, bottom = facts.summed(of[0], keys), facts.summed(of[1], keys)
        before = top(*past) / bottom(*past) if bottom(*past) else 0.0
        if facts.summed("calls", keys)(*past) >= FEWEST and before > (_SMALLEST_SHARE if falls else 0.0):
            parts[scope] = keys, top, bottom, before
    several = [(scope, [part]) for scope, part in parts.items()]
    if len(parts) > 1:
        several.append((EVERYTHING, list(parts.values())))
    for scope, members in several:
        keys = tuple(key for part in members for key in part[0])
        count = facts.summed("calls", keys)
        relative = _standard([part[1:] for part in members], count)
        value = relative if falls else logarithm(relative)
        shown = ratio(facts.summed(of[0], keys), facts.summed(of[1], keys), unit)
        yield Measure(
            name, scope, value, step, windows, _BELIEVED[name], keys, shown, count,
            wilder=_WILDER[name], creeps=True,
        )  # fmt: skip


def _standard(members: Sequence[tuple[Between, Between, float]], count: Between) -> Value:
    """Return a ratio as a multiple of what is usual for these calls."""

    def value(start: int, end: int) -> float | None:
        if count(start, end) < FEWEST:
            return None
        expected = sum(bottom(start, end) * before for _, bottom, before in members)
        return sum(top(start, end) for top, _, _ in members) / expected if expected > 0 else None

    return value


def repeats(facts: Facts, rise: float, scopes: Scopes) -> Iterator[Measure]:
    """Watch the part of the attempts that failed or were made again."""
    several = [(EVERYTHING, tuple(facts.sums)), *(scopes if len(scopes) > 1 else ())]
    for scope, keys in several:
        failed, again = facts.summed("failures", keys), facts.summed("retries", keys)
        attempts = facts.summed("attempts", keys)

        def bad(start: int, end: int, failed: Between = failed, again: Between = again) -> float:
            return failed(start, end) + again(start, end)

        yield Measure(
            "retries", scope, arcsine(bad, attempts), rise, (3, 6, 12, 24), _BELIEVED["retries"], keys,
            ratio(bad, attempts, 1.0), attempts, binomial=True, plain=share_of_arcsine,
        )  # fmt: skip


def mixes(facts: Facts, rise: float, scopes: Scopes, past: tuple[int, int]) -> Iterator[Measure]:
    """Watch what an attempt would cost at each tier's own usual: only who is asked moves it."""
    for scope, keys in scopes:
        each: list[tuple[Between, float]] = []
        for tier in {key[1:] for key in keys}:
            of_tier = [key for key in facts.sums if key[1:] == tier]
            attempts = facts.summed("attempts", of_tier)(*past)
            if attempts:
                usual = facts.summed("pico_usd", of_tier)(*past) / attempts
                each.append((facts.summed("attempts", [key for key in keys if key[1:] == tier]), usual))
        if len(each) < 2:
            continue
        asked = facts.summed("attempts", keys)

        def worth(start: int, end: int, each: Sequence[tuple[Between, float]] = tuple(each)) -> float:
            return sum(attempts(start, end) * price for attempts, price in each)

        shown = ratio(worth, asked, 1e-12)
        yield Measure(
            "tier_mix",
            scope,
            logarithm(shown, asked),
            math.log1p(rise),
            (6, 12, 24),
            _BELIEVED["tier_mix"],
            keys,
            shown,
            asked,
            creeps=True,
        )


def prices(facts: Facts, rise: float, past: tuple[int, int]) -> Iterator[Measure]:
    """Watch each model's cost beside what its tokens usually cost."""
    spent_by_all = facts.summed("pico_usd", facts.sums)(*past)
    for tier, model in sorted({key[1:] for key in facts.sums}):
        keys = tuple(key for key in facts.sums if key[1:] == (tier, model))
        spent = facts.summed("pico_usd", keys)
        if spent(*past) <= MATTERS * spent_by_all:
            continue
        # By endpoint: some may run in a lane at half the price, and their part of the calls moves.
        each = [(facts.summed("pico_usd", [key]), _worth(facts, key, past)) for key in keys]
        members = [(top, worth, top(*past) / worth(*past)) for top, worth in each if worth(*past) > 0]
        asked = facts.summed("attempts", keys)
        relative = _standard(members, asked)
        yield Measure(
            "price", f"{tier} ({model})", logarithm(relative), math.log1p(rise), (3, 6, 12, 24), _BELIEVED["price"],
            keys, relative, asked, wilder=_WILDER["price"],
        )  # fmt: skip


def _worth(facts: Facts, key: Key, past: tuple[int, int]) -> Between:
    """Return what a key's tokens would cost at what each kind usually costs, in any unit."""
    weight = facts.weights(key[2], past)
    read, cached, written = (facts.summed(one, [key]) for one in ("input_tokens", "cached_tokens", "output_tokens"))

    def worth(start: int, end: int) -> float:
        from_cache = cached(start, end)
        return (read(start, end) - from_cache) * weight[0] + from_cache * weight[1] + written(start, end) * weight[2]

    return worth


def scores(facts: Facts, fall: float) -> Measure:
    """Watch the mean score that judges and people gave."""
    total, number = facts.scores

    def value(start: int, end: int) -> float | None:
        scores = number.between(start, end)
        return total.between(start, end) / scores if scores >= _FEWEST_SCORES else None

    return Measure(
        "judge_score",
        EVERYTHING,
        value,
        -fall,
        (12, 24),
        _BELIEVED["judge_score"],
        tuple(facts.sums),
        value,
        number.between,
        creeps=True,
    )
