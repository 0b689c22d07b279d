"""How well the digest tells what drove a week's spending, on weeks whose drivers are known.
    python benchmarks/digest.py --seeds 20000:20060

Each seed gives a week of made-up traffic as it was and the same week with two things changed. The truth of each driver
is what the definition in docs/digest.md says of the draws themselves, attempt by attempt and at true prices, by
arithmetic that shares nothing with the digest (`digest_parts.truth`); the digest sees sums of days, as in a ledger.
`error_share` is how far a driver is off, as a part of all that the drivers moved.

Beside it stands another question, to which there is another answer: what would the week have cost without one of the
changes? It is drawn once more without each (of both orders, the mean); `left_out` is how far what the digest gives the
drivers of a change is from that, as a part of what both did. Weeks in which both did less than a tenth of the cost are
counted in `too_small`: how different the same calls come out when they are drawn anew is as much. The last line of
output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from digest_parts.sums import day_cells
from digest_parts.truth import counted, drivers
from months import Change, Month, month
from months.columns import Day

from tuppence.spend.digest.decomposition import by_driver, decompose
from tuppence.spend.digest.listed import by_price
from tuppence.spend.digest.segments import Period, Segment, merged
from tuppence.spend.digest.weights import token_weights

DAYS = range(14, 21)
BY = ("endpoint", "tier", "model", "outcome", "cause")
LEAST_MOVED = 0.1
TRAFFIC = ("users", "chats", "turns", "calls", "mix")
PROMPT = ("prompt", "prefix_cache")
DRIVERS: Mapping[str, Sequence[str]] = {
    "more_users": TRAFFIC,
    "traffic_surge": TRAFFIC,
    # A longer chat has longer prompts too: what was said before is in them.
    "longer_chats": (*TRAFFIC, *PROMPT),
    "prompt_growth": PROMPT,
    "longer_answers": ("output",),
    "retry_storm": ("retries", "attempts"),
    "tier_shift": ("tiers", "attempts"),
    "price_change": ("price",),
    "cheaper_price": ("price",),
}
"""By what changes, the drivers that should show it."""
PAIRS = tuple(
    (one, other) for one in DRIVERS for other in DRIVERS if one < other and not {*DRIVERS[one]} & {*DRIVERS[other]}
)


def days_of(made: Month) -> list[Day]:
    return [Day(made.world, made.changes, made.expected, number) for number in DAYS]


def cost(days: Iterable[Day]) -> int:
    return sum(int(day.money.pico[day.money.pico > 0].sum()) for day in days)


def segments(made: Month, days: Sequence[Day]) -> list[Segment]:
    """Return the week's sums by day, endpoint, tier and model."""
    return [by_price(cell) for cell in day_cells(made, days, BY)]


def by_model(found: Iterable[Segment]) -> dict[str, list[Segment]]:
    models: dict[str, list[Segment]] = defaultdict(list)
    for one in found:
        models[one.model].append(one)
    return models


def period(found: Sequence[Segment], days: Sequence[Day]) -> Period:
    users = np.unique(np.concatenate([day.calls.user for day in days]))
    chats = np.unique(np.concatenate([day.calls.session for day in days]))
    return Period(merged(found), len(users), len(chats))


@dataclass(frozen=True)
class Judged:
    """One week."""

    exact: bool
    """Whether the parts add up to the pico-dollar."""
    off: Mapping[str, float]
    """By driver, as a part of all that the drivers moved."""
    moved: float
    """What both changes did, as a part of the week's cost."""
    left_out: Mapping[str, float]
    """By what was changed."""


def judged(seed: int) -> Judged:
    """Hold the digest of a seed's pair of changes against what is true of it."""
    pair = PAIRS[seed % len(PAIRS)]
    drawn = month(seed, days=28, faults=pair)
    changes = [
        Change(one.kind, DAYS[0] * 24, one.size, one.endpoint, flavour=one.flavour) for one in drawn.changes
    ]  # fmt: skip
    weeks = [Month(drawn.world, these) for these in ((), changes[:1], changes[1:], changes)]
    days = [days_of(one) for one in weeks]
    none, first, second, both = map(cost, days)
    ends = [segments(weeks[place], days[place]) for place in (0, 3)]
    weights = token_weights(*map(by_model, ends))
    effects = decompose(period(ends[0], days[0]), period(ends[1], days[3]), weights)
    ours = by_driver(effects)
    truth = drivers(counted(weeks[0], days[0]), counted(weeks[3], days[3]))
    everything = sum(map(abs, truth.values())) or 1.0
    off = {name: float(abs(ours.get(name, 0) - truth.get(name, 0.0)) / everything) for name in {*ours, *truth}}
    alone = (first - none + both - second) / 2, (second - none + both - first) / 2
    moved = sum(map(abs, alone)) or 1.0
    left_out = {
        kind: abs(sum(ours.get(name, 0) for name in DRIVERS[kind]) - without) / moved
        for kind, without in zip(pair, alone, strict=True)
    }  # fmt: skip
    return Judged(sum(effects.values()) == both - none, off, moved / none, left_out)


def spread(errors: Sequence[float]) -> dict[str, float]:
    return {"max": round(max(errors), 4), "median": round(median(errors), 4)}


def summary(weeks: Sequence[Judged]) -> dict[str, object]:
    by_driver: dict[str, list[float]] = defaultdict(list)
    left_out: dict[str, list[float]] = defaultdict(list)
    for week in weeks:
        for name, error in week.off.items():
            by_driver[name].append(error)
        for kind, error in week.left_out.items():
            if week.moved >= LEAST_MOVED:
                left_out[kind].append(error)
    worst = [max(week.off.values()) for week in weeks]
    return {
        "weeks": len(weeks),
        "sums_exact": all(week.exact for week in weeks),
        "error_share": spread(worst),
        "within_a_hundredth": round(sum(error <= 0.01 for error in worst) / len(worst), 4),
        "by_driver": {name: spread(found) for name, found in sorted(by_driver.items())},
        "too_small": sum(week.moved < LEAST_MOVED for week in weeks),
        "left_out": {kind: spread(found) for kind, found in sorted(left_out.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="How well the digest tells what drove a week's spending.")
    parser.add_argument("--seeds", default="20000:20060", help="first:last, the last not included")
    weeks = []
    for seed in range(*map(int, parser.parse_args().seeds.split(":"))):
        weeks.append(judged(seed))
        print(seed, weeks[-1], file=sys.stderr)
    print(json.dumps(summary(weeks)))


if __name__ == "__main__":
    main()
