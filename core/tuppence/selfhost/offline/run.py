"""Answering a file of requests with a model of one's own, without a server: `vllm.LLM` in a child process.

For work that may wait and a machine that is there anyway. Nothing listens and nothing idles: the process loads the
model, answers, and ends; it ends with the program that started it, too. What was answered by then stays answered.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.offline import worker
from tuppence.selfhost.server.kept import Kept
from tuppence.selfhost.server.log import explained, tail
from tuppence.selfhost.server.preset import Preset
from tuppence.selfhost.server.vllm import environment_for, interpreter, known_model
from tuppence.usage import Usage, read_usage

_WORKER = Path(worker.__file__)
_LOOK_S = 0.2
_GRACE_S = 10.0
_SHOWN_LINES = 20


@dataclass(frozen=True, slots=True)
class OfflineRun:
    """What came of a run."""

    answered: int
    refused: int
    """Lines that the model was not asked, or that vLLM refused: their answers say why."""
    usage: Usage
    """Of all answers, those of earlier runs too."""
    seconds: float
    """How long the machine was used this time, loading included: what a GPU-hour price is multiplied with."""


def answer_offline(
    requests: str | Path, answers: str | Path, *, model: str | Path, python: str | Path = sys.executable,
    preset: Preset | None = None, adapters: Mapping[str, str | Path] | None = None,
) -> OfflineRun:  # fmt: skip
    """Answer every line of `requests`, in OpenAI's batch form, and write the answers in its form too.

    `adapters` are LoRA folders by the names that lines ask for as `model`; every other name is the model itself. Lines
    that `answers` holds already are not asked again, so a run that was killed is taken up where it ended. Answers come
    in no certain order: join them by `custom_id`. Raises `SelfHostError` where the run ended early.
    """
    source, target, folder = Path(requests), Path(answers), known_model(model)
    if not source.is_file():
        raise SelfHostError(f"there is no file {source}: give one with a request of OpenAI's batch form on each line")
    held = preset or Preset.gpu()
    if adapters:
        held = held.with_adapters()
    spec = {
        "requests": str(source.resolve()), "answers": str(target.resolve()), "model": folder, "flags": held.flags,
        "adapters": {name: str(Path(place).resolve()) for name, place in (adapters or {}).items()},
    }  # fmt: skip
    began = time.monotonic()
    _run([interpreter(python), str(_WORKER), json.dumps(spec)], environment_for(folder, held))
    return _told(target, time.monotonic() - began)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    handle, name = tempfile.mkstemp(prefix="tuppence-vllm-", suffix=".log")
    log = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            kept = Kept(command, environment=environment, log=file, grace_s=_GRACE_S)
        try:
            while (status := kept.status()) is None:
                time.sleep(_LOOK_S)
        finally:
            kept.end()
        if status:
            raise SelfHostError(f"the offline run ended with status {status}{explained(tail(log, _SHOWN_LINES))}")
    finally:
        log.unlink()


def _told(path: Path, seconds: float) -> OfflineRun:
    answered = refused = 0
    usage = Usage()
    for response in _responses(path):
        if response["status_code"] == 200:
            answered += 1
            usage += read_usage("vllm", response["body"]["usage"])
        else:
            refused += 1
    return OfflineRun(answered, refused, usage, seconds)


def _responses(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["response"]
