"""What trains a model: one form of data in, one form of result out, wherever the training runs.

A local LoRA and a provider's fine-tuning job obey the same Protocol, so that evaluation, the model card and deployment
need not know which of them it was. Nothing here trains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Rows to learn from, as files of OpenAI's chat form: one `{"messages": [...], "tools": [...]}` a line."""

    train: Path
    validation: Path | None
    """Rows that are not learned from, to see when learning stops to help; None to do without."""
    data_hash: str
    """What names exactly these rows: a model card and a job are told apart by it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    step: int
    steps: int | None
    """None where nobody says."""
    loss: float | None = None
    """On the training rows of this step."""
    message: str = ""
    """What the trainer itself says."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that was trained."""

    model: str
    """Name to ask for it by: a provider's, or the one its adapter is to be served under."""
    base: str
    """Model that it was trained from."""
    adapter: Path | None
    """Folder of a LoRA adapter; None where the provider keeps the weights."""
    seconds: float
    usd: Decimal | None
    """What the training cost; None where no price is known."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Such as `train_loss` and `validation_loss`, as the trainer names them."""
    data_hash: str = ""


class Trainer(Protocol):
    """Trains one model."""

    def train(self, data: TrainingData, *, out: Path, on_progress: OnProgress | None = None) -> Trained:
        """Train on `data` and leave in the folder `out` whatever belongs to the result; raises `TrainingError`.

        Called again with the same data and `out` after a kill, it goes on where that is possible, and never pays for
        a training twice.
        """
        ...
