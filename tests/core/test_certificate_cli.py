"""`tuppence calibrate`: labelled outcomes in; a table, a verdict and a certificate out, or the reason for none."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from tuppence.cli.calibrate import calibrate
from tuppence.cli.commands import Commands
from tuppence.evidence.certificate import read_certificate

pytestmark = pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs the extra evidence")

ROWS = 600

app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
app.command("calibrate")(calibrate)
app.callback()(lambda: None)


def question(index: int, *, cheap_usd: float, right: bool) -> dict[str, Any]:
    """Two thirds of the questions are easy; the small model says itself when it does not know."""
    easy = index % 3 != 0
    small = {"score": float(easy and right), "answer": "42" if easy else "", "no_answer": not easy}
    large = {"score": 1.0, "answer": "42", "cost_usd": 0.01}
    tokens = {"input_tokens": 10, "output_tokens": 2}
    return {
        "id": f"q{index}", "query": f"what is {index} + 1?", "dataset": "sums",
        "outcomes": {"small": small | tokens | {"cost_usd": cheap_usd}, "large": large | tokens},
    }  # fmt: skip


def write(path: Path, *, rows: int = ROWS, cheap_usd: float = 0.001, right: bool = True) -> Path:
    lines = (json.dumps(question(index, cheap_usd=cheap_usd, right=right)) for index in range(rows))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of outcomes in the folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "outcomes.jsonl")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["calibrate", "--tiers", "small,large", *map(str, arguments)])


def test_what_can_be_certified_is_shown_and_saved(outcomes: Path) -> None:
    """The small model's answers are kept where it has one: 60% of the money is saved, and no quality is lost."""
    done = run(outcomes, "--out", "certificate.json")
    assert done.exit_code == 0, done.output
    assert "taken" in done.stdout
    assert (
        "certified: with probability 90% the policy keeps at least 95% of the strongest tier's quality" in done.stdout
    )
    assert "600 labels" in done.stdout
    saved = read_certificate("certificate.json")
    assert [one.name for one in saved.tiers] == ["small", "large"]
    assert saved.saving.share.value == pytest.approx(0.57, abs=0.03)
    assert "the certificate is in certificate.json" in done.stderr


def test_without_a_file_nothing_is_kept_and_the_command_says_so(outcomes: Path) -> None:
    """The verdict is what was asked for."""
    done = run(outcomes)
    assert done.exit_code == 0
    assert "name a file with --out" in done.stderr
    assert [one.name for one in Path.cwd().iterdir()] == [outcomes.name]


def test_programs_get_every_figure_and_nothing_else(outcomes: Path) -> None:
    """Standard output is one JSON object with the table, the money and the verdict."""
    done = run(outcomes, "--format", "json", "--target", "0.9", "--delta", "0.05")
    told = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (told["outcome"], told["target"], told["delta"]) == ("certified", 0.9, 0.05)
    assert told["labels"]["train"] + told["labels"]["certify"] == ROWS
    assert any(one["certified"] for one in told["trials"])
    assert float(told["saving"]["usd_per_1000_calls"]) == pytest.approx(1000 * float(told["saving"]["usd_per_call"]))
    assert told["latency_ms"] is None
    assert told["verdict"].startswith("certified")


@pytest.mark.parametrize(
    ("made", "asked", "outcome", "said"),
    [
        ({"rows": 200}, ("--target", "0.99"), "not certifiable", "needs about"),
        ({"cheap_usd": 0.02}, (), "no saving", "no tier beside large is worth asking"),
        ({}, ("--max-usd-per-call", "0.0001"), "no saving", "$0.0001 a call"),
    ],
)
def test_what_cannot_be_certified_is_refused_with_the_reason(
    made: dict[str, Any], asked: tuple[str, ...], outcome: str, said: str, outcomes: Path
) -> None:
    """In the table's words and in JSON; exit status 1, and no file, so that a script does not go on with an old one."""
    write(outcomes, **made)
    done = run(outcomes, "--out", "certificate.json", *asked)
    assert done.exit_code == 1
    assert said in done.stdout
    assert "certificate.json is not written" in done.stderr
    assert not Path("certificate.json").exists()
    told = json.loads(run(outcomes, "--format", "json", *asked).stdout)
    assert told["outcome"] == outcome
    assert said in told["verdict"]


def test_rows_that_cannot_be_used_are_counted(outcomes: Path) -> None:
    """A question that the large model was not asked proves nothing about it."""
    rest = question(9_999, cheap_usd=0.001, right=True)
    del rest["outcomes"]["large"]
    outcomes.write_text(outcomes.read_text() + json.dumps(rest) + "\n")
    assert "1 rows left out" in run(outcomes).stdout
    assert json.loads(run(outcomes, "--format", "json").stdout)["skipped_rows"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--target", "95"), 1, "target is 95"),
        (("--prefer", "luck"), 1, "prefer is 'luck'"),
        (("--prefer", "speed"), 1, "no latencies"),
        (("--max-usd-per-call", "cheap"), 2, "'cheap' is no amount of dollars"),
        (("--scale", "ten"), 2, "'ten' is no scale"),
        (("--helper", "nobody"), 1, "nobody"),
        (("--dataset", "none of this name"), 1, "0 rows"),
    ],
)
def test_what_was_asked_wrongly_is_said_in_a_line(
    arguments: tuple[str, ...], status: int, said: str, outcomes: Path
) -> None:
    """With the value and what it may be; no traceback."""
    done = run(outcomes, *arguments)
    assert done.exit_code == status
    assert said in done.stderr
