"""The replay's benchmark runs as documented, on a few rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "replay.py"


@pytest.mark.parametrize("with_data", [False, True])
def test_its_last_line_is_its_figures(tmp_path: Path, with_data: bool) -> None:
    """Rows are read again until there are enough; the cheapest model stands before the dearest."""
    cheap = {"score": 0.0, "no_answer": True, "cost_usd": 0.001}
    dear = {"score": 1.0, "answer": "42", "cost_usd": 0.01}
    row = {"id": "q", "query": "?", "outcomes": {"dear": dear, "cheap": cheap}}
    data = tmp_path / "rows.jsonl"
    data.write_text(f"{json.dumps(row)}\n")
    arguments = ["--rows", "300", *(["--data", str(data)] if with_data else [])]
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["rows"], found["compared"]) == (300, 300)
    assert found["rows_per_s"] > 0
    if with_data:
        assert found["tiers"] == ["cheap", "dear"]
        assert (found["escalated"], found["quality"]) == (1.0, 1.0)
        assert found["usd"] == "3.300000000000"
