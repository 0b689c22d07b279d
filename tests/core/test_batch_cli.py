"""`tuppence batch`: a file in, a file out in the same order, and what is wrong with a line said by its number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tuppence.batch import BatchError
from tuppence.batch.files import read_lines
from tuppence.cli import app
from tuppence.testing import ProviderServer

pytest.importorskip("openai")
pytest.importorskip("anthropic")


@pytest.fixture
def work(tmp_path: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, whose environment leads to the scripted server."""
    for name, value in (
        ("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", server.base_url),
        ("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_BASE_URL", server.anthropic_url),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    return tmp_path


def run(work: Path, *arguments: str) -> Result:
    command, *rest = arguments
    ledger = ("--ledger", str(work / "ledger.sqlite")) if command != "status" else ()
    return CliRunner().invoke(app, ["batch", command, *rest, "--store", str(work / "jobs.sqlite"), *ledger])


def written(path: Path, lines: list[Any]) -> str:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return str(path)


def asked(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("model", ["gpt-4o-mini", "claude-haiku-4-5"])
def test_a_file_becomes_a_file(model: str, work: Path) -> None:
    """Questions in, answers out, in order; submitting the same again sends nothing."""
    body = {"max_tokens": 30} if model.startswith("claude") else {}
    file = written(work / "in.jsonl", [{"id": f"q{n}", **asked(f"item {n}"), **body} for n in range(5)])
    told = run(work, "submit", file, "--model", model, "--tag", "task=label")
    assert told.exit_code == 0 and "5 lines, 5 of them different" in told.stdout, told.output
    assert run(work, "submit", file, "--model", model).stdout.split(":")[0] == told.stdout.split(":")[0]
    done = run(work, "fetch", str(work / "out.jsonl"))
    assert done.exit_code == 0 and "5 lines for $" in done.stdout, done.output
    answers = [json.loads(line) for line in (work / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["custom_id"] for one in answers] == [f"q{n}" for n in range(5)]
    assert all(f"item {n}" in json.dumps(one["response"]) and one["error"] is None for n, one in enumerate(answers))
    (job,) = json.loads(run(work, "status", "--format", "json").stdout)
    assert (job["state"], job["answered"], job["failed"]) == ("done", 5, 0)
    assert "done" in run(work, "status").stdout


def test_a_job_can_be_cancelled(work: Path, server: ProviderServer) -> None:
    """What was not answered by then has `cancelled` for its answer."""
    server.batches.hold()
    run(work, "submit", written(work / "in.jsonl", [asked("hello")]), "--model", "gpt-4o-mini")
    assert "is being cancelled" in run(work, "cancel").stdout
    assert "1 requests without an answer" in run(work, "fetch", str(work / "out.jsonl")).stdout
    assert json.loads((work / "out.jsonl").read_text())["error"] == "cancelled"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", r"line 2 is \[1\]: write a JSON object"),
        ('{"custom_id": "a", "body": 7}', "line 2 has 7 for its request"),
        ('{"question": "why?"}', "neither `messages` nor `input` but"),
    ],
)
def test_a_bad_line_is_named_by_its_number(line: str, said: str, tmp_path: Path) -> None:
    """With the value, and what to write instead."""
    file = tmp_path / "in.jsonl"
    file.write_text(f"{json.dumps(asked('good'))}\n{line}\n", encoding="utf-8")
    with pytest.raises(BatchError, match=said):
        list(read_lines(file, model="gpt-4o-mini"))


def test_what_is_missing_is_said(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model, a key, a store, a job: each by name, with what to do."""
    file = written(work / "in.jsonl", [asked("hello")])
    assert "--model names one" in run(work, "submit", file).stderr
    assert "--tag is 'x'" in run(work, "submit", file, "--model", "gpt-4o-mini", "--tag", "x").stderr
    assert "holds no job" in run(work, "fetch", "out").stderr
    assert "no job 'nope'" in run(work, "fetch", "out", "--job", "nope").stderr
    missing = CliRunner().invoke(app, ["batch", "status", "--store", str(work / "none")])
    assert missing.exit_code == 1 and "there is no store of jobs" in missing.stderr
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "OPENAI_API_KEY is not set" in run(work, "submit", file, "--model", "gpt-4o-mini").stderr


def test_every_form_of_a_line_is_read(tmp_path: Path) -> None:
    """OpenAI's batch lines, Anthropic's, and requests alone; a line's own model goes before the command's."""
    file = tmp_path / "in.jsonl"
    written(
        file,
        [
            {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": "x"}},
            {"custom_id": "b", "params": {"max_tokens": 5, **asked("x")}},
            asked("x"),
            {"id": 7, "model": "text-embedding-3-small", "input": ["x"]},
        ],
    )
    lines = list(read_lines(file, model="default"))
    assert [(one.custom_id, one.url, one.body["model"]) for one in lines] == [
        ("a", "/v1/responses", "m"),
        ("b", "/v1/messages", "default"),
        ("line-3", "/v1/chat/completions", "default"),
        ("7", "/v1/embeddings", "text-embedding-3-small"),
    ]
