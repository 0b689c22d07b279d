"""A run against an earlier one: the same model on the same questions, each question compared with itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

from tuppence.errors import ConfigError
from tuppence.evidence.benching.resampling import mean_interval, share_not_below_zero
from tuppence.evidence.benching.results import ModelResult

FORMAT = "tuppence.bench/1"
Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Compared:
    """One model now and before, on the questions of both runs."""

    name: str
    questions: int
    difference: float
    """Mean score now, less that of before."""
    better: int
    """Questions with a higher score now."""
    worse: int
    p_worse: float
    """One-sided: how likely so bad a difference would be if the model had not become worse."""
    method: str
    low: float | None = None
    high: float | None = None
    """95 % interval of the difference, where scores are more than right or wrong."""


def read_baseline(path: str | Path) -> dict[str, dict[str, float]]:
    """Read the scores of a report that `bench-models --report` wrote, by model and question; raises `ConfigError`."""
    try:
        told: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the baseline {path} cannot be read ({error.strerror or error}): name a file that --report wrote"
        ) from error
    except ValueError as error:
        raise ConfigError(f"the baseline {path} is no JSON ({error}): name a file that --report wrote") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ConfigError(f"{path} is no report of bench-models: name a file that --report wrote")
    return {one["model"]: {str(key): float(score) for key, score in one["scores"].items()} for one in told["models"]}


def compared(now: ModelResult, before: Scores) -> Compared | None:
    """Compare on the questions of both; None where there are none.

    Where all scores are 0 or 1, by McNemar's test in its exact form (Q. McNemar, Psychometrika 12 (1947) 153): of the
    questions that changed, half would have changed for the worse by chance. Elsewhere by a paired bootstrap.
    """
    shared = [key for key in now.scores if key in before]
    if not shared:
        return None
    changes = [now.scores[key] - before[key] for key in shared]
    better, worse = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    mean = sum(changes) / len(changes)
    if all(score in (0.0, 1.0) for key in shared for score in (now.scores[key], before[key])):
        p = binomial_tail(worse, worse + better)
        return Compared(now.name, len(shared), mean, better, worse, p, "McNemar, exact")
    if len(set(changes)) == 1:
        # Nothing to resample: every question changed alike.
        p = 1.0 if mean >= 0 else 0.0
        return Compared(now.name, len(shared), mean, better, worse, p, "paired bootstrap", mean, mean)
    low, high = mean_interval(changes)
    p = share_not_below_zero(changes)
    return Compared(now.name, len(shared), mean, better, worse, p, "paired bootstrap", low, high)


def binomial_tail(count: int, of: int) -> float:
    """Return the probability of `count` or more heads of `of` tosses of a fair coin, exact until it is rounded."""
    return float(Fraction(sum(comb(of, heads) for heads in range(count, of + 1)), 2**of))
