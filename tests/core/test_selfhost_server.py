"""A server that was started is well, and gone when it should be, whatever ends the program that started it.

A small process stands in for vLLM here; tests/vllm asks a real one.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuppence.selfhost import AdapterClient, Preset, RunningServer, SelfHostError, VllmServer

from .vllm_stand_in import stand_in

Make = Callable[..., VllmServer]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    return stand_in(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def make(python: Path, model: Path) -> Make:
    """Make a server that behaves as told, with little patience and little grace."""

    def make(*, behaving: str = "", **options: Any) -> VllmServer:
        preset = options.pop("preset", Preset.cpu()).with_environment({"STAND_IN": behaving})
        settings = {"python": python, "preset": preset, "patience_s": 60.0, "grace_s": 0.2}
        return VllmServer(options.pop("model", model), **{**settings, **options})

    return make


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False
    return state not in "ZX"


def await_gone(*pids: int) -> None:
    """Wait until none of the processes is there; one that stays fails the test."""
    give_up_at = time.monotonic() + 300
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < give_up_at, f"still there: {[pid for pid in pids if alive(pid)]}"
        time.sleep(0.01)


def engine_of(server: RunningServer) -> int:
    return int(server.endpoint.get("/told")["engine"])


# -- starting


def test_a_started_server_answers_and_a_stopped_one_leaves_nothing(make: Make) -> None:
    """Neither its processes nor its log, and starting it once more works."""
    server = make(served_name="small")
    for _ in range(2):
        with server:
            assert server.healthy()
            assert server.models() == ("small",)
            assert server.base_url == f"{server.url}/v1"
            pids = (server.pid, engine_of(server))
            assert all(map(alive, pids))
            assert "loading" in server.log_tail()
        assert not any(map(alive, pids))
        assert not server.healthy()
        assert server.log_tail() == ""


def test_it_is_started_with_what_it_was_given(make: Make, model: Path) -> None:
    """Flags, environment, adapters; a local model asks no hub, and a key is not where all users of the machine look."""
    preset = Preset.busy_cpu(context_tokens=512).with_tools("hermes").with_flags("--seed", "7")
    with make(preset=preset, lora=True, api_key="a-secret") as server:
        told = server.endpoint.get("/told")
        assert server.name == "model"
    arguments, environment = told["arguments"], told["environment"]
    assert arguments[:4] == ["--model", str(model), "--served-model-name", "model"]
    flags = " ".join(arguments)
    for flag in ("--max-model-len 512", "--enable-lora", "--tool-call-parser hermes", "--seed 7"):
        assert flag in flags
    assert "a-secret" not in flags
    assert environment["VLLM_API_KEY"] == "a-secret"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_two_at_once_listen_at_ports_of_their_own(make: Make) -> None:
    """A free port stays one's own while the server is loading."""
    with make(served_name="one") as one, make(served_name="other") as other:
        assert one.url != other.url
        assert (one.models(), other.models()) == (("one",), ("other",))


def test_a_server_that_somebody_else_started_is_reached_by_its_address(make: Make) -> None:
    """With or without the /v1 that SDKs want, and it says which version it is."""
    with make(served_name="small") as server:
        attached = RunningServer(server.base_url)
        assert attached.url == server.url
        assert attached.healthy()
        assert attached.version() == "0.0-stand-in"
    assert not attached.healthy()
    with pytest.raises(SelfHostError, match="start it, or correct the address"):
        attached.models()


def test_a_server_without_run_time_adapters_says_how_to_get_them(make: Make, tmp_path: Path) -> None:
    """Its pages for them are not there; that is not the adapter's fault."""
    with make() as server, pytest.raises(SelfHostError, match=r"VllmServer\(\.\.\., lora=True\)"):
        AdapterClient(server.url).load("banking", tmp_path)
    with make() as server, pytest.raises(SelfHostError, match="with_sleep"):
        server.sleep.begin()


# -- what is wrong is said before a minute has been waited


def test_what_cannot_be_started_says_why_and_what_to_do(tmp_path: Path, python: Path, model: Path, make: Make) -> None:
    """Cause, value and fix, without a process having been started."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SelfHostError, match=r"empty holds no model: there is no config\.json"):
        VllmServer(empty, python=python)
    with pytest.raises(SelfHostError, match="there is no folder"):
        VllmServer("./nowhere/model", python=python)
    with pytest.raises(SelfHostError, match="there is no interpreter"):
        VllmServer(model, python=tmp_path / "no-python")
    with pytest.raises(SelfHostError, match="has no vLLM: install it there"):
        make(python=sys.executable).start()
    with pytest.raises(SelfHostError, match="does not run: start"):
        _ = make().url
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SelfHostError, match=f"nobody can listen at port {port}"):
            make(port=port).start()
    with make() as server, pytest.raises(SelfHostError, match="runs already"):
        server.start()


def test_a_hub_name_is_handed_on_as_it_is(make: Make) -> None:
    with make(model="org/a-model-7b") as server:
        told = server.endpoint.get("/told")
        assert server.name == "a-model-7b"
    assert told["arguments"][1] == "org/a-model-7b"


def test_a_server_that_dies_while_loading_is_quoted(make: Make) -> None:
    """Its status, what that means where it is known, and its last lines."""
    with pytest.raises(SelfHostError) as failed:
        make(behaving="dies").start()
    said = str(failed.value)
    assert "ended with status 7" in said
    assert "raise memory_share, or cache_gib" in said
    assert "ValueError: No available memory for the cache blocks." in said


def test_a_server_that_is_never_ready_is_given_up_and_gone(make: Make, tmp_path: Path) -> None:
    """After the patience that it was given; whatever had been started by then is found by its environment."""
    with pytest.raises(SelfHostError, match=r"not ready 1 s after its start .* give it more patience_s"):
        make(behaving="hangs", patience_s=1).start()
    assert not any(str(tmp_path).encode() in environment for environment in environments())


def environments() -> Iterator[bytes]:
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield file.read_bytes()
        except OSError:
            continue


def hung_engine(log: Path) -> int:
    """Wait for a server that hangs to say which process its engine is."""
    give_up_at = time.monotonic() + 300
    while "engine" not in (text := log.read_text() if log.exists() else ""):
        assert time.monotonic() < give_up_at, text
        time.sleep(0.01)
    return int(text.split("engine")[1].split()[0])


# -- the end


def test_what_ignores_the_request_to_end_is_killed_after_its_grace(make: Make) -> None:
    """The server and its engine, which was never asked."""
    with make(behaving="stubborn") as server:
        pids = (server.pid, engine_of(server))
    assert not any(map(alive, pids))


def test_an_exception_in_the_block_ends_the_server(make: Make) -> None:
    pids: list[int] = []

    def work() -> None:
        with make() as server:
            pids.extend((server.pid, engine_of(server)))
            raise LookupError

    with pytest.raises(LookupError):
        work()
    assert len(pids) == 2
    assert not any(map(alive, pids))


def test_a_server_that_is_killed_does_not_leave_its_engine(make: Make) -> None:
    """As the out-of-memory killer does it: the engine with the model would go on holding all that memory."""
    with make() as server:
        engine = engine_of(server)
        os.kill(server.pid, signal.SIGKILL)
        await_gone(engine)
        assert not server.healthy()
    with make() as server:  # and another can be started at once
        assert server.healthy()


def test_a_killed_keeper_is_made_up_for(make: Make) -> None:
    """Who stops the server ends all of it, though nobody was left to watch."""
    with make() as server:
        pids = (server.pid, engine_of(server))
        keeper = int(Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(keeper, signal.SIGKILL)
        await_gone(keeper)
        assert all(map(alive, pids))
    assert not any(map(alive, pids))


PROGRAM = """
import signal, sys, time
from tuppence.selfhost import Preset, VllmServer
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
model, python, behaving, log = sys.argv[1:]
preset = Preset.cpu().with_environment({"STAND_IN": behaving})
with VllmServer(model, python=python, preset=preset, log=log, grace_s=0.2) as server:
    print(server.pid, server.endpoint.get("/told")["engine"], flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_a_program_that_ends_takes_its_server_along(ending: int, python: Path, model: Path, tmp_path: Path) -> None:
    """However it ends: Ctrl-C, a signal, or kill -9, of which it never learns."""
    command = [sys.executable, "-c", PROGRAM, str(model), str(python), "", str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout is not None
        pids = [int(pid) for pid in program.stdout.readline().split()]
        assert all(map(alive, pids))
        program.send_signal(ending)
        program.wait()
        await_gone(*pids)


def test_ctrl_c_while_it_loads_ends_it_too(python: Path, model: Path, tmp_path: Path) -> None:
    """The longest time that anybody waits for, and the likeliest to be interrupted."""
    log = tmp_path / "log"
    command = [sys.executable, "-c", PROGRAM, str(model), str(python), "hangs", str(log)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as program:
        engine = hung_engine(log)
        program.send_signal(signal.SIGINT)
        program.wait()
        await_gone(engine)
