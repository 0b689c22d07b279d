"""In which order to climb: which tiers are worth asking before the strongest, and which of them first.

The cheapest first is not always the cheapest: where the first answer seldom suffices alone, a dearer and better one
that is asked before costs less than both. The dearer one's answer may then be kept, or the cheaper one asked whether it
says the same.
"""

from __future__ import annotations

import math

import numpy as np

from tuppence.evidence.learning.climbing import expected_ladder, ladder, scores, thresholds
from tuppence.evidence.learning.labelled import Labelled
from tuppence.evidence.learning.training import train


def cheapest_order(labels: Labelled, *, target: float, margin: float = 0.0) -> tuple[str, ...]:
    """Order some of the tiers below the strongest so that `target` of its quality is expected to cost least.

    Begins with the best single one and puts in one after the other, wherever it helps most, as long as it does. Give
    labels that may teach: the order is a part of the policy. Where several cost the same, the order given is kept.
    `margin` is what quality must have above the target, in parts of the root mean square of what a question gains or
    loses against the strongest tier (see `margin_of`).
    """
    *drafting, strongest = labels.tiers
    chosen: tuple[str, ...] = ()
    least = math.inf
    while len(chosen) < len(drafting):
        tried = [
            (*chosen[:place], tier, *chosen[place:])
            for tier in drafting
            if tier not in chosen
            for place in range(len(chosen), -1, -1)
        ]
        costs = [_expected_usd(labels.climbing((*order, strongest)), target, margin) for order in tried]
        if not min(costs) < least:
            break
        least, chosen = min(costs), tried[int(np.argmin(costs))]
    return (*chosen, strongest)


def margin_of(labels: int, delta: float) -> float:
    """Return about what a bet on so many labels takes to certify: sqrt(2 ln(1 / delta) / labels).

    Wealth grows by exp(n m^2 / 2) where the mean is m standard deviations above the target and the stake is the best.
    """
    return math.sqrt(2.0 * math.log(1.0 / delta) / labels)


def _expected_usd(labels: Labelled, target: float, margin: float) -> float:
    """Return what a call is expected to cost at the cheapest threshold that is expected to keep the target."""
    model = train(labels)
    tried = thresholds(scores(model, labels))
    expected, recorded = expected_ladder(model, labels, tried), ladder(model, labels, tried)
    apart = np.sqrt(((recorded.quality - recorded.strongest_quality) ** 2).mean(axis=1))
    good = expected.quality.mean(axis=1) >= target * labels.quality[:, -1].mean() + margin * apart
    return float(expected.cost.mean(axis=1)[good].min())
