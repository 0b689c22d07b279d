"""One month's structure, drawn from its seed: who calls what, how often, how long, on which tiers.

Structure differs from seed to seed, not only noise: volume over two orders of magnitude, seasons from flat to nightly
silence, growth and decline, one endpoint to eight, ladders of two and three tiers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from months.ladder import LADDERS, Tier, ladder

MOST_DAYS = 400
NAMES = ("chat", "search", "summarise", "extract", "classify", "report", "translate", "agent")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of call."""

    name: str
    workflow: str
    kind: str
    """`chat` (turns of a person), `run` (a workflow whose calls grow with its input), `odd` (a model of unknown
    price) or `embed` (calls that were only watched)."""
    sessions_a_day: float
    turns: float
    """Mean turns of a chat, or calls for each item of a run."""
    items: float
    """Median items of a run."""
    prefix: int
    """Tokens that all prompts begin with."""
    prompt: float
    """Median tokens of a question or an item."""
    prompt_sigma: float
    answer: float
    answer_sigma: float
    straight: float
    """Share of calls that go to the dearest tier at once."""
    accepted: float
    """Share of drafts that are good enough."""
    exact: float
    similar: float
    warm: float
    """Chance that the provider still holds the prefix."""
    pruned: float
    """Share of prompts that are shortened."""
    limited: float
    """Share of answers that are limited."""
    batched: float
    peak_hour: float
    night: float
    weekend: float
    month_end: float
    """Factor on the last two days and the first day of a month: invoices, closings."""


@dataclass(frozen=True, slots=True)
class World:
    """All that is fixed for one seed."""

    seed: int
    start: datetime
    days: int
    tiers: tuple[Tier, ...]
    """The ladder, then a model of unknown price and one that embeds."""
    endpoints: tuple[Endpoint, ...]
    users: int
    zipf: float
    tenants: int
    joining: float
    """Share of the users that come during the month."""
    failing: float
    billed_failures: float
    """Share of failures that bill the prompt: the connection broke late."""
    asks_a_judge: bool
    """The check is a small model, and costs."""
    judged: float
    """Share of answered calls that a judge of live traffic grades."""
    dispersion: float
    """Shape of the gamma noise on each hour: the lower, the wilder."""
    day_noise: float
    day_memory: float
    growth: tuple[float, ...]
    """Logarithms of what traffic grows by in each 30 days."""
    launches: tuple[tuple[int, int, float], ...]
    """Legitimate level shifts: day, endpoint, factor."""
    holidays: tuple[int, ...]
    holiday_level: float
    missing: tuple[int, ...]
    """Days on which nothing was recorded."""

    @property
    def ladder(self) -> int:
        """Number of tiers that are climbed."""
        return len(self.tiers) - 2


def world(seed: int, *, days: int, calls_a_day: float | None = None) -> World:
    """Draw a world; `calls_a_day` sets its volume in place of the drawn one, and changes nothing else."""
    if days > MOST_DAYS:
        raise ValueError(f"days is {days}: a month in one piece has at most {MOST_DAYS}")
    rng = np.random.default_rng([seed, 0])
    first = date.fromordinal(date(2025, 1, 1).toordinal() + int(rng.integers(0, 500))).replace(day=1)
    drawn_volume = float(np.exp(rng.uniform(np.log(200), np.log(20_000))))
    count = int(rng.choice([1, 2, 3, 3, 4, 5, 6, 8]))
    nightly = float(rng.choice([0.0, 0.03, 0.15, 0.4, 0.8]))
    weekends = float(rng.choice([0.05, 0.3, 0.5, 0.9, 1.4]))
    endpoints = _endpoints(rng, count, calls_a_day or drawn_volume, nightly, weekends)
    users = int(np.exp(rng.uniform(np.log(8), np.log(2500))))
    return World(
        seed, datetime(first.year, first.month, 1, tzinfo=UTC), days,
        ladder(int(rng.integers(len(LADDERS))), int(rng.uniform(0.2, 0.9) * 1e9)), endpoints,
        users, float(rng.uniform(0.6, 1.4)), int(rng.choice([1, 3, 10])), float(rng.choice([0.0, 0.1, 0.3])),
        float(rng.choice([0.002, 0.01, 0.03])), float(rng.uniform(0.1, 0.6)), bool(rng.random() < 0.3),
        float(rng.choice([0.0, 0.01, 0.05])), float(np.exp(rng.uniform(np.log(2), np.log(60)))),
        float(rng.choice([0.03, 0.08, 0.15, 0.25])), float(rng.uniform(0, 0.8)),
        tuple(float(pace) for pace in np.clip(rng.normal(0.04, 0.2, MOST_DAYS // 30 + 1), -0.4, 0.6)),
        **_dates(seed, days, count),
    )  # fmt: skip


def _dates(seed: int, days: int, endpoints: int) -> dict[str, Any]:
    """Draw what happens on single days, the same days however many there are."""
    rng = np.random.default_rng([seed, 8])
    launches, holidays, missing = rng.random((3, MOST_DAYS))
    launching, losing = rng.random(2)
    factors, places = rng.uniform(1.25, 2.2, MOST_DAYS), rng.integers(endpoints, size=MOST_DAYS)
    launched = [day for day in range(7, days) if launching < 0.3 and launches[day] < 0.04]
    return {
        "launches": tuple((day, int(places[day]), float(factors[day])) for day in launched[:4]),
        "holidays": tuple(day for day in range(days) if holidays[day] < 0.03),
        "holiday_level": float(rng.uniform(0.15, 0.7)),
        "missing": tuple(day for day in range(3, days) if losing < 0.12 and missing[day] < 0.05),
    }


def _endpoints(
    rng: np.random.Generator, count: int, calls_a_day: float, night: float, weekend: float
) -> tuple[Endpoint, ...]:
    shares = rng.dirichlet(np.full(count, 1.2))
    caching = float(rng.choice([0.0, 1.0, 1.0]))
    made = []
    for place in range(count):
        kind = "chat" if place == 0 else str(rng.choice(["chat", "chat", "chat", "run", "run", "odd", "embed"]))
        turns = float(rng.choice([1.0, 1.0, 2.5, 4.0, 6.0])) if kind == "chat" else float(rng.uniform(0.8, 1.5))
        items = float(rng.uniform(4, 20))
        calls = turns if kind == "chat" else 1 + turns * items * 1.3 if kind == "run" else 1.0
        made.append(Endpoint(
            f"/{NAMES[place]}", NAMES[place] if rng.random() < 0.7 else NAMES[0], kind,
            float(calls_a_day * shares[place] / calls), turns, items, int(rng.choice([0, 300, 1500, 4000])),
            float(np.exp(rng.uniform(np.log(80), np.log(2500)))), float(rng.uniform(0.3, 0.9)),
            float(np.exp(rng.uniform(np.log(20), np.log(600)))), float(rng.uniform(0.4, 0.8)),
            float(rng.choice([0.0, 0.05, 0.2, 0.5])), float(rng.uniform(0.4, 0.95)),
            caching * float(rng.uniform(0, 0.3)), caching * float(rng.choice([0.0, 0.05, 0.15])),
            float(rng.uniform(0.2, 0.9)), float(rng.choice([0.0, 0.0, 0.4])), float(rng.choice([0.0, 0.0, 0.3])),
            float(rng.choice([0.0, 0.0, 0.25])), float(rng.uniform(8, 20)),
            float(np.clip(night * rng.uniform(0.6, 1.4), 0, 1)), float(weekend * rng.uniform(0.7, 1.3)),
            float(rng.choice([1.0, 1.0, 1.0, 1.6, 2.5])),
        ))  # fmt: skip
    return tuple(made)
