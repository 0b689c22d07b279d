"""The baseline that costs nothing: words counted and weighed, and a logistic regression on them.

Where it does as well as a trained model, no model is needed. It only ever answers what it has seen answered, so it says
something about tasks with few different answers, such as labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.distill.evaluation.answering import Answer
from tuppence.distill.evaluation.held_out import HeldOut
from tuppence.distill.evaluation.words import fit_words


@dataclass(frozen=True, slots=True)
class Tfidf:
    """TF-IDF of words and a logistic regression, fitted to the training rows."""

    train: Sequence[HeldOut]
    name: str = "TF-IDF"

    def answer(self, rows: Sequence[HeldOut]) -> list[Answer]:
        """Fit and answer; raises `DistillError` where scikit-learn is missing, or answers hardly ever come again."""
        fitted = fit_words(self.train)
        found = [fitted.probabilities(row.question) for row in rows]
        return [Answer(max(one, key=one.__getitem__), max(one.values())) for one in found]
