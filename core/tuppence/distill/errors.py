"""What can be wrong with a distillation: the traffic, the data set made of it, or its training."""

from __future__ import annotations

from tuppence.errors import TuppenceError


class DistillError(TuppenceError, ValueError):
    """A step of distillation cannot be done as asked; the message says the cause, the value and the fix."""


class TrainingError(DistillError):
    """A training has failed or cannot begin; what is known of it stays where it was written down."""
