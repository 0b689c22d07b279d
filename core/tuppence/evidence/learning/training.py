"""Train the learned check: at each stage of a ladder, how probably this answer is right, how probably the strongest
tier's would be, and what going on would cost. Seconds on a thousand labels; the result is plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuppence.checks.learned import Ahead, LearnedModel, Outlook, Stage, Weighing
from tuppence.errors import ConfigError
from tuppence.evidence.learning.labelled import FloatArray, Labelled, Table
from tuppence.evidence.learning.relevance import relevances_of_few

try:
    import numpy as np
    from sklearn.linear_model import LogisticRegression, Ridge
except ImportError as error:
    raise ConfigError("learning needs scikit-learn: pip install 'tuppence[evidence]'") from error

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
    stages = [
        _stage(labels, position, other)
        for position in range(len(labels.tiers) - 1)
        for other in (None, *_beside(labels, position))
    ]
    unit = float(labels.cost_usd[:, -1].mean())
    return LearnedModel(labels.tiers, labels.helper, _rounded(unit), tuple(stages), len(labels))


def _beside(labels: Labelled, position: int) -> tuple[str, ...]:
    """Name whose answer a tier's own is compared with: the helper's, or that of the tier before."""
    return (labels.helper,) if labels.helper is not None else labels.tiers[max(0, position - 1) : position]


def _stage(labels: Labelled, position: int, other: str | None) -> Stage:
    tier = labels.tiers[position]
    table = labels.table(tier, other)
    strongest = labels.quality[:, -1]
    scaled = _Scaled(table, lost=strongest - labels.quality[:, position])
    onward = position + 1 if labels.helper is not None else -1
    return Stage(
        tier,
        other,
        scaled.log_odds(labels.quality[:, position]),
        scaled.log_odds(strongest),
        scaled.log_cost(labels.cost_usd[:, onward]),
        _ahead(labels, position, other, scaled),
    )


def _ahead(labels: Labelled, position: int, other: str | None, scaled: _Scaled) -> Ahead | None:
    """Learn what asking the helper, or else the next tier, would bring; None where there is nobody to ask."""
    tier, strongest = labels.tiers[position], labels.quality[:, -1]
    if labels.helper is not None:
        if other is not None:
            return None
        beside, kept, usd = labels.table(tier, labels.helper), labels.quality[:, position], labels.helper_usd
    elif position + 2 < len(labels.tiers):
        following = position + 1
        beside = labels.table(labels.tiers[following], tier)
        kept, usd = labels.quality[:, following], labels.cost_usd[:, following]
    else:
        return None
    alike = _alike(beside)
    outlooks = [
        Outlook(scaled.log_odds(kept, weights), scaled.log_odds(strongest, weights)) for weights in (alike, 1.0 - alike)
    ]
    return Ahead(scaled.log_odds(alike), scaled.log_cost(usd), *outlooks)


def _alike(beside: Table) -> FloatArray:
    """Say which pairs of answers are more alike than different: 1 above the cut between two means, else 0.

    The cut is the one that leaves the least variance on its two sides (N. Otsu, "A Threshold Selection Method from
    Gray-Level Histograms", IEEE Transactions on Systems, Man, and Cybernetics 9, 1979): answers that are the same or
    not are cut there, sentences where there are most of neither.
    """
    found = beside.values[:, beside.names.index("agrees")]
    levels = np.unique(found)
    if len(levels) < 2:
        return np.ones_like(found)
    above = found > levels[:-1, None]
    share = above.mean(axis=1)
    apart = (above * found).sum(axis=1) / above.sum(axis=1) - (~above * found).sum(axis=1) / (~above).sum(axis=1)
    return np.asarray(above[np.argmax(share * (1.0 - share) * apart**2)], dtype=np.float64)


class _Scaled:
    """A stage's traits, standardised; those that never vary are left out.

    Weights are drawn from a normal distribution a priori, with one variance for what a question's text tells, one for
    its task and one for the answers: those under which what is `lost` by keeping an answer is most probable.
    """

    def __init__(self, table: Table, *, lost: FloatArray) -> None:
        # A column of one value has a standard deviation that is not quite 0, and would get a weight beyond all measure.
        kept = np.ptp(table.values, axis=0) > 0
        self._names = [name for name, is_kept in zip(table.names, kept, strict=True) if is_kept]
        self._mean, self._spread = table.values[:, kept].mean(axis=0), table.values[:, kept].std(axis=0)
        self._values = (table.values[:, kept] - self._mean) / self._spread
        self._variances = _variances(self._names, self._values, lost)

    def log_odds(self, scores: FloatArray, weights: FloatArray | None = None) -> Weighing:
        """Fit a logistic regression; each score counts as so much of a right and the rest of a wrong answer.

        A variance of probabilities is that variance / (p(1 - p))**2 on the scale of log odds (the delta method), at the
        mean p, and a share of the labels' own variance p(1 - p) is that share / p(1 - p).
        """
        right, wrong = (part if weights is None else weights * part for part in (scores, 1.0 - scores))
        total, lost = float(right.sum()), float(wrong.sum())
        # Add-half smoothing (Jeffreys) keeps the odds finite where all are alike.
        mean = (total + 0.5) / (total + lost + 1.0)
        if not (total > 0.0 and lost > 0.0):
            return Weighing(_rounded(float(np.log(mean / (1.0 - mean)))), {})
        widths = np.sqrt(self._variances / (mean * (1.0 - mean)))
        model = LogisticRegression(C=1.0, solver="newton-cholesky")
        model.fit(
            np.tile(self._values * widths, (2, 1)),
            np.repeat((1, 0), len(scores)),
            sample_weight=np.concatenate((right, wrong)),
        )
        return self._weighing(model.coef_[0] * widths, float(model.intercept_[0]))

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


def _variances(names: Sequence[str], values: FloatArray, lost: FloatArray) -> FloatArray:
    """Return the prior variance of each trait's weight, for labels of variance 1."""
    kinds = np.array([_kind(name) for name in names])
    groups = [kinds == kind for kind in sorted(set(kinds))]
    sizes = [int(group.sum()) for group in groups]
    scaled = [values[:, group] / np.sqrt(size) for group, size in zip(groups, sizes, strict=True)]
    variances = np.ones(len(names))
    if groups:
        for group, size, share in zip(groups, sizes, relevances_of_few(scaled, lost[:, None]), strict=True):
            variances[group] = share / size
    return variances


def _kind(trait: str) -> str:
    kind = trait.partition(".")[0]
    return kind if kind in ("question", "task") else "answers"


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
