"""How exactly the waterfall says what each measure saved, on made-up months whose savings are known.
    python benchmarks/waterfall.py --seeds 30000:30030

Each month is written to a SQLite ledger, call by call, and read back by the waterfall. The truth of each measure is the
generator's own arithmetic (`months.truth`), which shares nothing with it. `error_share` is how far one measure, or one
kind of overhead, is from its truth, as a part of that; `sums_exact` are the months in which baseline, measures,
overhead and the calls that cannot be compared add up to what was paid, to the pico-dollar, in the waterfall and in the
truth alike. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from months import Month, Truth, month

from tuppence.spend import SqliteLedger
from tuppence.spend.waterfall import STEPS, Waterfall, waterfall


@dataclass(frozen=True, slots=True)
class Told:
    """One month's waterfall beside its truth."""

    seed: int
    calls: int
    errors: Mapping[str, float]
    """By measure and by cause of overhead, as parts of the truth; only what is not 0 there or here."""
    sums_exact: bool


def told(seed: int) -> Told:
    """Write a month down and hold what the waterfall says of it against the truth."""
    made = month(seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "month.sqlite"
        written(made, file)
        found = waterfall(file)
    truth = made.truth
    steps = {step.name: step.pico_usd for step in found.steps}
    errors = off(steps, truth.levers) | off(found.overhead, truth.overhead)
    return Told(seed, found.calls, errors, adds_up(found, truth))


def written(made: Month, file: Path) -> None:
    ledger = SqliteLedger(file)
    for result in made.results():
        ledger.write(result)
    ledger.close()


def off(said: Mapping[str, int], true: Mapping[str, int]) -> dict[str, float]:
    return {
        name: abs(said.get(name, 0) - true.get(name, 0)) / max(1, abs(true.get(name, 0)))
        for name in {*said, *true}
        if said.get(name) or true.get(name)
    }


def adds_up(found: Waterfall, truth: Truth) -> bool:
    in_the_truth = truth.baseline - sum(truth.levers.values()) + sum(truth.overhead.values()) + truth.not_compared
    here = found.full_baseline - found.saved + found.not_compared
    return here == found.paid == truth.paid == in_the_truth


def summary(months: Sequence[Told]) -> dict[str, object]:
    names = sorted({name for one in months for name in one.errors})
    return {
        "months": len(months),
        "calls": sum(one.calls for one in months),
        "sums_exact": sum(one.sums_exact for one in months),
        "within_one_percent": sum(max(one.errors.values(), default=0.0) <= 0.01 for one in months),
        "worst_error_share": {name: max(one.errors.get(name, 0.0) for one in months) for name in names},
        "measures_seen": {name: sum(name in one.errors for one in months) for name in names if name in STEPS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="How exactly the waterfall says what each measure saved.")
    parser.add_argument("--seeds", default="30000:30030", help="first:last, the last not included")
    asked = parser.parse_args()
    months: list[Told] = []
    for seed in range(*map(int, asked.seeds.split(":"))):
        months.append(told(seed))
        print(months[-1], file=sys.stderr, flush=True)
    print(json.dumps(summary(months)))


if __name__ == "__main__":
    main()
