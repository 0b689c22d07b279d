"""What learned routes, cascades and certificates give on questions whose answers were graded: learned on one half,
judged on the other.

    python benchmarks/routing.py --data FILE.jsonl.gz --tiers CHEAP,...,STRONG [--helper M] [--dataset D]
        [--target .95 --delta .1 --labels N --repeats R --seed S]
    python benchmarks/routing.py --data FILE.jsonl.gz --pairs [--target .95 --delta .1 --labels N --repeats R]

`FILE` has one question a line: {id, dataset, category?, query, outcomes: {model: {score, answer?, no_answer?,
input_tokens, output_tokens, cost_usd}}}. Rows that a data set flags as `contaminated` are left out. Where questions
have no category, their data set is their task. Costs are in dollars; a cascade pays every model that it asked, and
`--helper` names one that is asked for its opinion only. `saved_at` is the saving when the threshold is chosen on the
learning half, by what the model believes of the answers there; `as_recorded`, by their grades, which the model has
learned from: more is saved then, and less kept than was wanted. The controls `random` and `task_label` cost what the
cascade costs at 98%. APGR is RouteLLM's, over the share of calls that reach the strongest tier. `--pairs` certifies
every ordered pair of models, a line each. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from routing_parts.cascade import TARGETS, cascade_figures, controls, decision_us
from routing_parts.certified import Promise, certified_figures, every_pair, over_pairs
from routing_parts.router import router_figures

from tuppence.evidence.learning.labelled import Labelled, labelled
from tuppence.evidence.learning.training import train
from tuppence.evidence.outcomes import Outcomes, read_outcomes

_TRAINING_ROWS = 1_000


def main() -> None:
    args = _arguments()
    rows = _rows(args.data, args.dataset)
    promise = Promise(args.target, args.delta, args.labels, args.repeats, args.seed)
    if args.pairs:
        found = every_pair(rows, promise)
        for first, last, figures in found:
            print(f"{first} -> {last}: {json.dumps(figures)}")
        print(json.dumps({"n": len(rows), "target": args.target, **over_pairs(found, delta=args.delta)}))
        return
    tiers = tuple(args.tiers.split(","))
    print(json.dumps(_figures(rows, tiers, args.helper, promise)))


def _rows(path: Path, dataset: str | None) -> list[Outcomes]:
    return [
        row if row.task else replace(row, task=row.dataset)
        for row in read_outcomes(path, scale=(1.0, 10.0) if dataset == "mt_bench" else (0.0, 1.0), dataset=dataset)
        if row.tags.get("contaminated", "false").lower() != "true"
    ]


def _figures(rows: Sequence[Outcomes], tiers: tuple[str, ...], helper: str | None, promise: Promise) -> dict[str, Any]:
    labels = labelled(rows, tiers=tiers, helper=helper)
    asked = {*tiers, *(() if helper is None else (helper,))}
    usable = [row for row in rows if asked <= row.by_model.keys()]
    tasks = [row.task for row in usable]
    cascade = cascade_figures(labels, tasks, repeats=promise.repeats, seed=promise.seed)
    return {
        "n": len(labels),
        "tiers": list(tiers),
        "quality": {"weakest": cascade["cheap_quality"], "strongest": cascade["strong_quality"]},
        "controls": controls(cascade),
        "router": router_figures(usable, tiers, labels=promise.labels, repeats=promise.repeats, seed=promise.seed),
        "cascade": {
            "apgr": cascade["apgr"],
            "apgr_by_cost": cascade["apgr_by_cost"],
            "saved_at": {str(target): cascade[f"saved_{target}"] for target in TARGETS},
            "quality_at": {str(target): cascade[f"quality_{target}"] for target in TARGETS},
            "as_recorded": {
                f"{name}_at": {str(target): cascade[f"recorded_{name}_{target}"] for target in TARGETS}
                for name in ("saved", "quality")
            },
        },
        "certified": certified_figures(labels, promise),
        **_timings(usable, labels, tiers, helper),
    }


def _timings(
    rows: Sequence[Outcomes], labels: Labelled, tiers: tuple[str, ...], helper: str | None
) -> dict[str, float]:
    started = time.perf_counter()
    model = train(labelled(rows[:_TRAINING_ROWS], tiers=tiers, helper=helper))
    seconds = time.perf_counter() - started
    return {"train_seconds": round(seconds, 3), "decision_us": decision_us(model, rows)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tiers", help="models, cheapest first, with commas")
    parser.add_argument("--helper", help="a model that is asked for its opinion only")
    parser.add_argument("--dataset", help="take the questions of this data set only")
    parser.add_argument("--pairs", action="store_true", help="certify every ordered pair of models")
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--delta", type=float, default=0.1)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.pairs and not args.tiers:
        parser.error("give --tiers CHEAP,...,STRONG, or --pairs")
    return args


if __name__ == "__main__":
    sys.exit(main())
