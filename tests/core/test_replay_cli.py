"""`tuppence replay`: files in, a table, JSON or a picture out; no key, no call."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from tuppence.cli.commands import Commands
from tuppence.cli.replay import replay
from tuppence.evidence.replay import count_lines, read_rows

HAS_PLOTS = importlib.util.find_spec("matplotlib") is not None
ROWS = 60

app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
app.command("replay")(replay)
app.callback()(lambda: None)

TIERS = """
tiers:
  - {name: small, class: openai, model: gpt-4o-mini}
  - {name: large, class: openai, model: gpt-4o}
"""


def question(index: int) -> dict[str, Any]:
    easy = index % 3 != 0
    small = {"score": float(easy), "answer": "42" if easy else "", "no_answer": not easy, "cost_usd": 0.0001}
    large = {"score": 1.0, "answer": "42", "cost_usd": 0.001}
    tokens = {"input_tokens": 10, "output_tokens": 2, "latency_ms": 250.0}
    return {
        "id": f"q{index}", "dataset": "even" if index % 2 else "odd", "query": "what is it?",
        "outcomes": {"gpt-4o-mini": small | tokens, "gpt-4o": large | tokens},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two policies and a file of outcomes, in the folder that the command runs in; no key anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "a.yaml").write_text(TIERS)
    (tmp_path / "b.yaml").write_text(f"{TIERS}route: {{start_at: large}}\ncache: {{store: 'redis://nowhere:1'}}\n")
    lines = "".join(f"{json.dumps(question(index))}\n" for index in range(ROWS))
    with gzip.open(tmp_path / "traffic.jsonl.gz", "wt") as file:
        file.write(lines)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "220"}).invoke(app, ["replay", *arguments], prog_name="tuppence")


@pytest.mark.usefixtures("folder")
def test_a_table_of_both_policies_and_every_control() -> None:
    """The files' names stand for the policies; one has its cache on a server that is not there, and is not asked."""
    done = run("traffic.jsonl.gz", "--policy", "a.yaml", "--against", "b.yaml")
    assert done.exit_code == 0, done.output
    for name in ("a.yaml", "b.yaml", "difference", "random mix", "cheapest", "strongest", "oracle"):
        assert name in done.stdout
    assert re.search(r"a\.yaml +100\.0 % .*\b33\.3 % +small 67 %, large 33 %", done.stdout)
    assert re.search(r"(?:249|25[01]) ms / (?:49\d|50\d) ms", done.stdout)
    assert "60 rows, 60 compared, 60 of them with all models graded." in done.stdout


@pytest.mark.usefixtures("folder")
def test_json_holds_every_figure() -> None:
    """Money is exact decimal text, and the controls come with it."""
    done = run("traffic.jsonl.gz", "--policy", "a.yaml", "--format", "json")
    found = json.loads(done.stdout)
    assert found["names"] == ["a.yaml"]
    assert found["whole"] is True
    assert found["policy"]["usd"] == "0.026000000000"
    assert found["policy"]["escalated"] == pytest.approx(1 / 3)
    assert found["against"] is None
    assert {"cheap_only", "strong_only", "random", "task_label", "oracle"} == set(found["controls"])


@pytest.mark.usefixtures("folder")
def test_only_some_rows() -> None:
    """The first so many, or those of one data set."""
    few = json.loads(run("traffic.jsonl.gz", "--policy", "a.yaml", "--rows", "7", "--format", "json").stdout)
    assert few["rows"] == 7
    odd = json.loads(run("traffic.jsonl.gz", "--policy", "a.yaml", "--dataset", "odd", "--format", "json").stdout)
    assert odd["rows"] == ROWS / 2


def test_another_scale_of_scores(folder: Path) -> None:
    """A judge's 1 to 10 become 0 to 1."""
    row = question(0)
    row["outcomes"]["gpt-4o"]["score"] = 5.5
    row["outcomes"]["gpt-4o-mini"]["score"] = 1
    (folder / "ten.jsonl").write_text(json.dumps(row) + "\n")
    found = json.loads(run("ten.jsonl", "--policy", "b.yaml", "--scale", "1,10", "--format", "json").stdout)
    assert found["policy"]["quality"]["value"] == pytest.approx(0.5)
    assert "give the worst and the best score" in run("ten.jsonl", "--policy", "a.yaml", "--scale", "ten").output


def test_ctrl_c_shows_what_is_done_so_far(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody presses it in the middle of a row; the shell learns of it, too."""
    monkeypatch.syspath_prepend(str(folder))
    (folder / "impatient.py").write_text(
        "seen = []\n"
        "def check(request, reply):\n"
        "    seen.append(reply)\n"
        "    if len(seen) == 21:\n"
        "        raise KeyboardInterrupt\n"
        "    return 1.0\n"
    )
    (folder / "c.yaml").write_text(f"{TIERS}check: {{custom: 'impatient:check'}}\n")
    done = run("traffic.jsonl.gz", "--policy", "c.yaml", "--format", "json")
    assert done.exit_code == 130
    found = json.loads(done.stdout)
    assert (found["rows"], found["whole"]) == (20, False)
    assert "interrupted: these are the first 20 rows" in done.stderr


PROGRAM = """
import typer
from tuppence.cli.replay import replay
app = typer.Typer()
app.command("replay")(replay)
app.callback()(lambda: None)
app(["replay", "traffic.jsonl.gz", "--policy", "a.yaml", "--format", "json"])
"""


@pytest.mark.usefixtures("folder")
def test_a_bar_is_shown_where_somebody_watches() -> None:
    """On the standard error of a terminal, and never between the figures."""
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=theirs, check=True)
    shown = os.read(ours, 65_536).decode()
    os.close(theirs)
    os.close(ours)
    assert "rows" in shown
    assert json.loads(done.stdout)["rows"] == ROWS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plot", "out.jpg"], "ends in .png, .svg or .html"),
        (["--policy", "none.yaml"], "none.yaml cannot be read"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_work_is_said_at_once(arguments: list[str], said: str) -> None:
    """Before a row is played."""
    done = run("traffic.jsonl.gz", "--policy", "a.yaml", *arguments)
    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_not_there_is_named() -> None:
    """With what to do."""
    done = run("nowhere.jsonl", "--policy", "a.yaml")
    assert done.exit_code == 1
    assert "nowhere.jsonl cannot be read" in done.stderr


# -- pictures


@pytest.mark.skipif(not HAS_PLOTS, reason="needs the extra report")
@pytest.mark.parametrize(
    ("name", "begins"), [("o.png", b"\x89PNG"), ("o.svg", b"<?xml"), ("o.html", b"<!DOCTYPE html>")]
)
def test_a_picture_of_cost_against_quality(folder: Path, name: str, begins: bytes) -> None:
    """In each of three forms, the same bytes for the same rows."""
    pictures = []
    for _ in range(2):
        done = run("traffic.jsonl.gz", "--policy", "a.yaml", "--against", "b.yaml", "--plot", name)
        assert done.exit_code == 0, done.output
        pictures.append((folder / name).read_bytes())
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith(begins)


@pytest.mark.skipif(not HAS_PLOTS, reason="needs the extra report")
def test_the_page_needs_nothing_else(folder: Path) -> None:
    """Picture, table and words in one file; a file's name cannot put markup into it."""
    (folder / "<b>.yaml").write_text(TIERS)
    run("traffic.jsonl.gz", "--policy", "<b>.yaml", "--plot", "o.html")
    page = (folder / "o.html").read_text()
    assert "<b>" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    for text in ("&lt;b&gt;.yaml, over thresholds", "random mix of the models", "strongest model alone", "oracle"):
        assert text in page


# -- recorded traffic


def recorded(index: int, text: str) -> dict[str, Any]:
    return {
        "tuppence.traffic": 1, "call_id": f"c{index}", "at": 5.0, "policy": "v1", "mode": "optimise",
        "messages": [{"role": "user", "text": "where is it?"}],
        "attempts": [{
            "tier": "small", "model": "gpt-4o-mini", "cause": "draft", "outcome": "accepted", "pico_usd": 1_000,
            "status": "exact", "latency_ms": 3.0, "usage": {"input": 5, "output": 1}, "reply": {"text": text},
        }],
    }  # fmt: skip


def test_feedback_grades_recorded_traffic(tmp_path: Path) -> None:
    """Of the file itself, and of another one."""
    own = {"tuppence.feedback": 1, "call_id": "c0", "score": 1.0, "at": 9.0}
    other = {"tuppence.feedback": 1, "call_id": "c1", "score": 0.25, "at": 9.0}
    told, later = tmp_path / "traffic.jsonl", tmp_path / "feedback.jsonl"
    told.write_text("".join(f"{json.dumps(line)}\n" for line in (own, recorded(0, "here"), recorded(1, "there"))))
    later.write_text(f"{json.dumps(other)}\n")
    rows = [row for row in read_rows(told, labels=later) if row is not None]
    assert [row.outcomes.by_model["small"].score for row in rows] == [1.0, 0.25]
    assert [row.replies["small"].text for row in rows] == ["here", "there"]
    assert count_lines(told) == 3
