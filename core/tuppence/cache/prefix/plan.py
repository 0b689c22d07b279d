"""What to ask of a provider's prefix cache for one request: where to mark, for how long, or not at all.

A plan is the cheapest that the one cost model knows under the traffic that was observed, the same for the same
request. It changes no text and asks nobody. "Do not cache" is an answer, with what caching would cost more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

from tuppence.cache.prefix.costs import Point, break_even, expected_pico
from tuppence.cache.prefix.rules import Lifetime, PrefixRule
from tuppence.cache.prefix.segments import Prompt, Segment
from tuppence.cache.prefix.traffic import Traffic
from tuppence.prices import Rate, usd
from tuppence.request import Edits, Mark

# So many requests must have been seen not to repeat before what a provider caches unasked is switched off, or its key
# names less.
_ENOUGH_REQUESTS = 16

_Choice = tuple[tuple[Segment, Lifetime], ...]


@dataclass(frozen=True, slots=True)
class PrefixPlan:
    """What to ask for, and why."""

    reason: str
    marks: tuple[Mark, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    planned_pico: Fraction | None = None
    """Expected cost of the prompt's input under this plan; None where it is not priced."""
    uncached_pico: Fraction | None = None
    """The same with nothing cached."""

    @property
    def edits(self) -> Edits:
        return Edits(params=self.params, marks=self.marks)


def plan_prefix(prompt: Prompt, rule: PrefixRule | None, rate: Rate | None, traffic: Traffic) -> PrefixPlan:
    """Plan how `prompt` uses its provider's cache, given the scope's traffic before it.

    Among all placements that the rule allows it takes the one of least expected cost (`expected_pico`), nothing marked
    being one of them; of equally cheap ones the one with fewer marks and shorter lifetimes. A single prefix is worth
    marking where more than `break_even` of its requests find it.
    """
    if rule is None:
        return PrefixPlan(f"no rule says how prefixes of {prompt.model!r} are cached")
    if own := sorted(rule.own_params & prompt.asked):
        return PrefixPlan(f"the caller set {', '.join(own)} himself")
    if rate is None:
        return PrefixPlan(f"{prompt.model!r} has no price: what a cache write costs is not known")
    automatic = rule.kind == "automatic"
    cuts = [cut for cut in prompt.cuts if automatic or cut.name in rule.marks_on]
    long_enough = [cut for cut in cuts if cut.upto_tokens >= rule.minimum_tokens]
    if not long_enough:
        return PrefixPlan(_too_short(prompt, cuts, rule))
    plan = _automatic if automatic else _marked
    return plan(prompt, long_enough, rule, rate, traffic)


def _automatic(prompt: Prompt, cuts: Sequence[Segment], rule: PrefixRule, rate: Rate, traffic: Traffic) -> PrefixPlan:
    """Leave the caching to the provider, and keep requests with the same prefix together."""
    lifetime = rule.lifetimes[0]
    points = _points([(cut, lifetime) for cut in cuts], traffic)
    planned = expected_pico(prompt.tokens, points, rate, step_tokens=rule.step_tokens)
    uncached = expected_pico(prompt.tokens, (), rate)
    reason = f"the provider caches by itself; {_share(traffic.warm(cuts[-1].name, lifetime.seconds))} come in time"
    return PrefixPlan(reason, (), _key(prompt, rule, traffic), planned, uncached)


def _marked(prompt: Prompt, cuts: Sequence[Segment], rule: PrefixRule, rate: Rate, traffic: Traffic) -> PrefixPlan:
    uncached = expected_pico(prompt.tokens, (), rate)
    priced = [
        (cost, choice)
        for choice in _choices(cuts, rule)
        if (cost := expected_pico(prompt.tokens, _points(choice, traffic), rate)) is not None
    ]
    if uncached is None or not priced:
        return PrefixPlan(f"{prompt.model!r} has no price for reading or writing its cache")
    cost, choice = min(priced, key=_preference)
    if cost >= uncached:
        off = rule.off_params if traffic.requests >= _ENOUGH_REQUESTS else {}
        return PrefixPlan(_not_worth(cost - uncached, choice, rate, traffic), (), off, uncached, uncached)
    params = {} if rule.key_param in prompt.asked else _key(prompt, rule, traffic)
    marks = _marks(prompt, choice, rule)
    return PrefixPlan(_worth(uncached - cost, choice, traffic), marks, params, cost, uncached)


def _choices(cuts: Sequence[Segment], rule: PrefixRule) -> Iterator[_Choice]:
    """Yield every allowed placement of marks with their lifetimes; longer lifetimes stand before shorter ones."""
    for lifetimes in product((None, *rule.lifetimes), repeat=len(cuts)):
        choice = tuple((cut, one) for cut, one in zip(cuts, lifetimes, strict=True) if one is not None)
        seconds = [one.seconds for _, one in choice]
        if choice and len(choice) <= rule.max_marks and seconds == sorted(seconds, reverse=True):
            yield choice


def _points(choice: Sequence[tuple[Segment, Lifetime]], traffic: Traffic) -> list[Point]:
    return [
        Point(cut.upto_tokens, traffic.warm(cut.name, one.seconds), one.bucket, traffic.share(cut.name, one.seconds))
        for cut, one in choice
    ]


def _preference(priced: tuple[Fraction, _Choice]) -> tuple[Fraction, int, tuple[int, ...]]:
    cost, choice = priced
    return cost, len(choice), tuple(one.seconds for _, one in choice)


def _marks(prompt: Prompt, choice: _Choice, rule: PrefixRule) -> tuple[Mark, ...]:
    """Return the chosen marks, and between the last two those that a long way back needs: they write nothing more."""
    marks = [Mark(cut.place, one.name) for cut, one in choice]
    last, lifetime = choice[-1]
    if rule.lookback_blocks is not None and last.name == "turns":
        floor = max(rule.minimum_tokens, choice[-2][0].upto_tokens + 1 if len(choice) > 1 else 0)
        turns = [one for one in prompt.segments if one.name == "turns" and one.upto_tokens >= floor]
        steps = _steps(turns, rule.lookback_blocks)[: rule.max_marks - len(marks)]
        marks[-1:-1] = [Mark(step.place, lifetime.name) for step in reversed(steps)]
    return tuple(marks)


def _steps(turns: Sequence[Segment], lookback_blocks: int) -> list[Segment]:
    """Return messages, the last first, no further apart than is searched backwards, as far as messages allow."""
    steps: list[Segment] = []
    distance = 0
    for after, before in zip(reversed(turns), reversed(turns[:-1]), strict=False):
        further = distance + after.blocks
        if further > lookback_blocks and distance:
            steps.append(after)
            further = after.blocks
        distance = further
        if distance > lookback_blocks:
            steps.append(before)
            distance = 0
    return steps


def _key(prompt: Prompt, rule: PrefixRule, traffic: Traffic) -> dict[str, Any]:
    """Name the prefix that a tenant's requests share: its tools and instructions, as far as they do come again.

    Instructions that never do (documents stand in them, or the time) would send every request to another machine, and
    away from what it has in common with the others.
    """
    if rule.key_param is None:
        return {}
    enough, seconds = traffic.requests >= _ENOUGH_REQUESTS, rule.lifetimes[-1].seconds
    stable = [
        one.digest
        for one in prompt.segments
        if one.name in ("tools", "system") and (traffic.warm(one.name, seconds) or not enough)
    ]
    named = f"{prompt.tenant}\0{stable[-1] if stable else ''}"
    digest = hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16)
    return {rule.key_param: f"tuppence-{digest.hexdigest()}"}


# -- in words


def _too_short(prompt: Prompt, cuts: Sequence[Segment], rule: PrefixRule) -> str:
    longest = cuts[-1].upto_tokens if cuts else 0
    assumed = " (assumed: no page names the model)" if rule.assumed else ""
    return (
        f"the prefix that can be kept has {longest} tokens: {prompt.model!r} caches from "
        f"{rule.minimum_tokens} on{assumed}"
    )


def _not_worth(extra: Fraction, choice: _Choice, rate: Rate, traffic: Traffic) -> str:
    cut, lifetime = choice[-1]
    needed = break_even(cut.upto_tokens, lifetime.bucket, rate)
    above = "" if needed is None else f", and it pays above {_share(needed)}"
    return (
        f"do not cache: it would cost {_dollars(extra)} more in 1,000 such calls. "
        f"{_share(traffic.warm(cut.name, lifetime.seconds))} of {traffic.requests} requests found their prefix "
        f"within {lifetime.name}{above}"
    )


def _worth(saved: Fraction, choice: _Choice, traffic: Traffic) -> str:
    places = ", ".join(f"{cut.name} for {one.name}" for cut, one in choice)
    cut, lifetime = choice[-1]
    return (
        f"cache {places}: saves {_dollars(saved)} in 1,000 such calls. "
        f"{_share(traffic.warm(cut.name, lifetime.seconds))} of {traffic.requests} requests found their prefix "
        f"within {lifetime.name}"
    )


def _share(share: Fraction) -> str:
    return f"{float(share):.0%}"


def _dollars(pico: Fraction) -> str:
    return f"${usd(round(pico * 1000)):.4f}"
