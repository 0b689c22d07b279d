"""Learn, then test: which thresholds of a policy keep their promise, and which of those to take.

The policy and its grid of thresholds are fixed before the labels that certify are looked at: they were learned on
others. Each threshold has its null hypothesis, "keeps no more than the target", and its bet against it (`betting`).
Thresholds are tested from the strictest to the loosest, each at the whole delta, and the first that is not certified
ends it (fixed-sequence testing: A. Angelopoulos, S. Bates, E. Candes, M. Jordan and L. Lei, "Learn then test",
arXiv:2110.01052; P. Bauer, Statistics in Medicine 10, 1991). To certify any wrong threshold, the first wrong one of
the sequence must be certified, and that has a probability of at most delta. So *all* that are certified keep the
promise together, and any of them may be taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuppence.errors import ConfigError
from tuppence.evidence.certificate import betting
from tuppence.evidence.certificate.economics import CLEAR, Figures, figures
from tuppence.evidence.certificate.ladder import FloatArray, Ladder
from tuppence.evidence.certificate.objective import Objective
from tuppence.evidence.certificate.verdicts import (
    Certified,
    Labels,
    Latency,
    NoSaving,
    NotCertifiable,
    Saving,
    Span,
    Trial,
    Verdict,
    amount,
)
from tuppence.spend.figures import dollars

# Half the width of a normal 95% interval, for what is estimated and not promised.
_Z95 = 1.959964
_CHEAPEST = Objective()


def certify(
    train: Ladder, labelled: Ladder, *, target: float, delta: float, objective: Objective = _CHEAPEST
) -> Verdict:
    """Find the best threshold whose quality is at least `target` times the strongest tier's, sure to 1 - `delta`.

    `train` holds the questions that the policy was learned on: they choose the stakes, and count for the costs.
    `labelled` holds others, drawn like the traffic that the promise is for, in an order that was settled before anybody
    looked at them. Both have the same thresholds, strictest first. The promise does not lean on `train` in any way; it
    may have no questions at all. Raises `ConfigError` for arguments that cannot be.
    """
    _validate(train, labelled, target, delta, objective)
    money = figures(train, labelled)
    tests = _tested(train, labelled, target, delta)
    case = _Case(train, labelled, target, delta, money, tests)
    if not money.saves.any():
        return _no_saving(case, _never_cheaper(money))
    certified = np.flatnonzero(tests.certified & money.saves)
    if not len(certified):
        return _not_certified(case)
    return _chosen(case, certified, objective)


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """One test a threshold; arrays of (G,) and, for `x`, (G, n)."""

    x: FloatArray
    known: betting.Spread
    peak: FloatArray
    certified: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """All that a verdict is made of."""

    train: Ladder
    labelled: Ladder
    target: float
    delta: float
    money: Figures
    tests: _Tests

    @property
    def labels(self) -> Labels:
        return Labels(self.train.labels, self.labelled.labels)

    def ratio(self, index: int) -> float:
        """Return what a threshold keeps of the strongest tier's quality on the labels that certify."""
        return float(self.labelled.quality[index].mean() / self.labelled.strongest_quality.mean())

    def saved(self, index: int) -> float:
        """Return the share of the strongest tier's cost that a threshold saves."""
        return float(self.money.saved_usd[index] / self.money.strongest_usd) if self.money.strongest_usd else 0.0

    def latency(self, index: int) -> Latency | None:
        if self.money.mean_ms is None or self.money.p95_ms is None:
            return None
        return Latency(float(self.money.mean_ms[index]), float(self.money.p95_ms[index]))


def _tested(train: Ladder, labelled: Ladder, target: float, delta: float) -> _Tests:
    known = betting.spread(train, target=target)
    x = labelled.quality - target * labelled.strongest_quality
    apart = labelled.quality - labelled.strongest_quality
    path = betting.log_wealth(x, apart, delta=delta, known=known, most=betting.MOST / target)
    peak = np.maximum(path.max(axis=1), 0.0)
    # The bet alone would do. But nobody should be given a promise that the very same labels make improbable, which
    # comes of wealth that was high once and is gone; to certify less is always allowed.
    kept = (peak >= math.log(1.0 / delta)) & (x.mean(axis=1) >= 0.0)
    return _Tests(x, known, peak, np.logical_and.accumulate(kept))


def _chosen(case: _Case, certified: npt.NDArray[np.intp], objective: Objective) -> Certified | NoSaving:
    quality_low = ratio_low = np.zeros(len(certified))
    if objective.needs_quality:
        quality_low = np.array([_quality_low(case, int(index)) for index in certified])
        ratio_low = np.array([_ratio_bounds(case, int(index))[0] for index in certified])
    allowed = objective.allowed(certified, case.money, quality_low)
    if not len(allowed):
        return _no_saving(case, f"none that is certified keeps within {objective.spelt()}")
    index = objective.best(allowed, case.money, ratio_low[np.isin(certified, allowed)])
    return Certified(
        case.target, case.delta, float(case.labelled.thresholds[index]),
        Span(case.ratio(index), *_ratio_bounds(case, index)), _saving(case, index), case.latency(index), case.labels,
        float(case.tests.peak[index]), _trials(case),
    )  # fmt: skip


def _not_certified(case: _Case) -> NotCertifiable | NoSaving:
    """Say what is missing up to the strictest threshold that saves, since every stricter one must be certified too."""
    strictest = int(np.argmax(case.money.saves))
    if _clearly_below(case):
        return _no_saving(
            case,
            f"the strictest threshold that saves any ({case.saved(strictest):.1%}) keeps {case.ratio(strictest):.1%} "
            f"of the strongest tier's quality on {case.labelled.labels:,} labels, clearly too little",
        )
    missing = ~case.tests.certified[: strictest + 1]
    needed = betting.labels_needed(case.tests.x[: strictest + 1][missing], target=case.target, delta=case.delta)
    return NotCertifiable(
        case.target, case.delta, case.labels, _more(case.labels, float(needed.max())),
        float(case.labelled.thresholds[strictest]), case.saved(strictest), case.ratio(strictest), _trials(case),
    )  # fmt: skip


def _clearly_below(case: _Case) -> bool:
    """Say whether every threshold that saves is clearly below the target: then more labels would only confirm it."""
    x = case.tests.x[case.money.saves]
    error = x.std(axis=1, ddof=1) / math.sqrt(x.shape[1]) if x.shape[1] > 1 else np.full(len(x), math.inf)
    return bool((x.mean(axis=1) + CLEAR * error < 0.0).all())


def _more(labels: Labels, needed: float) -> int | None:
    """Say how many labels more, learning and certifying in the same proportion, rounded up to two digits."""
    if math.isinf(needed):
        return None
    # Chance or a stake that did not fit may miss by a hair what these labels could have shown: then a tenth more.
    more = max((needed - labels.certify) * labels.total / labels.certify, labels.total / 10.0, 1.0)
    size = int(10 ** max(0, len(str(int(more))) - 2))
    return math.ceil(more / size) * size


def _no_saving(case: _Case, reason: str) -> NoSaving:
    return NoSaving(
        case.target, case.delta, case.labels, reason, amount(case.money.strongest_usd),
        amount(float(case.money.usd.min())), _trials(case),
    )  # fmt: skip


def _never_cheaper(money: Figures) -> str:
    best = int(np.argmax(money.saved_usd))
    strongest, cheapest = (dollars(amount(float(one))) for one in (money.strongest_usd, money.usd[best]))
    return (
        f"none of {len(money.usd)} thresholds clearly costs less than the strongest tier alone (${strongest} a call); "
        f"the cheapest costs ${cheapest}"
    )


def _saving(case: _Case, index: int) -> Saving:
    saved, error = float(case.money.saved_usd[index]), float(case.money.error_usd[index])
    strongest = case.money.strongest_usd
    low, high = saved - _Z95 * error, saved + _Z95 * error
    share = Span(*(one / strongest for one in (saved, low, high)))
    return Saving(amount(saved), amount(low), amount(high), share, amount(strongest))


def _ratio_bounds(case: _Case, index: int) -> tuple[float, float]:
    """Bound the share of the strongest tier's quality that a certified threshold keeps."""
    return betting.ratio_bounds(
        case.labelled.quality[index], case.labelled.strongest_quality, delta=case.delta, known=_known(case, index),
        certified=case.target,
    )  # fmt: skip


def _quality_low(case: _Case, index: int) -> float:
    """Bound the mean quality of a threshold from below: its ratio to answers that are always right."""
    right = np.ones(case.labelled.labels)
    return betting.ratio_bounds(case.labelled.quality[index], right, delta=case.delta, known=_known(case, index))[0]


def _known(case: _Case, index: int) -> betting.Spread:
    known = case.tests.known
    return betting.Spread(known.squares[index : index + 1], known.count, known.floor)


def _trials(case: _Case) -> tuple[Trial, ...]:
    certified = case.tests.certified
    tested = np.concatenate(([True], certified[:-1]))
    quality = case.labelled.quality.mean(axis=1)
    ratio = quality / case.labelled.strongest_quality.mean()
    return tuple(
        Trial(
            float(threshold), bool(tested[index]), bool(certified[index]),
            float(case.tests.peak[index]) if tested[index] else None, float(quality[index]), float(ratio[index]),
            amount(float(case.money.usd[index])), case.saved(index), case.latency(index),
        )
        for index, threshold in enumerate(case.labelled.thresholds)
    )  # fmt: skip


def _validate(train: Ladder, labelled: Ladder, target: float, delta: float, objective: Objective) -> None:
    if not 0.0 < target < 1.0:
        raise ConfigError(
            f"target is {target}: it is the share of quality to keep, between 0 and 1, such as .95; no number of "
            "labels proves a whole 1"
        )
    if not 0.0 < delta < 1.0:
        raise ConfigError(f"delta is {delta}: it is the probability that the promise fails, between 0 and 1")
    if not np.array_equal(train.thresholds, labelled.thresholds):
        raise ConfigError("the ladders have different thresholds: choose them on the training part, use them on both")
    if not labelled.labels:
        raise ConfigError("there are no labels to certify with: keep some that the policy does not learn from")
    if not labelled.strongest_quality.any():
        raise ConfigError(
            f"the strongest tier's quality is 0 on all {labelled.labels:,} labels, so there is nothing to keep: "
            "look at the scores, and at the order of the tiers"
        )
    if objective.needs_latency and (train.latency_ms is None or labelled.latency_ms is None):
        raise ConfigError("speed is asked for, but the rows have no latencies: record them, or prefer cost or quality")
