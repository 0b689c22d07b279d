"""`tuppence selfhost serve`, `status` and `adapters`, with a small process in vLLM's place."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuppence.selfhost import RunningServer

from .vllm_stand_in import stand_in

PROGRAM = """
import signal
from tuppence.cli import app
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
app()
"""


def tuppence(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, "selfhost", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`tuppence selfhost serve`, with flags of vLLM's own behind its own."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    command = [
        sys.executable, "-c", PROGRAM, "selfhost", "serve", model, "--name", "small", "--cpu", "--port", "0",
        "--python", stand_in(tmp_path), "--lora", "--", "--seed", "7",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        yield program
        program.kill()


def address(serving: subprocess.Popen[str]) -> str:
    assert serving.stdout is not None
    line = serving.stdout.readline()
    assert line.startswith("small answers at http://127.0.0.1:"), line
    return line.split(" at ")[1].split(";")[0]


def test_serve_says_where_and_ends_with_ctrl_c(serving: subprocess.Popen[str]) -> None:
    """Without a traceback, and with everything that it started."""
    server = RunningServer(address(serving))
    told = server.endpoint.get("/told")
    assert "--seed 7" in " ".join(told["arguments"])
    assert "--enable-lora" in told["arguments"]
    serving.send_signal(signal.SIGINT)
    _, said = serving.communicate()
    assert serving.returncode == 130
    assert "Traceback" not in said
    assert not server.healthy()


def test_a_server_that_ends_by_itself_ends_the_command(serving: subprocess.Popen[str]) -> None:
    """With its status and its last lines, so that a supervisor starts it anew."""
    server = RunningServer(address(serving))
    os.kill(parent_of(server.endpoint.get("/told")["engine"]), signal.SIGKILL)
    _, said = serving.communicate()
    assert serving.returncode == 1
    assert "vLLM ended by itself, with status 137" in said


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_status_says_what_a_server_is_and_serves(serving: subprocess.Popen[str]) -> None:
    url = address(serving)
    shown = tuppence("status", url)
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[1:] == ["  models    small", "  adapters  none"]
    assert "vLLM 0.0-stand-in  well" in shown.stdout
    told = json.loads(tuppence("status", url, "--format", "json").stdout)
    assert (told["healthy"], told["models"], told["adapters"]) == (True, ["small"], [])


def test_what_cannot_be_done_is_one_line_with_the_fix(serving: subprocess.Popen[str], tmp_path: Path) -> None:
    """A server without run-time adapters, none at all, and no model."""
    url = address(serving)
    for arguments, fix in (
        (("adapters", "load", url, "banking", tmp_path), "VllmServer(..., lora=True)"),
        (("adapters", "unload", url, "banking"), "there are none"),
        (("status", "http://127.0.0.1:1"), "start it, or correct the address"),
        (("serve", tmp_path / "nowhere"), "there is no folder"),
    ):
        done = tuppence(*arguments)
        assert done.returncode == 1
        assert fix in done.stderr
        assert "Traceback" not in done.stderr
