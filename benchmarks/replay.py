"""How fast recorded rows are replayed, and in how much memory: a cascade of two with the default check, through the
flow that runs online, with controls and intervals.

    python benchmarks/replay.py [--data FILE.jsonl.gz] [--rows N] [--tiers CHEAP,STRONG]

The rows of the file are read again and again, each time under new ids, until there are enough: reading is part of the
rate. Without a file they are made up. The last line of output is one JSON object; `play_us` is the flow alone, `row_us`
everything but reading, `read_us` the reading, in microseconds of CPU a row.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuppence.evidence.outcomes import Outcome, Outcomes, read_outcomes
from tuppence.evidence.replay import Player, Replaying, recorded
from tuppence.policy import Policy
from tuppence.tiers import Tier

SAMPLE = 4_096
"""Rows that the parts are timed on, and that tell the cheapest model from the dearest."""
EARLY = 20_000
"""Rows after which everything is loaded: what memory grows by from here on, it would grow by for ever."""


def made_up() -> Iterator[Outcomes]:
    """Make rows of two models that differ in price and quality."""
    drawn = random.Random(0)
    for index in range(SAMPLE):
        right = drawn.random() < 0.7
        small = Outcome(float(right), "42" if right else "", not right, 150, 90, 60_000_000, 400.0)
        large = Outcome(float(drawn.random() < 0.85), "42", False, 150, 90, 2_500_000_000, 1_500.0)
        yield Outcomes(f"made/{index}", "What is six times seven?", {"small": small, "large": large}, task="sums")


def source(data: Path | None) -> Iterator[Outcomes]:
    return made_up() if data is None else read_outcomes(data)


def endless(data: Path | None) -> Iterator[Outcomes]:
    """Read the rows again and again, under new ids."""
    for turn in itertools.count():
        for row in source(data):
            yield replace(row, id=f"{row.id}#{turn}")


def cascade(rows: list[Outcomes], named: str | None) -> Policy:
    """Put the cheapest model of the rows before the dearest one, or those that are named."""
    costs: dict[str, list[int]] = {}
    for row in rows:
        for model, outcome in row.by_model.items():
            costs.setdefault(model, []).append(outcome.pico_usd or 0)
    ranked = sorted(costs, key=lambda model: sum(costs[model]) / len(costs[model]))
    cheap, strong = named.split(",") if named else (ranked[0], ranked[-1])
    return Policy(tiers=(Tier(cheap, model=cheap), Tier(strong, model=strong)))


def microseconds(work: Iterable[Any], n: int) -> float:
    """Time running through `work` of `n` rows: CPU time, which other programs on the machine disturb less."""
    begun = time.process_time()
    for _ in work:
        pass
    return (time.process_time() - begun) / n * 1e6


def peak_mb() -> float:
    """Return the most memory that this process has held."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def parts(data: Path | None, rows: list[Outcomes], policy: Policy) -> dict[str, float]:
    """Time what a row's time goes into, each part the best of three."""
    player = Player(policy)
    whole = [one for one in map(recorded, rows) if one is not None]
    n = len(rows)

    timed: dict[str, Callable[[], float]] = {
        "read_us": lambda: microseconds(itertools.islice(source(data), n), n),
        "play_us": lambda: microseconds(map(player.play, whole), n),
        "row_us": lambda: microseconds(map(Replaying(policy).add, rows), n),
    }
    return {name: round(min(measure() for _ in range(3)), 1) for name, measure in timed.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tiers")
    given = parser.parse_args()

    sample = list(itertools.islice(source(given.data), SAMPLE))
    policy = cascade(sample, given.tiers)
    timed = parts(given.data, sample, policy)
    del sample

    replaying, early_mb = Replaying(policy), 0.0
    begun = time.perf_counter()
    for row in itertools.islice(endless(given.data), given.rows):
        replaying.add(row)
        if replaying.rows == min(EARLY, given.rows):
            early_mb = peak_mb()
    report = replaying.report()
    seconds = time.perf_counter() - begun

    found = report.policy
    print(json.dumps({
        "rows": report.rows, "compared": report.compared, "tiers": [tier.name for tier in policy.tiers],
        "seconds": round(seconds, 1), "rows_per_s": round(report.rows / seconds), **timed,
        "peak_rss_mb": round(peak_mb(), 1), f"peak_rss_mb_at_{EARLY}": round(early_mb, 1),
        "usd": f"{found.usd:f}", "quality": found.quality and round(found.quality.value, 4),
        "quality_95": found.quality and [round(found.quality.low or 0, 4), round(found.quality.high or 0, 4)],
        "escalated": round(found.escalated, 4),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
