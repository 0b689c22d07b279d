"""The example of the whole path, from a recorded teacher to a roll-back, with real training and a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "distill.py"

pytestmark = pytest.mark.vllm


def test_the_example_walks_the_whole_path(vllm_python: Path, small_model: Path, tmp_path: Path) -> None:
    """Every step says what came of it; the small model answers until it is rolled back, and the teacher after."""
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(vllm_python), str(small_model)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if not line.startswith("judged"))
    assert list(said) == ["recorded", "data set", "trained", "calibrated", "deployed", "rolled back"]
    assert "{'gpt-4o': 300}" in said["recorded"]
    assert said["calibrated"].startswith("certified")
    assert "smollm2-" in said["deployed"]
    assert said["rolled back"].startswith("{'gpt-4o': 40}")
    assert done.stdout.count("judged: ") == 2
