"""Whether budgets hold while many calls compete for them, what is left behind when processes are killed, and what a
call waits for it.

    python benchmarks/budget.py [--backend memory|sqlite|redis|all] [--processes 4] [--threads 64]

Threads of several processes reserve, wait for a pretended answer, and settle; some calls are cancelled or fail, some
processes are killed (`kill -9`) and replaced. The memory's counters are one process's. `overshoot_share` is by how much
of it the limit was passed where estimates are upper bounds; `underestimated` repeats it with calls that cost up to that
share more than was reserved. `uncounted_usd` was spent by calls whose process was killed before it could tell anybody;
`leaked_usd` is still held after the sweep. `check_then_add` is the same load under the usual way: look at the counter,
call, add. `flow` is a smaller load through the real flow. Times are of one thread and nobody else; `settle` is what
the caller waits for, `background_settle` until the counter has it. A Redis is started from wheels, on this machine.

The last line is one JSON object; with several backends its top level is the worst of them, and `backends` holds each.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from budget_parts.flow import through_the_flow
from budget_parts.load import Ended, run
from budget_parts.timing import timed

from tuppence.prices import pico_usd
from tuppence.testing.redis_server import running

BACKENDS = ("memory", "sqlite", "redis")
_STARTED = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=(*BACKENDS, "all"), default="all")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=64, help="of each process")
    parser.add_argument("--limit-usd", default="40")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--underestimate", type=float, default=0.2)
    args = parser.parse_args()
    chosen = BACKENDS if args.backend == "all" else (args.backend,)
    found = {}
    for backend in chosen:
        with _places(backend) as places:
            found[backend] = _figures(backend, places, args)
    print(json.dumps(found[chosen[0]] if len(chosen) == 1 else _worst(found)))


def _figures(backend: str, places: Iterator[str], args: argparse.Namespace) -> dict[str, Any]:
    limit = pico_usd(args.limit_usd)
    processes, kills = (1, 0) if backend == "memory" else (args.processes, args.kills)

    def compete(contender: str, underestimate: float, kills: int) -> Ended:
        _say(f"{backend}: {contender}, {processes} processes of {args.threads} threads, {kills} kills")
        return run(
            contender, next(places), limit=limit, underestimate=underestimate, processes=processes,
            threads=args.threads, kills=kills,
        )  # fmt: skip

    ours = compete("ours", 0.0, kills)
    under = compete("ours", args.underestimate, 0)
    naive = compete("check_then_add", 0.0, 0)
    _say(f"{backend}: through the flow")
    flow = through_the_flow(next(places))
    _say(f"{backend}: times")
    return {
        "backend": backend, "limit_usd": limit / 1e12, "processes": processes, "threads": args.threads,
        **_ended(ours, limit), "kills": ours.killed,
        "underestimated": {"by": args.underestimate, **_ended(under, limit)},
        "check_then_add": _ended(naive, limit), "flow": flow, **timed(next(places)),
    }  # fmt: skip


def _ended(ended: Ended, limit: int) -> dict[str, float]:
    return {
        "calls": ended.calls, "refused": ended.refused, "spent_usd": ended.counted / 1e12,
        "overshoot_share": round(max(0.0, ended.counted / limit - 1), 6),
        "uncounted_usd": (ended.tallied - ended.counted) / 1e12, "leaked_usd": ended.held / 1e12,
    }  # fmt: skip


def _worst(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    every = list(found.values())
    worst = {
        name: max(one[name] for one in every)
        for name in (
            "limit_usd", "spent_usd", "refused", "overshoot_share", "leaked_usd", "reserve_us_p50", "settle_us_p50",
            "background_settle_us_p50",
        )
    }  # fmt: skip
    worst["check_then_add"] = {"overshoot_share": max(one["check_then_add"]["overshoot_share"] for one in every)}
    return {**worst, "bare_lua_us_p50": found["redis"]["bare_lua_us_p50"], "backends": found}


@contextmanager
def _places(backend: str) -> Iterator[Iterator[str]]:
    """Yield places with nothing in them, each for one use."""
    with tempfile.TemporaryDirectory() as folder:
        if backend != "redis":
            prefix = "memory-" if backend == "memory" else f"{folder}/"
            yield (f"{prefix}{n}" for n in range(100))
            return
        with running(Path(folder)) as server:
            yield (f"redis://127.0.0.1:{server.port}/{n}" for n in range(16))


def _say(what: str) -> None:
    print(f"[{time.perf_counter() - _STARTED:6.1f} s] {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
