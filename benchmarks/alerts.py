"""How soon alerts find what goes wrong in a month of traffic, and how often they ring when nothing does.
    python benchmarks/alerts.py --seeds 30000:30200 [--every HOURS] [--keep FOLDER]

Each seed is a month of the generator `months`, which knows nothing of the rules: nine of ten with a fault, one
without. Every ring before the fault begins is a false alarm, those about launches and the end of a month included; a
ring of whatever rule in the day after it has found it. The first eight days have no rings, for want of a history, and
are not counted. `oracle` is what a test finds that is told what, where and when the fault is (`alerts_parts.oracle`):
nobody can find more. `oracle_unknown_where` is not told what and where. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from alerts_parts.oracle import Oracle, power
from alerts_parts.reading import kept
from months import FAULTS, month

from tuppence.spend.alerts.checking import rung
from tuppence.spend.alerts.rules import AlertRules
from tuppence.spend.alerts.state import State

WARM_UP_DAYS = 8
KINDS = tuple(FAULTS)


@dataclass(frozen=True)
class Watched:
    """One month as the alerts saw it."""

    seed: int
    fault: str | None
    quiet_hours: int
    """Hours that were watched before anything was wrong."""
    false: tuple[str, ...]
    """What rang in them."""
    hours_to_find: int | None
    """From the fault's beginning to the first ring."""
    first: str
    """What that ring was about."""
    oracle: Oracle | None
    """Chances that who knows the fault finds it."""
    calls_a_day: int
    ramps: bool


def watched(seed: int, every: int, keep: Path | None) -> Watched:
    """Go through a seed's month check by check, up to a day after its fault has begun."""
    kind = (None, *KINDS)[seed % (len(KINDS) + 1)]
    made = month(seed, faults=() if kind is None else (kind,))
    facts = kept(keep, seed, made)
    start = made.changes[0].start_hour if kind else made.world.days * 24
    state, rules = State(), AlertRules()
    false: list[str] = []
    found, first = None, ""
    for now in range(WARM_UP_DAYS * 24, min(start + 24, made.world.days * 24) + 1, every):
        rang = [one.key for one in rung(facts, rules, now, state).new]
        if rang and now > start:
            found, first = now - start, rang[0]
            break
        false += [f"{now}h {key}" for key in rang]
    calls = sum(totals[0].between(0, start) for totals in facts.sums.values()) * 24 / start
    return Watched(
        seed, kind, start - WARM_UP_DAYS * 24, tuple(false), found, first, power(made, facts) if kind else None,
        round(calls), bool(kind and made.changes[0].ramp_hours),
    )  # fmt: skip


def share(these: Sequence[Watched]) -> dict[str, Any]:
    """Return how many of these faults were found, and could be."""
    found = sum(one.hours_to_find is not None for one in these)
    return {
        "injected": len(these),
        "found_within_day": found,
        "oracle": round(sum(one.oracle.told for one in these if one.oracle), 1),
    }


def summary(months: Sequence[Watched]) -> dict[str, Any]:
    faults = [one for one in months if one.fault]
    found = [one.hours_to_find for one in faults if one.hours_to_find is not None]
    false = [key for one in months for key in one.false]
    oracles = [one.oracle for one in faults if one.oracle]
    rough = {
        "below 1,000 calls a day": [one for one in faults if one.calls_a_day < 1000],
        "1,000 to 5,000": [one for one in faults if 1000 <= one.calls_a_day < 5000],
        "5,000 and more": [one for one in faults if one.calls_a_day >= 5000],
        "at once": [one for one in faults if not one.ramps],
        "by and by": [one for one in faults if one.ramps],
    }  # fmt: skip
    return {
        "months": len(months),
        "faults_injected": len(faults),
        "found_within_day": round(len(found) / max(1, len(faults)), 4),
        "oracle": round(fmean(one.told for one in oracles), 4) if oracles else None,
        "oracle_unknown_where": round(fmean(one.unknown_where for one in oracles), 4) if oracles else None,
        "median_hours_to_find": median(found) if found else None,
        "false_alarms_a_month": round(len(false) / max(1e-9, sum(one.quiet_hours for one in months) / 720), 4),
        "quiet_months_watched": round(sum(one.quiet_hours for one in months) / 720, 1),
        "false_alarms_by_rule": dict(Counter(key.split(" ", 1)[1].split("/")[0] for key in false)),
        "by_fault": {kind: share([one for one in faults if one.fault == kind]) for kind in KINDS},
        "by_traffic": {name: share(these) for name, these in rough.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="How soon alerts find faults, and how often they ring for nothing.")
    parser.add_argument("--seeds", default="30000:30200", help="first:last, the last not included")
    parser.add_argument("--every", type=int, default=6, help="hours between two checks")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="a folder that keeps the months, added up, for the next run")
    asked = parser.parse_args()
    months: list[Watched] = []
    with multiprocessing.Pool(asked.processes) as pool:
        seeds = range(*map(int, asked.seeds.split(":")))
        for one in pool.imap_unordered(partial(watched, every=asked.every, keep=asked.keep), seeds):
            months.append(one)
            print(one, file=sys.stderr, flush=True)
    print(json.dumps(summary(months)))


if __name__ == "__main__":
    main()
