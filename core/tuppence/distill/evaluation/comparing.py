"""Each contender's score with its interval, and whether the trained model is better: said only where rows show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tuppence.cache.calibration import wilson
from tuppence.distill.card import Interval
from tuppence.distill.evaluation.answering import Answer, Contender
from tuppence.distill.evaluation.held_out import HeldOut, same_text
from tuppence.evidence.benching.comparing import binomial_tail
from tuppence.evidence.benching.resampling import mean_interval

Score = Callable[[str, str], float]
"""From the teacher's answer and another to how good that is, in [0, 1]."""
_EITHER_WAY = 0.025
"""Each side of a two-sided 5 %."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one contender made of all rows."""

    name: str
    answers: tuple[Answer, ...]
    scores: tuple[float, ...]
    quality: Interval
    """Mean score; its 95 % interval is Wilson's where every score is 0 or 1, of a bootstrap elsewhere."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The trained model beside another contender, row by row."""

    other: str
    difference: float
    """Of the mean scores; above 0 the trained model's is higher."""
    better_rows: int
    worse_rows: int
    verdict: Literal["better", "worse", "not shown"]

    @property
    def words(self) -> str:
        """The comparison as a sentence."""
        told = {"better": "better than", "worse": "worse than", "not shown": "neither shown better nor worse than"}
        return (
            f"{told[self.verdict]} {self.other} ({100 * self.difference:+.1f} points; {self.better_rows} rows better, "
            f"{self.worse_rows} worse)"
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The trained model first, then what it is held against."""

    trained: Result
    others: tuple[Result, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def measured(self) -> dict[str, Interval]:
        """What a model card says of it."""
        return {one.name: one.quality for one in (self.trained, *self.others)}


def evaluate(
    rows: Sequence[HeldOut], trained: Contender, others: Sequence[Contender] = (), *, score: Score = same_text
) -> Evaluation:
    """Ask everybody all rows and compare. Raises `DistillError` where somebody does not answer."""
    found, *beside = (_result(rows, one, score) for one in (trained, *others))
    return Evaluation(found, tuple(beside), tuple(_compared(found, one) for one in beside))


def _result(rows: Sequence[HeldOut], contender: Contender, score: Score) -> Result:
    answers = contender.answer(rows)
    scores = tuple(score(row.expected, answer.text) for row, answer in zip(rows, answers, strict=True))
    return Result(contender.name, tuple(answers), scores, _interval(scores))


def _interval(scores: Sequence[float]) -> Interval:
    mean, count = sum(scores) / len(scores), len(scores)
    if _all_or_nothing(scores):
        low, high = wilson(round(sum(scores)), count)
    else:
        low, high = mean_interval(scores)
    return Interval(mean, low, high, count)


def _compared(trained: Result, other: Result) -> Comparison:
    changes = [one - two for one, two in zip(trained.scores, other.scores, strict=True)]
    better, worse = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    return Comparison(
        other.name, sum(changes) / len(changes), better, worse,
        _verdict(changes, better, worse, exact=_all_or_nothing((*trained.scores, *other.scores))),
    )  # fmt: skip


def _verdict(
    changes: Sequence[float], better: int, worse: int, *, exact: bool
) -> Literal["better", "worse", "not shown"]:
    """Decide by McNemar's exact test (Psychometrika 12, 1947) where answers are right or wrong, else by a paired
    bootstrap.
    """
    if exact:
        p_better, p_worse = (binomial_tail(count, better + worse) for count in (better, worse))
        return "better" if p_better <= _EITHER_WAY else "worse" if p_worse <= _EITHER_WAY else "not shown"
    if len(set(changes)) == 1:
        # Nothing to resample.
        return "better" if changes[0] > 0 else "worse" if changes[0] < 0 else "not shown"
    low, high = mean_interval(changes)
    return "better" if low > 0 else "worse" if high < 0 else "not shown"


def _all_or_nothing(scores: Sequence[float]) -> bool:
    return all(score in (0.0, 1.0) for score in scores)
