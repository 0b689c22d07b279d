"""The whole stack on real outcomes: a month of traffic on the strongest tier, then with one lever more a step.

    python benchmarks/compound.py --data DIR [--mix balanced|"support desk"|agents|all] [--tiers CHEAP,...,STRONG]
        [--helper MODEL|none] [--target .97] [--calls N] [--ledger FILE]

`DIR` holds the folders `routing`, `caching` and `pruning` (see `compound_parts/traffic.py`). Every call goes through
the flow that runs online, with real policies, caches and shapers; only the providers are played, from recorded
outcomes, at list prices and the tokens that are really sent. What is learned, is learned on one half of the questions,
and all that is printed is of the other half. Quality: an answer's grade; 0 for a hit that the labels call another
question's, and where what the answer hangs on was pruned away. An agent's turn stays on the strongest tier and is 1
while what it repeats is still in its prompt.

The last line of output is one JSON object: {"baseline_usd", "steps": [{"lever", "usd", "quality", ...}], "saved",
"quality_kept", ...} for the first mix, and the same under "mixes" for each where there are more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compound_parts.judging import compared, hits, read_back, step
from compound_parts.learning import learned
from compound_parts.playing import Played, played
from compound_parts.stack import Learned, Setting, steps
from compound_parts.traffic import MIXES, Asked, Mix, Sources, month
from semantic.data import Embedded

from tuppence.spend import SqliteLedger

TIERS = ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")
"""One provider's small and large model, as most programs have them; not chosen by what comes out."""
HELPER = "gemini-1.5-flash"
"""Whose opinion pays was seen on the learning half alone: another provider's small model."""
TARGET = 0.97
DELTA = 0.1
_STARTED = time.perf_counter()


@dataclass(frozen=True, slots=True)
class Run:
    """What one run is asked to do."""

    data: Path
    setting: Setting
    target: float
    calls: int | None
    ledger: Path | None


def measured(run: Run, mix: Mix) -> dict[str, Any]:
    """Learn on one half, then take the other half's month through every step."""
    sources = {half: Sources(run.data, half) for half in ("learn", "judge")}  # type: ignore[arg-type]
    taught = learned(month(sources["learn"], mix), run.setting, target=run.target, delta=DELTA)
    _say(f"{mix.name}: threshold {taught.threshold:.4f}, {'certified' if taught.certified else 'not certified'}")
    judged = month(sources["judge"], mix if run.calls is None else replace(mix, calls=run.calls))
    return {"mix": mix.name, **_shape(judged), **_learned(taught), **_stepped(run, judged, taught)}


def _stepped(run: Run, judged: list[Asked], taught: Learned) -> dict[str, Any]:
    embedded = Embedded.of({one.request.question for one in judged if one.kind != "agent"})
    policies = steps(run.setting, embedded, taught)
    runs: list[list[Played]] = []
    told = []
    for lever, policy in policies[:-1]:
        runs.append(played(judged, policy))
        told.append(_told(lever, runs[-1]))
    with tempfile.TemporaryDirectory() as folder:
        kept = run.ledger or Path(folder) / "ledger.sqlite"
        ledger = SqliteLedger(kept)
        lever, policy = policies[-1]
        runs.append(played(judged, policy, discounted=True, ledger=ledger))
        told.append(_told(lever, runs[-1]))
        ledger.close()
        read = read_back(kept)
    others = [[one for one in calls if one.asked.kind != "agent"] for calls in (runs[0], runs[-1])]
    return {
        "baseline_usd": told[0]["usd"], "steps": told, **compared(runs[0], runs[-1]),
        "without_agents": compared(*others), "hits": hits(runs[-1]), "waterfall": read,
    }  # fmt: skip


def _told(lever: str, calls: list[Played]) -> dict[str, Any]:
    told = step(lever, calls)
    _say(f"{lever}: {told['usd']} USD, quality {told['quality']}")
    return told


def _shape(judged: list[Asked]) -> dict[str, Any]:
    """Say what the month is made of."""
    questions = [(one.kind, one.request.question) for one in judged if one.kind != "agent"]
    return {
        "calls": len(judged),
        "calls_by_kind": dict(Counter(one.kind for one in judged)),
        "repeats_word_for_word": round(1 - len(set(questions)) / len(questions), 4),
        "patient": round(sum(one.patient for one in judged) / len(judged), 4),
    }


def _learned(taught: Learned) -> dict[str, Any]:
    return {"certified": taught.certified, "threshold": round(taught.threshold, 6), "check": taught.model.version}


def _say(line: str) -> None:
    print(f"{time.perf_counter() - _STARTED:6.0f} s  {line}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mix", default="balanced", choices=[*MIXES, "all"])
    parser.add_argument("--tiers", default=",".join(TIERS), help="models of the data, cheapest first, with commas")
    parser.add_argument("--helper", default=HELPER, help="a model asked for its opinion only, or none")
    parser.add_argument("--target", type=float, default=TARGET, help="what the cascade is certified to keep")
    parser.add_argument("--keep-probability", type=float, default=0.95, help="of the passage pruner")
    parser.add_argument("--calls", type=int, help="calls of the month, in place of the mix's own")
    parser.add_argument("--ledger", type=Path, help="keep the last step's ledger in this file")
    args = parser.parse_args()
    helper = None if args.helper == "none" else args.helper
    setting = Setting(tuple(args.tiers.split(",")), helper, args.keep_probability)
    run = Run(args.data, setting, args.target, args.calls, args.ledger)
    named = list(MIXES.values()) if args.mix == "all" else [MIXES[args.mix]]
    found = [measured(run, mix) for mix in named]
    told = {"tiers": list(setting.tiers), "helper": helper, "target": args.target, **found[0]}
    print(json.dumps({**told, "mixes": {one["mix"]: one for one in found}} if len(found) > 1 else told))


if __name__ == "__main__":
    main()
