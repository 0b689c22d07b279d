"""Train the learned check: at each stage of a ladder, how probably this answer is right, how probably the strongest
tier's would be, and what going on would cost. Seconds on a thousand labels; the result is plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuppence.checks.learned import LearnedModel, Opinion, Stage, Weighing
from tuppence.errors import ConfigError
from tuppence.evidence.learning.labelled import FloatArray, Labelled, Table

try:
    import numpy as np
    from sklearn.linear_model import LogisticRegression, Ridge
except ImportError as error:
    raise ConfigError("learning needs scikit-learn: pip install 'tuppence[evidence]'") from error

# Weights of standardised traits are drawn from N(0, .1) a priori: labels are few, traits are many and overlap.
_PRIOR_VARIANCE = 0.1
_COST_RIDGE = 10.0
# Fewer labels than this say nothing about a dozen traits.
_LEAST_LABELS = 50
_DIGITS = 6


def train(labels: Labelled) -> LearnedModel:
    """Learn the check of a ladder from labelled questions; raises `ConfigError` with fewer than 50 of them.

    Graded scores between 0 and 1 count as that share of a right answer.
    """
    if len(labels) < _LEAST_LABELS:
        raise ConfigError(f"{len(labels)} labelled questions are too few to learn from: give at least {_LEAST_LABELS}")
    strongest = labels.quality[:, -1]
    stages = []
    for table in labels.stages:
        position = labels.tiers.index(table.tier)
        scaled = _Scaled(table)
        stages.append(
            Stage(
                table.tier,
                table.other,
                scaled.log_odds(labels.quality[:, position]),
                scaled.log_odds(strongest),
                scaled.log_cost(labels.cost_usd[:, position + 1]),
                _opinion(labels, table, scaled),
            )
        )
    unit = float(labels.cost_usd[:, -1].mean())
    return LearnedModel(labels.tiers, labels.helper, _rounded(unit), tuple(stages), len(labels))


def _opinion(labels: Labelled, table: Table, scaled: _Scaled) -> Opinion | None:
    beside = None if table.other is not None else labels.stage(table.tier, labels.helper)
    if labels.helper is None or beside is None:
        return None
    agrees = beside.values[:, beside.names.index("agrees")]
    return Opinion(scaled.log_odds(agrees), scaled.log_cost(labels.helper_usd))


class _Scaled:
    """A stage's traits, standardised; those that never vary are left out."""

    def __init__(self, table: Table) -> None:
        # A column of one value has a standard deviation that is not quite 0, and would get a weight beyond all measure.
        kept = np.ptp(table.values, axis=0) > 0
        self._names = [name for name, is_kept in zip(table.names, kept, strict=True) if is_kept]
        self._mean, self._spread = table.values[:, kept].mean(axis=0), table.values[:, kept].std(axis=0)
        self._values = (table.values[:, kept] - self._mean) / self._spread

    def log_odds(self, scores: FloatArray) -> Weighing:
        """Fit a logistic regression; each score counts as so much of a right and the rest of a wrong answer."""
        total = float(scores.sum())
        if not 0.0 < total < len(scores):
            # All alike: add-half smoothing (Jeffreys) in place of infinite odds.
            return Weighing(_rounded(float(np.log((total + 0.5) / (len(scores) - total + 0.5)))), {})
        model = LogisticRegression(C=_PRIOR_VARIANCE, solver="newton-cholesky")
        count = len(scores)
        model.fit(
            np.concatenate((self._values, self._values)),
            np.repeat((1, 0), count),
            sample_weight=np.concatenate((scores, 1.0 - scores)),
        )
        return self._weighing(model.coef_[0], float(model.intercept_[0]))

    def log_cost(self, usd: FloatArray) -> Weighing:
        """Fit the logarithm of a cost so that its exponential has the right mean (N. Duan, JASA 78 (1983) 605)."""
        floor = float(usd[usd > 0].min()) if (usd > 0).any() else 1e-12
        logs = np.log(np.maximum(usd, floor))
        model = Ridge(alpha=_COST_RIDGE).fit(self._values, logs)
        smearing = float(np.log(np.mean(np.exp(logs - model.predict(self._values)))))
        return self._weighing(model.coef_, float(model.intercept_) + smearing)

    def _weighing(self, coefficients: FloatArray, intercept: float) -> Weighing:
        raw = coefficients / self._spread
        weights: Mapping[str, float] = {
            name: _rounded(float(weight)) for name, weight in zip(self._names, raw, strict=True)
        }
        return Weighing(_rounded(intercept - float(raw @ self._mean)), weights)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
