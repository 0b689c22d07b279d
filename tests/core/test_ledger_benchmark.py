"""The ledger's benchmark runs as documented, and sees what it is there to see."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ledger.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the benchmark forks its writers")
def test_a_small_run_loses_nothing_that_was_acknowledged() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--trials", "1", "--processes", "2", "--rows", "300"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["trials"], found["kills"], found["backend"]) == (1, 2, "sqlite")
    assert (found["lost_durable"], found["duplicates"], found["tally_equal"]) == (0, 0, True)
    assert found["rows_per_s"] > 0
    assert found["rows"] + found["lost_in_window"] > 0
