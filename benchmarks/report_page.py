"""How long `tuppence report --html` takes over a big ledger, and whether the page is right and quiet.

The ledger is made up, and kept where --ledger names a file. Seconds are those of the whole command, from the start of
Python to its end, best and median of several; the figures are compared with plain SQL over the same rows, and Chromium
opens the page and tells what it complains of and asks for.

python benchmarks/report_page.py [--rows 1000000] [--runs 5] [--ledger FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report_page_parts.browser import CHROMIUM, browser
from report_page_parts.plain_sql import plain_figures, shown_figures
from report_page_parts.traffic import write_ledger

from tuppence.spend.page import read_facts

START_US = 1_761_955_200_000_000  # 2025-11-01
ROWS_A_CALL = 1.146
COMMAND = "from tuppence.cli import app; app()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ledger", type=Path, help="kept; made where it is not there yet")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        ledger = parsed.ledger or folder / "made.db"
        if not ledger.exists():
            say(f"making a ledger of about {parsed.rows:,} rows")
            write_ledger(ledger, round(parsed.rows / ROWS_A_CALL), start_us=START_US, days=30)
        page = folder / "page.html"
        print(json.dumps(measured(ledger, page, parsed.runs) | checked(ledger) | opened(page, folder / "profile")))


def measured(ledger: Path, page: Path, runs: int) -> dict[str, Any]:
    """Run the command, the first time to have the file in the system's cache."""
    walls, works = [], []
    for run in range(runs + 1):
        before, began = children(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", COMMAND, "report", "--ledger", str(ledger), "--html", str(page)],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        walls.append(time.perf_counter() - began)
        works.append(children() - before)
        say(f"run {run}: {walls[-1]:.2f} s, {works[-1]:.2f} s of CPU")
    return {
        "seconds": round(statistics.median(walls[1:]), 2), "seconds_best": round(min(walls[1:]), 2),
        "cpu_seconds": round(statistics.median(works[1:]), 2), "cpu_seconds_best": round(min(works[1:]), 2),
        "page_bytes": page.stat().st_size,
    }  # fmt: skip


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def checked(ledger: Path) -> dict[str, Any]:
    """Compare every figure with what plain SQL says."""
    say("asking plain SQL")
    facts = read_facts(ledger)
    said, shown = plain_figures(ledger), shown_figures(facts)
    wrong = [name for name, figures in said.items() if shown[name] != figures]
    rows = facts.attempts + facts.hits
    return {"rows": rows, "equal_to_sql": not wrong, "different": wrong}


def opened(page: Path, profile: Path) -> dict[str, Any]:
    """Open the page twice, the second time with a browser that has started."""
    if CHROMIUM is None:
        return {"console_errors": None, "requests": None}
    with browser(profile) as tab:
        for _ in range(2):
            began = time.perf_counter()
            tab.open(page, width=1280, height=900)
            took = time.perf_counter() - began
        return {
            "console_errors": len(tab.complaints), "requests": len(tab.requests), "opens_in_seconds": round(took, 2),
        }  # fmt: skip


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
