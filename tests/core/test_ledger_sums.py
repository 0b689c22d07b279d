"""The sums of rows in an SQLite file: what they hold, who brings them up, and that a kill takes nothing from them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tuppence.attempts import Attempt, Decision, Result
from tuppence.spend.ledger import SqliteLedger, reading
from tuppence.spend.ledger.sums_kept import CHUNK_ROWS, reached
from tuppence.spend.ledger.tables import attempts
from tuppence.usage import Usage

from .ledger_rows import Store, sqlite_store

pytest.register_assert_rewrite(f"{__package__}.sums_suite")

from .sums_suite import SumsSuite, hold_what_the_rows_say  # noqa: E402


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return sqlite_store(tmp_path)


class TestSums(SumsSuite):
    """The same suite as for PostgreSQL."""


def call(number: int) -> Result:
    attempt = Attempt(
        "small", "m", "draft", "accepted", Usage(input=7, output=3), number, "exact", "v",
        started_at=1_772_409_600.0 + number, latency_ms=1.5, baseline_pico=2 * number,
    )  # fmt: skip
    return Result(f"c{number}", None, [attempt], Decision("optimise", policy_version="p"), {"user": f"u{number % 7}"})


def summed_to(place: Path) -> int:
    with reading(place) as connection:
        hold_what_the_rows_say(connection)
        return reached(connection)


def test_a_program_that_ends_leaves_few_rows_to_be_added_up(tmp_path: Path) -> None:
    """However many programs came and went: each takes its step."""
    place = tmp_path / "ledger.sqlite"
    for start in (0, CHUNK_ROWS - 1, CHUNK_ROWS):
        with closing(SqliteLedger(place)) as ledger:
            for number in range(start, start + (CHUNK_ROWS - 1 if start == 0 else 1)):
                ledger.write(call(number))
        assert summed_to(place) == (CHUNK_ROWS if start else 0) or start == CHUNK_ROWS - 1
    assert summed_to(place) == CHUNK_ROWS


def test_a_program_that_runs_on_adds_up_when_it_has_a_moment(tmp_path: Path) -> None:
    place = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(place, window_s=0.01)) as ledger:
        for number in range(2 * CHUNK_ROWS + 1):
            ledger.write(call(number))
        ledger.flush()
        ledger.write(call(2 * CHUNK_ROWS + 1))
        until(lambda: summed_to(place) == 2 * CHUNK_ROWS)


def until(reached_it: Callable[[], bool]) -> None:
    waiting = threading.Event()
    while not reached_it():
        waiting.wait(0.02)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_a_kill_at_any_moment_leaves_sums_and_rows_equal(tmp_path: Path) -> None:
    """Each process is killed when the ledger has grown by some rows, wherever its thread is then."""
    place = tmp_path / "ledger.sqlite"
    program = (
        "import sys, itertools\n"
        "from tuppence.spend.ledger import SqliteLedger, store, sums_kept\n"
        f"from {__package__}.test_ledger_sums import call\n"
        "store.CHUNK_ROWS = 50\n"
        "ledger = SqliteLedger(sys.argv[1], window_s=0.001)\n"
        "for k in itertools.count(int(sys.argv[2])):\n"
        "    ledger.write(call(k))\n"
        "    if k % 37 == 0:\n"
        "        ledger.flush()\n"
        "        print(k, flush=True)\n"
    )
    last = -1
    for trial in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(place), str(last + 1)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(20 + trial):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        last += 100_000
        assert summed_to(place) > 0
    with reading(place) as connection:
        assert connection.execute(select(func.count()).select_from(attempts)).scalar_one() > 60 * 36
