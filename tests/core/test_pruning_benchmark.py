"""The benchmark of pruning runs as documented on a few rows, counts them right, and says what it could not run."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPT = BENCHMARKS / "pruning.py"
PASSAGES = (
    ("Lighthouse of Skerry", "The lighthouse of Skerry was built in 1871. It is painted red. Nobody lives there."),
    ("Oat harvest", "Oats are cut in August. The straw is baled. Prices were low."),
    ("Ferry times", "The ferry leaves at nine. It returns at noon. Bicycles go free."),
    ("Town band", "The band plays on Sundays. Its drum is old. The hall is full."),
)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(row)}\n" for row in rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen times the same question, under ids of which about half are judged; no other data."""
    folder = tmp_path_factory.mktemp("pruning")
    docs = [{"title": title, "text": text} for title, text in PASSAGES]
    question = {"question": "When was the lighthouse of Skerry built?", "answers": ["1871"], "gold": [0], "docs": docs}
    for name in ("rag_nq20", "rag_multihop"):
        write(folder / f"{name}.jsonl.gz", [{"id": f"{name}-{number}", **question} for number in range(16)])
    return folder


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from pruning_parts import peers

    return peers


def benchmark(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )


class TestTheCommand:
    """`python benchmarks/pruning.py`."""

    def test_its_last_line_is_its_figures(self, data: Path) -> None:
        """The one sentence that answers survives at half of the tokens, and all of it is counted."""
        done = benchmark("--data", data, "--only", "passages", "--budgets", ".5")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        for name in ("nq20", "multihop"):
            for scorer in ("bm25", "default"):
                figures = found[name][scorer]["0.5"]
                assert figures["answer"] == figures["gold"] == 1.0
                assert 0 < figures["tokens_share"] <= 0.5

    def test_a_part_without_its_data_says_so_and_others_run(self, data: Path) -> None:
        """The reason names the file."""
        done = benchmark("--data", data, "--only", "passages,payloads", "--budgets", ".5")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        assert "json_payloads" in found["failed"]["payloads"]
        assert "nq20" in found

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--only", "pasages"], "no part is named pasages"),
            (["--budgets", "a fifth"], "are not numbers"),
            (["--budgets", "20"], "above 0 and at most 1"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, data: Path, arguments: list[str], said: str) -> None:
        """With what would be right."""
        done = benchmark("--data", data, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr

    def test_a_folder_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        """Before anything is measured."""
        done = benchmark("--data", tmp_path / "nowhere")
        assert done.returncode == 2
        assert "is no folder" in done.stderr


class TestPeers:
    """Other ways to shorten, beside ours on the same questions."""

    def test_one_that_is_not_there_is_named_with_the_reason(
        self, peers: ModuleType, data: Path, tmp_path: Path
    ) -> None:
        """The plain ways and ours are measured all the same."""
        python = tmp_path / "python"
        python.write_text("#!/bin/sh\necho \"No module named 'llama_index'\" >&2\nexit 1\n", encoding="utf-8")
        python.chmod(0o755)
        found = peers.peer_figures(python, data, (0.5,), {}, rows=3, failed="no wheel for this machine")
        for name in peers.NAMES:
            assert found[name] == {"error": "No module named 'llama_index'; not installed: no wheel for this machine"}
        assert found["nq20"]["questions"] == 3
        assert found["nq20"]["whole passages by BM25"]["0.5"]["answer"] == 1.0
        assert found["nq20"]["truncation"]["0.5"]["gold"] == 1.0

    def test_the_setting_closest_in_tokens_is_shown_with_its_tokens(self, peers: ModuleType) -> None:
        """Over a budget or under it, and the one that sends most is shown too: it may be longer than the input."""
        settings = {
            "k=1": {"answer": 0.2, "tokens_share": 0.05}, "k=4": {"answer": 0.5, "tokens_share": 0.22},
            "all": {"answer": 0.9, "tokens_share": 1.4},
        }  # fmt: skip
        found = peers.closest(settings, (0.1, 0.2))
        assert found["0.1"] == {"setting": "k=1", "answer": 0.2, "tokens_share": 0.05}
        assert found["0.2"]["setting"] == "k=4"
        assert found["most_tokens"]["tokens_share"] == 1.4

    def test_plain_ways_keep_to_the_budget(self, peers: ModuleType) -> None:
        """Counted with headers; whole passages are never cut."""
        docs = [{"title": title, "text": text} for title, text in PASSAGES]
        row = {"question": "When does the ferry leave?", "docs": docs}
        whole = {peers.as_sent(title, text) for title, text in PASSAGES}
        for name, shorten in peers.plain_ways().items():
            sent = shorten(row, 45)
            assert sum(peers._tokens(text) for text in sent.values()) <= 45
            assert name == "truncation" or (2 in sent and set(sent.values()) <= whole)
