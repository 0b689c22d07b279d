"""A vLLM of one's own, run over a file of lines by its `run-batch` and ended after it: nothing serves, nothing idles.

A part is a few files in a folder: the lines, the answers, the process and how it ended. The process is one of its own
session, so it outlives who started it, and is found again by its files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from tuppence.batch.lines import CHAT, EMBEDDINGS
from tuppence.batch.openai import outcome
from tuppence.batch.provider import Limits, Outcome, Parcel, Progress, Trouble
from tuppence.usage.buckets import Processing

_RUN = "vllm.entrypoints.openai.run_batch"
# The engine is started for each part, and takes what fits on the disk.
LIMITS = Limits(lines=50_000, bytes=1_000_000_000)
# Names the process, runs it, and says how it ended, each in one move: half a file is never read.
_SHELL = 'echo $$ > "$0.tmp" && mv "$0.tmp" "$0.pid"; "$@" > "$0.log" 2>&1; echo $? > "$0.tmp" && mv "$0.tmp" "$0.code"'
_LOG_CHARS = 400


class VllmBatches:
    """Batches that a child process answers: `python -m vllm.entrypoints.openai.run_batch --model ...`.

    `python` is the interpreter that has vLLM, `arguments` what it is told beside the files and the model, `folder`
    where parts are worked on. `gpus` says how many are paid for while it runs.
    """

    processing: Processing = "standard"
    proves = True
    urls: Collection[str] = frozenset({CHAT, EMBEDDINGS})

    def __init__(
        self, folder: str | Path, *, model: str, python: str | Path = sys.executable, arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None, gpus: int = 1, name: str = "vllm", limits: Limits = LIMITS,
    ) -> None:  # fmt: skip
        self._folder = Path(folder)
        self._command = [str(python), "-m", _RUN, "--model", model, *arguments]
        self._environment = {**os.environ, **(environment or {})}
        self._gpus = gpus
        self.name = name
        self.limits = limits

    def spell(self, custom_id: str, url: str, body: str) -> str:
        return f'{{"custom_id":"{custom_id}","method":"POST","url":"{url}","body":{body}}}'

    def upload(self, parcel: Parcel) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        half = self._file(parcel.token, "half")
        shutil.copyfile(parcel.path, half)
        half.replace(self._file(parcel.token, "jsonl"))
        return parcel.token

    def find_upload(self, parcel: Parcel) -> str | None:
        return parcel.token if self._file(parcel.token, "jsonl").exists() else None

    def create(self, parcel: Parcel, file_id: str) -> str:
        files = ["-i", str(self._file(file_id, "jsonl")), "-o", str(self._file(file_id, "out"))]
        subprocess.Popen(
            ["sh", "-c", _SHELL, str(self._folder / file_id), *self._command, *files],
            env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        return file_id

    def find_batch(self, parcel: Parcel, file_id: str, taken: Collection[str]) -> str | None:
        return file_id if self._file(file_id, "pid").exists() else None

    def progress(self, batch_id: str) -> Progress:
        code = self._file(batch_id, "code")
        if code.exists():
            return self._ended(batch_id, code)
        started = self._file(batch_id, "pid")
        if not started.exists() or _runs(int(started.read_text()), batch_id):
            return Progress("running")
        # It may have ended between the two looks.
        if code.exists():
            return self._ended(batch_id, code)
        return self._crashed("the machine, or somebody, ended vLLM", time.time())

    def answers(self, batch_id: str, sources: Collection[str]) -> Iterator[Outcome]:
        for source in sources:
            with Path(source).open(encoding="utf-8") as lines:
                for line in lines:
                    yield outcome(json.loads(line))

    def cancel(self, batch_id: str) -> None:
        started = self._file(batch_id, "pid")
        if started.exists() and _runs(int(started.read_text()), batch_id):
            # All of its session: an engine whose parent alone is killed goes on for ever.
            os.killpg(int(started.read_text()), signal.SIGTERM)

    def _ended(self, batch_id: str, code: Path) -> Progress:
        ended_at, out = code.stat().st_mtime, self._file(batch_id, "out")
        if code.read_text().strip() != "0" or not out.exists():
            return self._crashed(f"vLLM failed: {self._log_end(batch_id)}", ended_at)
        ran_s = ended_at - self._file(batch_id, "pid").stat().st_mtime
        return Progress("ended", ended_at=ended_at, sources=(str(out),), gpu_ms=int(ran_s * 1000) * self._gpus)

    def _crashed(self, message: str, ended_at: float) -> Progress:
        return Progress("refused", ended_at=ended_at, troubles=((0, Trouble(message, permanent=False)),))

    def _log_end(self, batch_id: str) -> str:
        log = self._file(batch_id, "log")
        return log.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARS:].strip() if log.exists() else "no log"

    def _file(self, name: str, suffix: str) -> Path:
        return self._folder / f"{name}.{suffix}"


def _runs(pid: int, batch_id: str) -> bool:
    """Say whether the process is there and is still this one: numbers are given again."""
    try:
        os.kill(pid, 0)
        told = Path(f"/proc/{pid}/cmdline")
        return not told.parent.parent.joinpath("self").exists() or batch_id.encode() in told.read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return False
