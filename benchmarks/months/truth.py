"""What is true of a month, by arithmetic of its own: spending, what each lever saved, and what drove each week.

Nothing here goes through the code that is judged by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from months.climbs import ACCEPTED, CAUSES
from months.columns import Day
from months.faults import Change
from months.pricing import LEVERS
from months.world import World


@dataclass(slots=True)
class Week:
    """What happened in seven days, counted."""

    start_day: int
    users: int = 0
    sessions: int = 0
    calls: int = 0
    attempts: int = 0
    hits: int = 0
    retries: int = 0
    escalations: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    pico_usd: int = 0
    attempts_by_tier: Counter[str] = field(default_factory=Counter)
    pico_by_tier: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Truth:
    """All in pico-USD where it is money."""

    paid: int
    """Everything of known price."""
    not_compared: int
    """What was paid for calls that have no saving: unanswered, unpriced in part, or only watched."""
    compared_calls: int
    baseline: int
    """What the compared calls would have cost without any lever."""
    levers: Mapping[str, int]
    """Savings by `cache`, `prune`, `route`, `output`, `batch`, `self_host`."""
    overhead: Mapping[str, int]
    """Costs of the compared calls' attempts beside the one that answered, by cause."""
    hourly: Mapping[str, np.ndarray]
    """What was paid by endpoint and hour of the month."""
    weeks: tuple[Week, ...]
    changes: tuple[Change, ...]
    """What was injected."""
    launches: tuple[tuple[int, int, float], ...]
    """Legitimate level shifts: day, endpoint, factor."""

    def daily(self, endpoint: str | None = None) -> list[int]:
        """Return what was paid each day, of one endpoint or of all."""
        hours = sum(self.hourly.values()) if endpoint is None else self.hourly[endpoint]
        return [int(day) for day in np.reshape(hours, (-1, 24)).sum(axis=1)]


def truth_of(world: World, changes: Iterable[Change], days: Iterable[Day]) -> Truth:
    """Count a whole month."""
    hours = world.days * 24
    hourly = {one.name: np.zeros(hours, np.int64) for one in world.endpoints}
    weeks = [Week(day) for day in range(0, world.days, 7)]
    seen: list[tuple[set[int], set[int]]] = [(set(), set()) for _ in weeks]
    sums: Counter[str] = Counter()
    overhead: Counter[str] = Counter()
    for day in days:
        _spending(day, hourly)
        _savings(day, sums, overhead)
        _driving(day, weeks, seen)
    for week, (users, sessions) in zip(weeks, seen, strict=True):
        week.users, week.sessions = len(users), len(sessions)
    levers = {name: sums[name] for name in ("cache", "prune", "route", "output", "batch", "self_host")}
    return Truth(
        sums["paid"], sums["paid"] - sums["compared_paid"], sums["compared_calls"], sums["baseline"], levers,
        dict(overhead), hourly, tuple(weeks), tuple(changes), world.launches,
    )  # fmt: skip


def _spending(day: Day, hourly: Mapping[str, np.ndarray]) -> None:
    rows = day.rows
    hour = np.minimum((rows.at // 3600).astype(np.int64), day.world.days * 24 - 1)
    endpoint = day.calls.endpoint[rows.call]
    for place, one in enumerate(day.world.endpoints):
        here = endpoint == place
        np.add.at(hourly[one.name], hour[here], np.maximum(day.money.pico[here], 0))


def _savings(day: Day, sums: Counter[str], overhead: Counter[str]) -> None:
    rows, money = day.rows, day.money
    sums["paid"] += int(money.pico[money.pico > 0].sum())
    sums["compared_paid"] += int(money.pico[day.compared].sum())
    answered = day.answers & (rows.outcome == ACCEPTED)
    served = day.answers & day.hit
    sums["compared_calls"] += int(day.answers.sum())
    by_lever = dict(zip(LEVERS, money.levers[answered].sum(axis=0).tolist(), strict=True))
    strongest = int(money.baseline[answered].sum())
    standard = int(money.pico[answered].sum()) + by_lever["batch"] + by_lever["self_host"]
    sums["cache"] += int(money.baseline[served].sum())
    sums["route"] += strongest - standard
    sums["baseline"] += strongest + int(money.baseline[served].sum()) + by_lever["prune"] + by_lever["output"]
    sums.update(by_lever)
    beside = day.compared & ~day.answers
    for code, cause in enumerate(CAUSES):
        if cost := int(money.pico[beside & (rows.cause == code)].sum()):
            overhead[cause] += cost


def _driving(day: Day, weeks: list[Week], seen: list[tuple[set[int], set[int]]]) -> None:
    rows, calls = day.rows, day.calls
    of = np.minimum((rows.at // (7 * 86400)).astype(np.int64), len(weeks) - 1)
    for number in np.unique(of).tolist():
        these, week = of == number, weeks[number]
        mine = np.unique(rows.call[these])
        seen[number][0].update(calls.user[mine].tolist())
        seen[number][1].update(calls.session[mine].tolist())
        asked = these & ~day.hit
        week.calls += int(day.own[these].sum())
        week.attempts += int(asked.sum())
        week.hits += int(day.hit[these].sum())
        week.retries += int(day.retry[these].sum())
        week.escalations += int((rows.cause[these] == CAUSES.index("escalation")).sum())
        week.input_tokens += int(rows.used[these, :3].sum())
        week.cached_tokens += int(rows.used[these, 1].sum())
        week.output_tokens += int(rows.used[these, 3].sum())
        week.pico_usd += int(np.maximum(day.money.pico[these], 0).sum())
        for code, tier in enumerate(day.world.tiers):
            here = asked & (rows.tier == code)
            week.attempts_by_tier[tier.name] += int(here.sum())
            week.pico_by_tier[tier.name] += int(np.maximum(day.money.pico[here], 0).sum())
