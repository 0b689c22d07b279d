"""The three contenders on the test rows, and the cascade behind a threshold that other rows have set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from distill_parts.task import Task
from tuppence.distill.calibrating import Calibration, calibrate
from tuppence.distill.evaluation import (
    Answer,
    Evaluation,
    HeldOut,
    Result,
    Served,
    Tfidf,
    evaluate,
    fit_words,
    read_held_out,
)
from tuppence.distill.evaluation.comparing import Score
from tuppence.distill.seconded import Seconded
from tuppence.prices import PriceBook, token_rate
from tuppence.selfhost import Preset, VllmServer

TEACHER = "gpt-4o"
"""Only its list price is used, to tell whether the cascade saves: who answers as the teacher is the data set."""
SMALL_USD_PER_MTOK = Decimal("0.05")
"""An assumption, in and out alike; the cascade's threshold does not hang on it while the teacher is dearer."""
TARGET = 0.975
"""Promise about the whole cascade. Chosen on other intents: there .98 kept too little, and .97 left chance no room."""
DELTA = 0.1
_LONGEST = 32
"""Tokens; the longest label has about eight, and a model that was not trained gets room for a sentence around it."""
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found."""

    evaluation: Evaluation
    """The trained model's confidence is the one with the second opinion."""
    calibration: Calibration
    alone: Result
    """The trained model, with its own confidence."""
    calibration_alone: Calibration


@dataclass(frozen=True, slots=True)
class Recalled:
    """A contender that has answered already: its server is gone, to make room for another's."""

    name: str
    answers: list[Answer]

    def answer(self, rows: Sequence[HeldOut]) -> list[Answer]:
        assert len(rows) == len(self.answers)
        return self.answers


def ask(model: Path, python: Path, *files: Path) -> list[list[Answer]]:
    """Serve a model, ask it the rows of these files, and stop it."""
    with VllmServer(model, served_name=model.name, python=python, preset=Preset.busy_cpu()) as server:
        served = Served(model.name, server.base_url, model.name, max_tokens=_LONGEST, at_once=_AT_ONCE)
        return [served.answer(read_held_out(file)) for file in files]


def judged(task: Task, *, base: Path, merged: Path, python: Path) -> Judged:
    """Set the thresholds on the calibration rows, and compare what everybody made of the test rows."""
    calibrating, tested = ask(merged, python, task.calibration, task.test)
    (prompt_only,) = ask(base, python, task.test)
    train, held, rows = (read_held_out(file) for file in (task.train, task.calibration, task.test))
    words, score = fit_words(train), _named(task.intents)
    alone = Recalled("fine-tuned", tested)
    others = (Recalled("prompt only", prompt_only), Tfidf(train))
    found = evaluate(rows, Seconded(alone, words), others, score=score)
    seconded = Seconded(Recalled("fine-tuned", calibrating), words).answer(held)
    by_itself = evaluate(rows, alone, score=score).trained
    return Judged(found, _calibrated(held, seconded), by_itself, _calibrated(held, calibrating))


def _named(intents: Sequence[str]) -> Score:
    """Score by the first label that an answer names: a model that was not trained says more than was asked for."""

    def score(expected: str, got: str) -> float:
        # Of two labels at one place the longer is meant: calendar, calendar_update.
        places = [(got.find(intent), -len(intent), intent) for intent in intents if intent in got]
        return float(bool(places) and min(places)[2] == expected)

    return score


def _calibrated(rows: Sequence[HeldOut], answers: Sequence[Answer]) -> Calibration:
    """Choose the threshold; only calibration rows are looked at."""
    teacher = PriceBook.default().rate(TEACHER)
    assert teacher is not None
    small = token_rate(input=SMALL_USD_PER_MTOK, output=SMALL_USD_PER_MTOK)
    return calibrate(rows, answers, small=small, teacher=teacher, target=TARGET, delta=DELTA)


def figures(found: Judged) -> dict[str, Any]:
    """Spell the result; shares are of the test rows."""
    prompt_only, tfidf = found.evaluation.others
    trained = found.evaluation.trained
    return {
        "prompt_only": _quality(prompt_only), "tfidf": _quality(tfidf), "finetuned": _quality(trained),
        "intervals": {
            name: [round(one.quality.low, 4), round(one.quality.high, 4)]
            for name, one in (("prompt_only", prompt_only), ("tfidf", tfidf), ("finetuned", trained))
        },
        "verdicts": [one.words for one in found.evaluation.comparisons],
        "cascade": _cascade(trained, found.calibration.threshold),
        "calibration": found.calibration.words,
        "cascade_alone": _cascade(found.alone, found.calibration_alone.threshold),
        "test_rows": len(trained.scores),
    }  # fmt: skip


def _quality(one: Result) -> float:
    return round(one.quality.value, 4)


def _cascade(trained: Result, threshold: float | None) -> dict[str, float | None]:
    """`accuracy` is of the answers that are kept; of all, with the teacher's for the others, it is `whole`."""
    if threshold is None:
        return {"kept_share": 0.0, "accuracy": None, "whole": 1.0, "threshold": None}
    kept = [
        s for s, answer in zip(trained.scores, trained.answers, strict=True) if (answer.confidence or 0) >= threshold
    ]
    wrong = len(kept) - sum(kept)
    return {
        "kept_share": round(len(kept) / len(trained.scores), 4),
        "accuracy": round(_mean(kept), 4) if kept else None,
        "whole": round(1 - wrong / len(trained.scores), 4), "threshold": round(threshold, 6),
    }  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
