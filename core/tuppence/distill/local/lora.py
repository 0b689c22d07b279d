"""`LocalLora`: a small model of yours learns a task from rows, on this machine.

Everything lies in one folder, so that a training that was killed goes on from its last epoch, and one that is done is
not done again. The folder belongs to one training: another one is refused there, never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tuppence.distill.errors import TrainingError
from tuppence.distill.local import child, rows
from tuppence.distill.trainers import OnProgress, Progress, Trained, TrainingData

_SPEC = "training.json"
_RESULT = "trained.json"
_HOUR_S = 3600
_NAMED_BY = 8
"""Digits of the data's hash in a model's name: enough to tell a few trainings of one base apart."""


@dataclass(frozen=True, slots=True)
class LocalLora:
    """Trains a LoRA adapter of `base`, a folder or a hub's name, by the interpreter `python`, which has torch and peft.

    On a GPU with bitsandbytes the base is held in 4 bits (QLoRA). Only the assistant's last message is learned, spelt
    by the base's own chat template. The same settings and rows give the same adapter on the same machine. With
    validation rows the epoch that does best on them is kept. Raises `TrainingError` for settings that cannot work.
    """

    base: str | Path
    python: str | Path = sys.executable
    name: str | None = None
    """What the trained model is to be called; None: by its base and its data."""
    rank: int = 16
    epochs: int = 2
    batch: int = 8
    """Rows a step."""
    learning_rate: float = 5e-4
    dropout: float = 0.0
    max_tokens: int | None = None
    """Longest row; None: the base's context."""
    tokens_at_once: int = 4096
    """Tokens that are worked on together: less of them takes less memory and more time, with the same result."""
    seed: int = 0
    merged: bool = True
    """Also write the base with the adapter added in. Served so it is faster, and needs a server of its own."""
    usd_per_hour: Decimal | None = None
    """Price of this machine; None: what the training costs is not known."""

    def __post_init__(self) -> None:
        least = {"rank": self.rank, "epochs": self.epochs, "batch": self.batch, "tokens_at_once": self.tokens_at_once}
        for setting, value in least.items():
            if value < 1:
                raise TrainingError(f"{setting} is {value}: it must be at least 1")
        if not 0.0 < self.learning_rate < 1.0 or not math.isfinite(self.learning_rate):
            raise TrainingError(f"learning_rate is {self.learning_rate}: give one such as 2e-4")
        if not 0.0 <= self.dropout < 1.0:
            raise TrainingError(f"dropout is {self.dropout}: it is a part, from 0 to below 1")

    def train(self, data: TrainingData, *, out: Path, on_progress: OnProgress | None = None) -> Trained:
        """Train on `data`; `out` then holds `adapter/`, with `merged` also `merged/`, and the log.

        Called again after a kill it goes on after the last epoch that was done; once it is done it only says so.
        Raises `TrainingError` for rows that cannot be learned from, for a folder that holds another training, and
        where the training fails.
        """
        for path in filter(None, (data.train, data.validation)):
            rows.check(path)
        out = out.expanduser().absolute()
        spec = self._spec(data, out)
        _claim(out, spec)
        if (out / _RESULT).exists():
            return read_trained(out)
        event = child.run(str(self.python), out / _SPEC, out / "training.log", _teller(on_progress))
        trained = self._trained(data, out, event)
        _write(out / _RESULT, {**asdict(trained), "adapter": str(trained.adapter), "usd": _spelt(trained.usd)})
        (out / "checkpoint.pt").unlink(missing_ok=True)
        return trained

    def _spec(self, data: TrainingData, out: Path) -> dict[str, Any]:
        # A folder is meant in full: the training has a current folder of its own.
        base = Path(self.base).expanduser()
        validation = None if data.validation is None else data.validation.absolute()
        return {
            "base": str(base.resolve()) if base.exists() else str(self.base), "out": str(out),
            "train": str(data.train.absolute()), "validation": None if validation is None else str(validation),
            "rows": [_digest(path) for path in filter(None, (data.train, validation))],
            "rank": self.rank, "epochs": self.epochs, "batch": self.batch, "learning_rate": self.learning_rate,
            "dropout": self.dropout, "max_tokens": self.max_tokens, "tokens_at_once": self.tokens_at_once,
            "seed": self.seed, "merged": self.merged,
        }  # fmt: skip

    def _trained(self, data: TrainingData, out: Path, event: child.Event) -> Trained:
        seconds = float(event["seconds"])
        usd = None if self.usd_per_hour is None else self.usd_per_hour * Decimal(repr(seconds)) / _HOUR_S
        figures = {name: float(event[name]) for name in ("rows", "tokens", "epochs", "fit_seconds")}
        return Trained(
            self.name or f"{Path(self.base).name}-{data.data_hash[:_NAMED_BY]}", str(self.base), out / "adapter",
            seconds, usd, {**event["losses"], **figures}, data.data_hash,
        )  # fmt: skip


def merged_model(trained: Trained) -> Path:
    """Return the folder of the merged model; raises `TrainingError` where there is none."""
    folder = None if trained.adapter is None else trained.adapter.parent / "merged"
    if folder is None or not folder.is_dir():
        raise TrainingError(f"{trained.model} has no merged model: train it with LocalLora(..., merged=True)")
    return folder


def _claim(out: Path, spec: dict[str, Any]) -> None:
    """Write down what the folder is for, or see that it is for the same."""
    written = out / _SPEC
    if written.exists():
        known = json.loads(written.read_text("utf-8"))
        # Where the rows lie and where it is moved to does not matter, what they are does.
        differing = [
            name for name in spec if name not in ("out", "train", "validation") and known.get(name) != spec[name]
        ]
        if differing:
            raise TrainingError(
                f"{out} holds a training with another {' and '.join(differing)}: name another folder, or remove it"
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(written, spec)
    except OSError as error:
        raise TrainingError(f"{out} cannot be written ({error.strerror}): name a writable folder") from error


def read_trained(folder: str | Path) -> Trained:
    """Read what a training has left in its folder; raises `TrainingError` where none has ended there."""
    out = Path(folder).expanduser().absolute()
    try:
        told = json.loads((out / _RESULT).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"no training has ended in {out} ({error}): name the folder it was given as `out`"
        ) from error
    told |= {"adapter": out / "adapter", "usd": None if told["usd"] is None else Decimal(told["usd"])}
    return Trained(**told)


def _write(path: Path, told: dict[str, Any]) -> None:
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    os.replace(beside, path)


def _spelt(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:f}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _teller(on_progress: OnProgress | None) -> Any:
    """Turn the process's events into progress, in the words of the Protocol."""
    reached = [0, None]

    def tell(event: child.Event) -> None:
        if on_progress is None:
            return
        if event["event"] == "step":
            reached[:] = [event["step"], event["steps"]]
        on_progress(Progress(reached[0] or 0, reached[1], event.get("loss"), _message(event)))

    return tell


def _message(event: child.Event) -> str:
    if event["event"] == "begun":
        return f"{event['rows']:,} rows of {event['tokens']:,} tokens; the base is held in {event['held']}"
    if event["event"] == "resumed":
        return f"goes on after epoch {event['epoch']}"
    if event["event"] == "epoch":
        losses = (
            f"{name.replace('_', ' ')} {event[name]:.4f}" for name in ("train_loss", "validation_loss") if name in event
        )
        return f"epoch {event['epoch']:.0f}: {', '.join(losses)}"
    return ""
