"""The task: some intents of CLINC150, as conversations with a teacher that always names the right one."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tuppence.distill import TrainingData

SOURCE = "clinc150"
TRAIN_ROWS = 20
"""Of each intent."""


@dataclass(frozen=True, slots=True)
class Task:
    """Files of rows in OpenAI's chat form; no row is in two of them."""

    intents: tuple[str, ...]
    train: Path
    calibration: Path
    """The file's own validation rows: only the threshold is chosen on them."""
    test: Path

    @property
    def data(self) -> TrainingData:
        return TrainingData(self.train, None, hashlib.sha256(self.train.read_bytes()).hexdigest())


def task(data: Path, folder: Path, *, first: int, count: int) -> Task:
    """Write the rows of `count` intents by name, from the `first` on (0 is the first)."""
    with gzip.open(data, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["source"] == SOURCE]
    intents = tuple(sorted({row["intent"] for row in rows})[first : first + count])
    folder.mkdir(parents=True, exist_ok=True)
    files = {split: folder / f"{split}.jsonl" for split in ("train", "val", "test")}
    for split, path in files.items():
        most = TRAIN_ROWS if split == "train" else None
        chosen = [
            row
            for intent in intents
            for row in [row for row in rows if row["intent"] == intent and row["split"] == split][:most]
        ]
        path.write_text("".join(f"{json.dumps(_conversation(row, intents))}\n" for row in chosen), "utf-8")
    return Task(intents, files["train"], files["val"], files["test"])


def _conversation(row: dict[str, str], intents: tuple[str, ...]) -> dict[str, list[dict[str, str]]]:
    asked = "Classify the user's request. Answer with one of these labels and nothing else: "
    return {
        "messages": [
            {"role": "system", "content": f"{asked}{', '.join(intents)}"},
            {"role": "user", "content": row["text"]},
            {"role": "assistant", "content": row["intent"]},
        ]
    }
