"""What a benchmark run comes to, a model at a time: quality with its interval, cost, latency, and which models no other
beats.

Every question counts: one that a model did not answer is a wrong answer of it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from tuppence.cache.calibration import wilson
from tuppence.evidence.benching.cases import Case
from tuppence.evidence.benching.resampling import mean_interval
from tuppence.evidence.benching.running import Answers
from tuppence.prices import PicoUSD, usd


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResult:
    """One model on one labelled set."""

    name: str
    scores: Mapping[str, float]
    """In [0, 1], by the question's id."""
    quality: float
    """Mean score."""
    low: float
    high: float
    """95 % interval of the mean: Wilson's where every score is 0 or 1, of a bootstrap elsewhere."""
    failures: Mapping[str, int]
    """Why questions were not answered, and how many."""
    no_answer: int
    """Answers in which there was nothing to grade."""
    pico_usd: PicoUSD | None
    """All that it cost, failures too; None where a price is unknown."""
    p50_ms: float | None
    p95_ms: float | None
    input_tokens: int
    output_tokens: int
    resumed: int = 0
    pareto: bool | None = None
    """No other model is as good for less, or better for as much; None where its cost is not known."""

    @property
    def questions(self) -> int:
        return len(self.scores)

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def usd_per_question(self) -> Decimal | None:
        return None if self.pico_usd is None else usd(self.pico_usd) / self.questions

    @property
    def usd_per_correct(self) -> Decimal | None:
        """Dollars for a whole point of score; None where nothing was right, or the cost is not known."""
        right = sum(self.scores.values())
        return None if self.pico_usd is None or not right else usd(self.pico_usd) / Decimal(repr(right))


def results(cases: Sequence[Case], answers: Sequence[Answers]) -> list[ModelResult]:
    """Sum every model up, in the order given, and mark those on the front of quality and cost."""
    found = [_result(cases, one) for one in answers]
    return [replace(one, pareto=_on_front(one, found)) for one in found]


def _result(cases: Sequence[Case], answers: Answers) -> ModelResult:
    outcomes = answers.outcomes
    scores = {case.id: _score(answers, case) for case in cases}
    quality = sum(scores.values()) / len(scores)
    low, high = _interval(list(scores.values()))
    waits = [one.latency_ms for one in outcomes.values() if one.latency_ms is not None]
    p50, p95 = _percentiles(waits)
    return ModelResult(
        name=answers.name, scores=scores, quality=quality, low=low, high=high, failures=dict(answers.reasons),
        no_answer=sum(one.no_answer for one in outcomes.values()), pico_usd=_cost(answers), p50_ms=p50, p95_ms=p95,
        input_tokens=sum(one.input_tokens or 0 for one in outcomes.values()),
        output_tokens=sum(one.output_tokens or 0 for one in outcomes.values()), resumed=answers.resumed,
    )  # fmt: skip


def _score(answers: Answers, case: Case) -> float:
    outcome = answers.outcomes.get(case.id)
    return 0.0 if outcome is None or outcome.score is None else outcome.score


def _interval(scores: list[float]) -> tuple[float, float]:
    if all(score in (0.0, 1.0) for score in scores):
        return wilson(round(sum(scores)), len(scores))
    return mean_interval(scores)


def _cost(answers: Answers) -> PicoUSD | None:
    costs = [answers.failed_pico, *(one.pico_usd for one in answers.outcomes.values())]
    return None if None in costs else sum(cost or 0 for cost in costs)


def _percentiles(waits: list[float]) -> tuple[float | None, float | None]:
    if len(waits) < 2:
        return (waits[0], waits[0]) if waits else (None, None)
    cuts = statistics.quantiles(waits, n=20, method="inclusive")
    return cuts[9], cuts[18]


def _on_front(one: ModelResult, others: Sequence[ModelResult]) -> bool | None:
    if one.pico_usd is None:
        return None
    return not any(_beats(other, one) for other in others)


def _beats(one: ModelResult, other: ModelResult) -> bool:
    """Say whether `one` is nowhere worse and somewhere better."""
    if one.pico_usd is None or other.pico_usd is None:
        return False
    no_worse = one.quality >= other.quality and one.pico_usd <= other.pico_usd
    return no_worse and (one.quality > other.quality or one.pico_usd < other.pico_usd)
