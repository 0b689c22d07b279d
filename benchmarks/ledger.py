"""Whether the ledger keeps its word when processes are killed, and how many rows it takes.

    python benchmarks/ledger.py [--backend sqlite|postgres] [--trials 50] [--processes 4] [--rows 20000]

In a trial several processes write into one ledger, some of their calls acknowledged by `flush`, and each is killed
(`kill -9`) at a random moment. Each keeps a tally, synced to the disk before a call is handed over and after a flush
returned. `lost_durable` is what was acknowledged and is not there; `lost_in_window` what was not acknowledged and is
not there, `oldest_lost_ms` how long before the kill the oldest of these was handed over. `tally_equal` says that the
rows that are there cost what the tallies say, to the pico-dollar. `rows_per_s` is of all processes together, handing
over as fast as they can and flushing at the end; `one_process_rows_per_s` of one alone, `cpu_us_a_row` its CPU time.

PostgreSQL is found at TUPPENCE_TEST_POSTGRES; the benchmark makes schemas of its own and drops them. The last line of
output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger_parts.killing import Outcome, trial
from ledger_parts.writing import call, opened

POSTGRES = "postgresql://postgres@127.0.0.1:5432/test"


@contextmanager
def place(backend: str) -> Iterator[str]:
    """Name a ledger that is empty, and gone afterwards."""
    if backend == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder) / "ledger.sqlite")
        return
    import psycopg
    from sqlalchemy import make_url

    address = os.environ.get("TUPPENCE_TEST_POSTGRES", POSTGRES)
    schema = f"tuppence_bench_{os.urandom(6).hex()}"
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute(f"CREATE SCHEMA {schema}")
    within = make_url(address).update_query_dict({"options": f"-csearch_path={schema}"})
    try:
        yield within.render_as_string(hide_password=False)
    finally:
        with psycopg.connect(address, autocommit=True) as owner:
            owner.execute(f"DROP SCHEMA {schema} CASCADE")


def write_rows(where: str, name: str, rows: int, ready: Callable[[], object]) -> float:
    """Make calls, wait until it may begin, write them, and return the CPU seconds that this took."""
    ledger = opened(where)
    calls = [call(f"{name}-{k}", k) for k in range(rows)]
    ready()
    began = time.process_time()
    for one in calls:
        ledger.write(one)
    ledger.flush(600)
    spent = time.process_time() - began
    ledger.close()
    return spent


def rate(backend: str, processes: int, rows: int) -> float:
    """Rows a second, from when all processes may begin until the last has flushed."""
    with place(backend) as where:
        opened(where).close()
        context = multiprocessing.get_context("fork")
        gate = context.Barrier(processes + 1)
        writers = [context.Process(target=write_rows, args=(where, f"p{k}", rows, gate.wait)) for k in range(processes)]
        for writer in writers:
            writer.start()
        gate.wait()
        began = time.perf_counter()
        for writer in writers:
            writer.join()
        spent = time.perf_counter() - began
        if any(writer.exitcode for writer in writers):
            raise RuntimeError("a writer failed")
        return processes * rows / spent


def cpu_us(backend: str, rows: int) -> float:
    with place(backend) as where:
        return 1e6 * write_rows(where, "alone", rows, lambda: None) / rows


def kill(backend: str, trials: int, processes: int) -> Outcome:
    total = Outcome()
    for k in range(trials):
        with place(backend) as where:
            found = trial(where, processes=processes, seed=k)
        total.add(found)
        print(f"trial {k + 1}/{trials}: {found}", file=sys.stderr)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of each process that the rate is measured on")
    args = parser.parse_args()
    outcome = kill(args.backend, args.trials, args.processes)
    figures: dict[str, Any] = {
        "backend": args.backend,
        "rows_per_s": round(rate(args.backend, args.processes, args.rows)),
        "one_process_rows_per_s": round(rate(args.backend, 1, args.rows)),
        "cpu_us_a_row": round(cpu_us(args.backend, args.rows), 1),
        "trials": args.trials,
        "kills": args.trials * args.processes,
        "rows": outcome.rows,
        "acknowledged": outcome.acknowledged,
        "lost_durable": outcome.lost_durable,
        "lost_in_window": outcome.lost_in_window,
        "oldest_lost_ms": round(outcome.oldest_lost_ms),
        "duplicates": outcome.duplicates,
        "tally_equal": outcome.tally_equal,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
