"""What a fine-tuning job tells on its way: the steps it has done and its losses, as progress and as last metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tuppence.distill.trainers import Progress

_METRICS = {
    "train_loss": "train_loss", "train_mean_token_accuracy": "train_token_accuracy", "valid_loss": "validation_loss",
    "valid_mean_token_accuracy": "validation_token_accuracy", "full_valid_loss": "full_validation_loss",
    "full_valid_mean_token_accuracy": "full_validation_token_accuracy",
}  # fmt: skip


def progress_of(event: Any) -> Progress:
    """Read one event of a job."""
    data: Mapping[str, Any] = event.data if isinstance(event.data, Mapping) else {}
    step, steps = data.get("step"), data.get("total_steps")
    return Progress(
        int(step) if isinstance(step, int | float) else 0, int(steps) if isinstance(steps, int | float) else None,
        _number(data.get("train_loss")), str(event.message),
    )  # fmt: skip


def metrics_of(events: Iterable[Any]) -> dict[str, float]:
    """Return the last value of each metric; `events` come newest first, as the provider lists them."""
    found: dict[str, float] = {}
    for event in events:
        data: Mapping[str, Any] = event.data if isinstance(event.data, Mapping) else {}
        for theirs, ours in _METRICS.items():
            value = _number(data.get(theirs))
            if value is not None:
                found.setdefault(ours, value)
    return found


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
