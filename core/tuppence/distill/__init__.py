"""Distillation: a premium model's recorded work, moved to a small model that is trained on it."""

from tuppence.distill.card import Interval, write_card
from tuppence.distill.dataset import Dataset, Datasets, Filters, Shares
from tuppence.distill.dataset.exporting import Exported, export, exported
from tuppence.distill.dataset.statistics import Statistics, statistics
from tuppence.distill.errors import DistillError, TrainingError
from tuppence.distill.planning import Plan, Terms, plan
from tuppence.distill.trainers import OnProgress, Progress, Trained, Trainer, TrainingData

__all__ = [
    "Dataset",
    "Datasets",
    "DistillError",
    "Exported",
    "Filters",
    "Interval",
    "OnProgress",
    "Plan",
    "Progress",
    "Shares",
    "Statistics",
    "Terms",
    "Trained",
    "Trainer",
    "TrainingData",
    "TrainingError",
    "export",
    "exported",
    "plan",
    "statistics",
    "write_card",
]
