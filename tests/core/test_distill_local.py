"""A local training as the program sees it: what is refused before it begins, what its process says, what is kept."""

from __future__ import annotations

import importlib.util
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tuppence.distill import Progress, TrainingData, TrainingError
from tuppence.distill.local import LocalLora, merged_model, read_trained

ROW = {"messages": [{"role": "user", "content": "late parcel"}, {"role": "assistant", "content": "delivery"}]}
DONE = {"event": "done", "losses": {"epoch": 2.0, "train_loss": 0.25}, "rows": 1, "tokens": 9, "epochs": 2,
        "fit_seconds": 30.0, "seconds": 36.0}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> TrainingData:
    path = tmp_path / "train.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n")
    return TrainingData(path, None, "0123456789abcdef")


def interpreter(folder: Path, *events: dict[str, Any], then: str = "") -> Path:
    """Make a program that takes the place of a Python with torch: it says these events, and counts how often it ran."""
    path = folder / "interpreter"
    lines = [f"print({json.dumps(event)!r}, flush=True)" for event in events]
    path.write_text("\n".join([f"#!{sys.executable}", f"open({str(folder / 'runs')!r}, 'a').write('.')", *lines, then]))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "it is not JSON"),
        ("[]", "it has no list of messages"),
        ('{"messages": ["hello"]}', "it has no list of messages"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "a prompt and an answer are two"),
        ('{"messages": [{"role": "user"}, {"role": "user", "content": "b"}]}', "is the user's, not the assistant's"),
        ('{"messages": [{"role": "user"}, {"role": "assistant", "content": ""}]}', "its answer is empty"),
    ],
)
def test_a_row_that_teaches_nothing_is_named_before_anything_starts(
    data: TrainingData, tmp_path: Path, line: str, said: str
) -> None:
    """With its file and line, and what a row looks like."""
    with data.train.open("a") as rows:
        rows.write(f"\n{line}\n")
    with pytest.raises(TrainingError, match=said) as error:
        LocalLora("base", python=interpreter(tmp_path, DONE)).train(data, out=tmp_path / "out")
    assert f"{data.train}:3: " in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_a_training_says_how_far_it_is_and_what_came_of_it(data: TrainingData, tmp_path: Path) -> None:
    """Its price is that of the machine's hours; the model is named by its base and its data."""
    seen: list[Progress] = []
    python = interpreter(
        tmp_path, {"event": "begun", "rows": 1, "tokens": 9, "held": "32 bits on a CPU"},
        {"event": "step", "step": 1, "steps": 2, "loss": 0.5},
        {"event": "epoch", "epoch": 1.0, "train_loss": 0.5}, DONE,
    )  # fmt: skip
    trained = LocalLora("models/tiny", python=python, usd_per_hour=Decimal("0.50")).train(
        data, out=tmp_path / "out", on_progress=seen.append
    )
    assert [(one.step, one.steps, one.loss) for one in seen] == [(0, None, None), (1, 2, 0.5), (1, 2, None)]
    assert seen[-1].message == "epoch 1: train loss 0.5000"
    assert (trained.model, trained.usd, trained.seconds) == ("tiny-01234567", Decimal("0.005"), 36.0)
    assert trained.metrics["train_loss"] == 0.25
    assert read_trained(tmp_path / "out") == trained


def test_what_is_done_is_not_done_again(data: TrainingData, tmp_path: Path) -> None:
    """Nor when the rows have moved; their content is what counts."""
    trainer = LocalLora("base", python=interpreter(tmp_path, DONE))
    first = trainer.train(data, out=tmp_path / "out")
    moved = TrainingData(data.train.rename(tmp_path / "moved.jsonl"), None, data.data_hash)
    assert trainer.train(moved, out=tmp_path / "out") == first
    assert (tmp_path / "runs").read_text() == "."


def test_a_folder_belongs_to_one_training(data: TrainingData, tmp_path: Path) -> None:
    """Other rows or settings are refused there, and said."""
    python = interpreter(tmp_path, DONE)
    LocalLora("base", python=python).train(data, out=tmp_path / "out")
    with pytest.raises(TrainingError, match="holds a training with another rank and epochs: name another folder"):
        LocalLora("base", python=python, rank=8, epochs=3).train(data, out=tmp_path / "out")
    data.train.write_text(f"{json.dumps(ROW)}\n" * 2)
    with pytest.raises(TrainingError, match="another rows"):
        LocalLora("base", python=python).train(data, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "found", "said"),
    [
        ("package", "peft", "has no peft: install it there"),
        ("memory", "OutOfMemoryError", "lower tokens_at_once"),
        ("length", "3 of 9 rows are longer than 64 tokens", "leave such rows out"),
        ("template", "line 3: it leaves 'lookup' out of the answer", "take an instruction-tuned base"),
        ("base", "no such folder", "the base model cannot be read"),
        ("busy", "out", "wait for it, or name another folder"),
        ("other", "RuntimeError: odd", r"training failed \(RuntimeError: odd\): its log is .*training.log"),
    ],
)  # fmt: skip
def test_what_the_process_refuses_is_said_with_its_fix(
    data: TrainingData, tmp_path: Path, kind: str, found: str, said: str
) -> None:
    """And nothing is written down as done."""
    python = interpreter(tmp_path, {"event": "failed", "kind": kind, "found": found})
    with pytest.raises(TrainingError, match=said):
        LocalLora("base", python=python).train(data, out=tmp_path / "out")
    with pytest.raises(TrainingError, match="no training has ended"):
        read_trained(tmp_path / "out")


def test_a_process_that_is_killed_or_dies_is_told_by_how_it_ended(data: TrainingData, tmp_path: Path) -> None:
    """Linux kills what takes all memory; anything else left its last lines in the log."""
    killed = interpreter(tmp_path, then="import os; os.kill(os.getpid(), 9)")
    with pytest.raises(TrainingError, match="as Linux does where memory runs out"):
        LocalLora("base", python=killed).train(data, out=tmp_path / "out")
    died = interpreter(tmp_path, then="raise SystemExit('the disk is full')")
    with pytest.raises(TrainingError, match=r"ended with status 1(.|\n)*the disk is full"):
        LocalLora("base", python=died).train(data, out=tmp_path / "out")


@pytest.mark.skipif(importlib.util.find_spec("peft") is not None, reason="this interpreter has peft")
def test_an_interpreter_without_the_packages_is_named(data: TrainingData, tmp_path: Path) -> None:
    """By the real program, which this interpreter runs as far as it can."""
    with pytest.raises(TrainingError, match="has no peft: install it there"):
        LocalLora("base", python=sys.executable).train(data, out=tmp_path / "out")


def test_what_is_no_interpreter_is_named(data: TrainingData, tmp_path: Path) -> None:
    """A wrong path is found at once."""
    with pytest.raises(TrainingError, match="cannot be run"):
        LocalLora("base", python=tmp_path / "nowhere").train(data, out=tmp_path / "out")


@pytest.mark.parametrize(
    "wrong", [{"rank": 0}, {"epochs": 0}, {"learning_rate": 0.0}, {"dropout": 1.0}, {"tokens_at_once": 0}]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    """When they are made, not an hour later."""
    with pytest.raises(TrainingError, match=f"{next(iter(wrong))} is 0|dropout is 1"):
        LocalLora("base", **wrong)


def test_a_merged_model_that_is_not_there_is_asked_for_in_vain(data: TrainingData, tmp_path: Path) -> None:
    """With the setting that makes one."""
    trained = LocalLora("base", python=interpreter(tmp_path, DONE)).train(data, out=tmp_path / "out")
    with pytest.raises(TrainingError, match="merged=True"):
        merged_model(trained)
