"""The training process: started, listened to, and ended with whoever started it.

Torch lives there and not here, so that a training that runs out of memory takes nothing else with it. The process reads
a pipe that this one holds open: however this one ends, the pipe closes, and the training with it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from tuppence.distill.errors import TrainingError

Event = Mapping[str, Any]

_PROGRAM = "lora_training"
_PLACE = Path(__file__).parent / "apart"
_GRACE_S = 5.0
"""What a process that is told to end may take; it has nothing to tidy up, for each epoch is kept when it is done."""
_SHOWN_LINES = 15
_CALM = {"OMP_WAIT_POLICY": "passive"}
"""Threads that sleep while they wait: on two processors shared with other work, spinning ones took several times as
long."""
_NEEDS = "'torch>=2.4,<3' 'transformers>=4.51,<6' 'peft>=0.13,<1'"


def run(python: str, spec: Path, log: Path, on_event: Callable[[Event], None]) -> Event:
    """Run the training that `spec` describes and return its last event; raises `TrainingError` where it fails."""
    with log.open("ab") as written, _started(python, spec, written) as process:
        try:
            return _followed(process, python, log, on_event)
        finally:
            _end(process)


def _started(python: str, spec: Path, log: IO[bytes]) -> subprocess.Popen[str]:
    environment = {**_CALM, **os.environ, "PYTHONPATH": str(_PLACE), "TOKENIZERS_PARALLELISM": "false"}
    try:
        # A session of its own: Ctrl-C reaches this program, which then ends the training.
        return subprocess.Popen(
            [python, "-m", _PROGRAM, str(spec)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log, text=True, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise TrainingError(
            f"{python} cannot be run ({error.strerror}): name a Python interpreter that has torch"
        ) from error


def _followed(process: subprocess.Popen[str], python: str, log: Path, on_event: Callable[[Event], None]) -> Event:
    assert process.stdout is not None
    for line in process.stdout:
        event: Event = json.loads(line)
        if event["event"] == "done":
            return event
        if event["event"] == "failed":
            raise TrainingError(_spelt(event["kind"], event["found"], python, log))
        on_event(event)
    raise TrainingError(_ended(process.wait(), log))


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()


# -- what went wrong


def _spelt(kind: str, found: str, python: str, log: Path) -> str:
    fixes = {
        "package": f"{python} has no {found}: install it there, {python} -m pip install {_NEEDS}",
        "base": f"the base model cannot be read ({found}): give a folder that holds one, or a name at the hub",
        "template": f"the base's chat template does not fit the rows: {found}; take an instruction-tuned base whose "
        "template knows what the rows hold, or leave such rows out",
        "length": f"{found}: raise max_tokens where the base's context allows it, or leave such rows out",
        "memory": f"memory ran out ({found}): {_LESS_MEMORY}",
        "busy": f"another process trains in {found}: wait for it, or name another folder",
    }  # fmt: skip
    return fixes.get(kind, f"the training failed ({found}): its log is {log}")


_LESS_MEMORY = "lower tokens_at_once, which changes nothing but the speed, or take a smaller base"


def _ended(status: int, log: Path) -> str:
    if status == -9:
        return f"the training was killed (signal 9), as Linux does where memory runs out: {_LESS_MEMORY}"
    shown = "\n".join(log.read_text("utf-8", "replace").splitlines()[-_SHOWN_LINES:])
    return f"the training ended with status {status} and no word: the last lines of {log} are\n{shown}"
