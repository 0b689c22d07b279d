"""Why one period cost more than another, as sums of money that add up to the difference exactly.

Cost is a product, term by term: calls, times the part that an endpoint has of them, times answers a call, times the
part that a tier has of them, times how often its answers are asked for again, times tokens an answer, times price.
What each factor did to the sum is split by the log-mean Divisia index (LMDI-I; B. W. Ang, "The LMDI approach to
decomposition analysis: a practical guide", Energy Policy 33 (2005) 867-871), which leaves no rest and treats all
factors alike, whichever is named first. A term that appears or vanishes counts for the factor that was zero (the
analytical limits of B. W. Ang and N. Liu, "Handling zero values in the LMDI decomposition approach", Energy Policy 35
(2007) 238-246).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tuppence.prices import PicoUSD
from tuppence.spend.digest.segments import LIKE_A_LIST, Period, Segment, Weights, merged

DRIVERS = (
    "users", "chats", "turns", "calls", "mix", "answer_cache", "attempts", "tiers", "retries", "prompt", "prefix_cache",
    "output", "price",
)  # fmt: skip
"""In the order of the product. Users, chats a user and turns a chat where calls are tagged so, else calls alone."""

Key = tuple[str, str | None]
"""A driver, and the endpoint that it acted on; None where it acted on all."""

_OVERALL = frozenset({"users", "chats", "turns", "calls"})
"""Drivers that no endpoint has of its own."""


@dataclass(frozen=True, slots=True)
class _Term:
    """One summand of the cost: what it came to in both periods, and the factors whose product that is."""

    endpoint: str | None
    cost: tuple[float, float]
    factors: tuple[tuple[str, float, float], ...]


def decompose(before: Period, after: Period, weights: Weights) -> dict[Key, PicoUSD]:
    """Return what each driver added to the cost, below 0 where it took away; the sum is the difference, exactly."""
    effects: dict[Key, float] = {}
    for term in _terms(before, after, weights):
        for driver, effect in _effects(term):
            key = driver, None if driver in _OVERALL else term.endpoint
            effects[key] = effects.get(key, 0.0) + effect
    return reconciled(effects, after.pico_usd - before.pico_usd)


def reconciled(effects: Mapping[Key, float], total: PicoUSD) -> dict[Key, PicoUSD]:
    """Round to integers whose sum is `total`: down, and what is left to those that lost most by that."""
    if not effects:
        return {("calls", None): total} if total else {}
    whole = {key: math.floor(value) for key, value in effects.items()}
    every, rest = divmod(total - sum(whole.values()), len(whole))
    most = sorted(effects, key=lambda key: (whole[key] - effects[key], str(key)))
    return {key: whole[key] + every + (place < rest) for place, key in enumerate(most)}


def by_driver(effects: Mapping[Key, PicoUSD]) -> dict[str, PicoUSD]:
    """Add up over endpoints, in the order of the product."""
    found: dict[str, PicoUSD] = {}
    for driver in DRIVERS:
        parts = [pico for (name, _), pico in effects.items() if name == driver]
        if parts:
            found[driver] = sum(parts)
    return found


def _effects(term: _Term) -> Iterator[tuple[str, float]]:
    first, last = term.cost
    if first > 0 and last > 0:
        mean = first if first == last else (last - first) / math.log(last / first)
        for driver, old, new in term.factors:
            yield driver, mean * math.log(new / old)
        return
    # The first factor that is zero: those after it are shares of nothing.
    for driver, old, new in term.factors:
        if (old == 0) != (new == 0):
            yield driver, last - first
            return


def _terms(before: Period, after: Period, weights: Weights) -> Iterator[_Term]:
    overall = tuple(_overall(before, after))
    sides = _Side(before), _Side(after)
    for endpoint, tier, model in dict.fromkeys((*sides[0].segments, *sides[1].segments)):
        key = endpoint, tier, model
        chains = [side.chain(key, weights.get(model, LIKE_A_LIST)) for side in sides]
        for old, new in zip(*chains, strict=True):
            factors = tuple((name, old.factors[name], new.factors[name]) for name in old.factors)
            if old.cost or new.cost:
                yield _Term(endpoint, (old.cost, new.cost), overall + factors)


def _overall(before: Period, after: Period) -> Iterator[tuple[str, float, float]]:
    """Split the number of calls into a product of what both periods know."""
    pairs = [("users", before.users, after.users), ("chats", before.chats, after.chats)]
    known = [(name, old, new) for name, old, new in pairs if old and new]
    if len(known) == 1 and known[0][0] == "users":
        known = []
    steps = [*known, ("turns" if known else "calls", max(1, before.calls), max(1, after.calls))]
    yield steps[0][0], float(steps[0][1]), float(steps[0][2])
    for (_, old, new), (name, more_old, more_new) in pairwise(steps):
        yield name, more_old / old, more_new / new


@dataclass(frozen=True, slots=True)
class _Link:
    """One kind of tokens of one segment: its cost and the factors below the number of calls."""

    cost: float
    factors: dict[str, float]


class _Side:
    """One period, its segments in the places where the other one's are looked for."""

    def __init__(self, period: Period) -> None:
        self.segments = {(one.endpoint, one.tier, one.model): one for one in merged(period.segments)}
        self._calls = max(1, period.calls)
        self._of_endpoint: dict[str | None, list[int]] = {}
        for one in self.segments.values():
            sums = self._of_endpoint.setdefault(one.endpoint, [0, 0, 0])
            for index, value in enumerate((one.calls, one.hits, _first_answers(one))):
                sums[index] += value

    def chain(self, key: tuple[str | None, str, str], weight: Sequence[float]) -> list[_Link]:
        """Return the summands: tokens read fresh, from the prefix cache, tokens written, failures, and what has no
        tokens.
        """
        one = self.segments.get(key) or Segment(*key, *[0] * 10)
        calls, hits, answers = self._of_endpoint.get(one.endpoint, (0, 0, 0))
        # A hit whose call began before the period has no call here.
        asked = max(0, calls - hits)
        shared = {
            "mix": _part(calls, self._calls),
            "answer_cache": _part(asked, calls),
            "attempts": _part(answers, asked),
            "tiers": _part(_first_answers(one), answers),
            "retries": _part(one.attempts - one.failures, _first_answers(one)),
        }
        answered, paid = one.attempts - one.failures, one.pico_usd - one.failed_pico
        worth = [tokens * each for tokens, each in zip(one.worth, weight, strict=True)]
        priced = all(shared.values()) and sum(worth) > 0
        costs = [paid * part / sum(worth) if priced else 0.0 for part in worth]
        prompt = _part(one.input_tokens, answered)
        links = []
        for cost, tokens in zip(costs, (one.input_tokens - one.cached_tokens, one.cached_tokens), strict=False):
            read = {"prompt": prompt, "prefix_cache": _part(tokens, one.input_tokens), "price": _part(cost, tokens)}
            links.append(_Link(cost, shared | read))
        written = {"output": _part(one.output_tokens, answered), "price": _part(costs[2], one.output_tokens)}
        return [
            *links,
            _Link(costs[2], shared | written),
            self._by_call("retries", calls, one.failed_pico),
            self._by_call("price", calls, 0 if priced else paid),
        ]

    def _by_call(self, driver: str, calls: int, pico: PicoUSD) -> _Link:
        """What goes by no token, such as machines by the hour: by the endpoint's calls, or by all where it has none."""
        if not calls:
            return _Link(float(pico), {"mix": pico / self._calls, driver: 1.0})
        return _Link(float(pico), {"mix": calls / self._calls, driver: pico / calls})


def _first_answers(one: Segment) -> int:
    """Return the answers that repeat none; where all do, the first of them are not in this period."""
    answers = one.attempts - one.failures
    return answers - one.retries if answers > one.retries else answers


def _part(some: float, of: float) -> float:
    return some / of if of else 0.0


def largest(effects: Mapping[Key, PicoUSD], count: int) -> list[tuple[Key, PicoUSD]]:
    """Return the drivers that moved the cost most, either way."""
    ranked: Iterable[tuple[Key, PicoUSD]] = sorted(effects.items(), key=lambda item: -abs(item[1]))
    return [(key, pico) for key, pico in ranked if pico][:count]
