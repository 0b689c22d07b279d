"""`tuppence prompt audit`: a file in, its dead weight out, in tokens and dollars; nothing is changed."""

from __future__ import annotations

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

from tuppence import PriceBook, Usage
from tuppence.cli import prompt
from tuppence.cli.commands import Commands
from tuppence.prices import usd
from tuppence.prune.audit import counter_for
from tuppence.prune.prompts import minified_tools, tidied

app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(prompt.app, name="prompt")
app.callback()(lambda: None)

RULE = "You must answer in English and cite each of the sources that you used, for every claim you make, without fail."
TEXT = (
    f'# Agent   \n\n{RULE}\n\n\n\n\n\nPlease note that you must be brief.\n\n{{"answer": "yes",\n "n": 1}}\n\n{RULE}\n'
)
TOOL = {"type": "function", "function": {"name": "a", "parameters": {"type": "object", "title": "A", "required": []}}}
REQUEST = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be brief.   \nPlease note that Alice decides."},
        {"role": "user", "content": [{"type": "text", "text": '{"a": 1, "b": [1, 2]}'}, {"type": "image_url"}]},
        {"role": "assistant", "content": None},
    ],
    "tools": [TOOL],
}


def run(*arguments: Any) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(
        app, ["prompt", "audit", *map(str, arguments)], prog_name="tuppence"
    )


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "prompt.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(REQUEST), encoding="utf-8")
    return file


class TestOfAText:
    def test_shows_every_kind_with_its_tokens_and_dollars(self, text: Path) -> None:
        """The sums are those of the library, at the listed price of input."""
        done = run(text, "--calls-per-month", 1_000_000)
        audit = tidied(TEXT).audit
        rate = PriceBook.default().rate("gpt-4o")
        assert rate is not None
        saved = rate.cost(Usage(input=audit.tokens_saved))
        assert saved is not None
        assert done.exit_code == 0, done.output
        could = next(line.split() for line in done.stdout.splitlines() if "could go" in line)
        assert could[2:] == [
            str(audit.tokens_saved),
            f"{audit.tokens_saved / audit.tokens_before:.1%}",
            f"{usd(saved * 1_000_000):,.2f}",
        ]
        assert {"repeat", "JSON"} <= set(done.stdout.split())
        assert f"its {audit.tokens_after:,} tokens are written once" in done.stdout

    def test_leaves_the_file_as_it_is(self, text: Path) -> None:
        """An audit looks."""
        run(text, "--fillers")
        assert text.read_text(encoding="utf-8") == TEXT

    def test_names_risky_fillers_only_where_fillers_are_asked_for(self, text: Path) -> None:
        """They are opt-in, and what stays is said with its reason."""
        risky = "risky, stays: prompt, line 9: “Please note that” beside “must”"
        assert risky not in run(text).stdout
        assert risky in run(text, "--fillers").stdout

    def test_says_dollars_only_for_a_number_of_calls(self, text: Path) -> None:
        """Nobody's traffic is guessed."""
        assert "$" not in run(text).stdout

    def test_of_json_that_is_no_request_is_one_text(self, tmp_path: Path) -> None:
        """A list of things is a prompt like any other."""
        (tmp_path / "list.json").write_text('[{"a": 1},\n {"a": 2}]')
        assert json.loads(run(tmp_path / "list.json", "--format", "json").stdout)["kinds"].keys() == {"JSON"}


class TestOfARequest:
    def test_adds_up_messages_and_tools(self, request_file: Path) -> None:
        """Every text is named by its message; tools count as the JSON that they are."""
        found = json.loads(run(request_file, "--format", "json", "--fillers", "--calls-per-month", 1000).stdout)
        count = counter_for()
        texts = ["Be brief.   \nPlease note that Alice decides.", '{"a": 1, "b": [1, 2]}']
        assert found["tokens"] == sum(map(count, texts)) + minified_tools([TOOL]).audit.tokens_before
        assert {cut["source"] for cut in found["cuts"]} >= {"message 2 (user)", "a"}
        assert [(one["source"], one["beside"]) for one in found["risky"]] == [("message 1 (system)", "Alice")]
        assert float(found["usd_saved_per_month"]) == pytest.approx(found["tokens_saved"] * 1000 * 2.5e-6)

    def test_whose_messages_are_no_list_is_refused(self, tmp_path: Path) -> None:
        """With what was found in their place."""
        (tmp_path / "odd.json").write_text('{"messages": "hello"}')
        done = run(tmp_path / "odd.json")
        assert (done.exit_code, done.stderr.startswith("tuppence: 'messages' of the request is no list")) == (1, True)


class TestWhatCannotBeAudited:
    def test_is_said_in_a_line_with_the_fix(self, tmp_path: Path) -> None:
        """A file that is not there, is no text, is empty, or is a folder."""
        (tmp_path / "empty.txt").write_text(" \n")
        (tmp_path / "latin.txt").write_bytes("Grüße".encode("latin-1"))
        for name, why in {
            "missing.txt": "cannot be read (No such file or directory): name a file",
            "": "cannot be read (Is a directory)",
            "empty.txt": "the prompt is empty",
            "latin.txt": "is not UTF-8 (byte 2): save it as UTF-8 text",
        }.items():
            done = run(tmp_path / name)
            assert (done.exit_code, why in done.stderr, done.stderr.count("\n")) == (1, True, 1), done.output

    def test_of_an_unknown_model_has_tokens_and_no_price(self, text: Path) -> None:
        """A model of one's own is counted by estimate; dollars that nobody knows are refused, with similar names."""
        done = run(text, "--model", "my-own-llama")
        assert done.exit_code == 0
        assert "no price is known for my-own-llama" in done.stdout and "tokens are estimated" in done.stdout
        priced = run(text, "--model", "gpt-4oo-mini", "--calls-per-month", 9)
        assert priced.exit_code == 1
        assert "no price is known for model 'gpt-4oo-mini': did you mean" in priced.stderr


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_stands_upright_in_a_terminal(text: Path, columns: int) -> None:
    """Real terminals wrap: no line is wider than the window."""
    given = ["audit", str(text), "--calls-per-month", "100000", "--fillers"]
    code = f"import sys; sys.argv[1:] = {given!r}; from tuppence.cli.prompt import app; app()"
    main, other = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=other, stderr=other, env=environment)
    os.close(other)
    seen = b""
    while True:
        try:
            piece = os.read(main, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(main)
    assert process.wait() == 0, seen.decode()
    assert b"could go" in seen
    lines = re.sub(r"\x1b\[[0-9;]*m", "", seen.decode()).splitlines()
    assert max(map(len, lines)) <= columns
