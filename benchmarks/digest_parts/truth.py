"""What drove a change between two made-up weeks, by the definition in docs/digest.md, from the draws themselves.

The definition is the digest's; the arithmetic is this file's own, over attempts and true prices, token by token, where
the digest has sums of days and no price of a kind of token. It imports nothing of what it judges.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from months import Month
from months.climbs import CAUSES, FAILED, HIT
from months.columns import Day
from months.pricing import price_table

FRESH, CACHED, WRITTEN = range(3)
KINDS = ([0, 2], [1], [3])
"""Buckets of the generator that make up each kind of token: what is put into the prompt cache is read fresh."""
READ_MS = 1 / 40
"""What a machine takes to read a token, in `months.climbs`."""
VALIDATION = CAUSES.index("validation_retry")

Lane = tuple[int, int]
"""Endpoint and tier."""


@dataclass(slots=True)
class Counted:
    """One week, counted from its attempts."""

    users: int = 0
    chats: int = 0
    calls: int = 0
    of_endpoint: dict[int, np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(3)))
    """Calls, hits, and answers that repeat none."""
    of_lane: dict[Lane, np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(3)))
    """Answers, those that repeat none, and what failures were billed."""
    tokens: dict[Lane, np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(3)))
    paid: dict[Lane, np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(3)))
    """Pico-USD for each kind of token."""


def counted(made: Month, days: Sequence[Day]) -> Counted:
    """Count a week."""
    week = Counted(
        len(np.unique(np.concatenate([day.calls.user for day in days]))),
        len(np.unique(np.concatenate([day.calls.session for day in days]))),
        sum(int(day.own.sum()) for day in days),
    )  # fmt: skip
    for day in days:
        rows = day.rows
        endpoint = day.calls.endpoint[rows.call]
        failed, repeat = rows.outcome == FAILED, rows.cause == VALIDATION
        answer = ~failed & (rows.outcome != HIT)
        paid = _paid(made, day)
        for place in np.unique(endpoint).tolist():
            here = endpoint == place
            week.of_endpoint[place] += [np.sum(here & day.own), np.sum(here & day.hit), np.sum(here & answer & ~repeat)]
            for tier in np.unique(rows.tier[here & (rows.outcome != HIT)]).tolist():
                mine = here & (rows.tier == tier) & (rows.outcome != HIT)
                billed = np.maximum(day.money.pico[mine & failed], 0).sum()
                week.of_lane[place, tier] += [np.sum(mine & answer), np.sum(mine & answer & ~repeat), billed]
                used = rows.used[mine & answer]
                week.tokens[place, tier] += [used[:, kind].sum() for kind in KINDS]
                week.paid[place, tier] += paid[mine & answer].sum(axis=0)
    return week


def _paid(made: Month, day: Day) -> np.ndarray:
    """Return what each attempt paid for each kind of token, by [row, kind].

    A machine by the hour has no price of a token: what it cost goes by the time that each kind takes it.
    """
    table, _ = price_table(made.world, made.changes)
    rows, money = day.rows, day.money
    tier = np.maximum(rows.tier, 0)
    each = (rows.used * table.nano[money.epoch, rows.lane, tier]).astype(float)
    machine = table.gpu[0][tier] > 0
    written_ms = 1000 / np.array([one.tokens_per_s for one in made.world.tiers])[tier]
    each[machine] = 0.0
    each[machine, 0] = rows.used[machine, 0] * READ_MS
    each[machine, 3] = (rows.used[:, 3] * written_ms)[machine]
    kinds = np.stack([each[:, kind].sum(axis=1) for kind in KINDS], axis=1).astype(float)
    worth = kinds.sum(axis=1, keepdims=True)
    return np.divide(kinds, worth, out=np.zeros_like(kinds), where=worth > 0) * np.maximum(money.pico, 0)[:, None]


def drivers(before: Counted, after: Counted) -> dict[str, float]:
    """Split the change of cost by the logarithmic mean of each term (LMDI-I), in pico-USD."""
    found: dict[str, float] = defaultdict(float)
    overall = _ratios(
        users=(before.users, after.users),
        chats=(before.chats / before.users, after.chats / after.users),
        turns=(before.calls / before.chats, after.calls / after.chats),
    )
    for lane in {**before.of_lane, **after.of_lane}:
        old, new = _lane(before, lane), _lane(after, lane)
        for kind in (FRESH, CACHED, WRITTEN):
            _split(found, (old["paid"][kind], new["paid"][kind]), overall, _factors(old, kind), _factors(new, kind))
        billed = old["billed"], new["billed"]
        factors = [{"mix": one["mix"], "retries": one["billed"] / one["calls"]} for one in (old, new)]
        _split(found, billed, overall, *factors)
    return dict(found)


def _lane(week: Counted, lane: Lane) -> dict[str, object]:
    calls, hits, first = week.of_endpoint[lane[0]]
    answers, mine, billed = week.of_lane[lane]
    return {
        "calls": max(1.0, calls), "mix": calls / week.calls, "asked": (calls - hits) / max(1.0, calls),
        "attempts": first / max(1.0, calls - hits), "tier": mine / max(1.0, first), "again": answers / max(1.0, mine),
        "answers": answers, "tokens": week.tokens[lane], "paid": week.paid[lane], "billed": billed,
    }  # fmt: skip


def _factors(one: Mapping[str, object], kind: int) -> dict[str, float]:
    """Return the factors of one kind of tokens' cost, below the number of calls, in the order of the definition."""
    tokens, answers = one["tokens"], max(1.0, one["answers"])
    read = tokens[FRESH] + tokens[CACHED]
    price = one["paid"][kind] / tokens[kind] if tokens[kind] else 0.0
    shared = {
        "mix": one["mix"], "answer_cache": one["asked"], "attempts": one["attempts"], "tiers": one["tier"],
        "retries": one["again"],
    }  # fmt: skip
    if kind == WRITTEN:
        return shared | {"output": tokens[WRITTEN] / answers, "price": price}
    return shared | {"prompt": read / answers, "prefix_cache": tokens[kind] / read if read else 0.0, "price": price}


def _ratios(**pairs: tuple[float, float]) -> dict[str, float]:
    return {name: math.log(new / old) for name, (old, new) in pairs.items()}


def _split(
    found: dict[str, float], cost: tuple[float, float], overall: Mapping[str, float], old: Mapping[str, float],
    new: Mapping[str, float],
) -> None:  # fmt: skip
    first, last = cost
    if not first and not last:
        return
    if not first or not last:
        # What is new or gone counts for the first factor that was or is nothing.
        found[next(name for name in old if (old[name] == 0) != (new[name] == 0))] += last - first
        return
    mean = first if first == last else (last - first) / math.log(last / first)
    for name, ratio in overall.items():
        found[name] += mean * ratio
    for name in old:
        found[name] += mean * math.log(new[name] / old[name])
