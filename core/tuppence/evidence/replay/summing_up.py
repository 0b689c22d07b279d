"""From sums over rows to figures with their intervals. Every statistic is a function of sums, so that it can be taken
of each resample as well as of the rows themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tuppence.errors import ConfigError
from tuppence.evidence.metrics.curves import Curve, FloatArray, cost_share, quality_at_cost
from tuppence.evidence.metrics.routellm import apgr
from tuppence.evidence.replay.bootstrap import Figure, PoissonBootstrap, Statistic
from tuppence.evidence.replay.columns import Layout
from tuppence.evidence.replay.counting import Counts
from tuppence.evidence.replay.report import Arm, Control, Difference, Report
from tuppence.evidence.replay.task_labels import Labels
from tuppence.prices import usd


def summed_up(
    rows: int, only_cached: int, models: Sequence[str], counts: Sequence[Counts], sums: PoissonBootstrap,
    layout: Layout, labels: Labels, curve: Curve | None,
) -> Report:  # fmt: skip
    """Make the report of a replay so far."""
    arms = [_arm(index, one, sums, layout) for index, one in enumerate(counts)]
    return Report(
        rows=rows, compared=counts[0].calls, complete=int(sums.total[layout.complete]), policy=arms[0],
        against=arms[1] if len(arms) > 1 else None, difference=_difference(sums, layout), only_cached=only_cached,
        models={name: _alone(sums, layout, layout.model(index)) for index, name in enumerate(models)},
        controls=_controls(sums, layout, labels), curve=curve, apgr=_apgr(curve, sums, layout),
    )  # fmt: skip


def _arm(index: int, counts: Counts, sums: PoissonBootstrap, layout: Layout) -> Arm:
    calls = max(counts.calls, 1)
    answers = max(counts.tiers.total(), 1)
    return Arm(
        calls=counts.calls, usd=usd(counts.pico_usd),
        usd_per_call=sums.figure(ratio(layout.cost(index), layout.played)),
        quality=sums.figure(ratio(layout.quality(index), layout.graded)),
        saved=sums.figure(_saved(layout, index)), over_random=sums.figure(_over_random(layout, index)),
        latency_p50_ms=counts.latency_ms(0.5), latency_p95_ms=counts.latency_ms(0.95),
        tiers={name: count / answers for name, count in counts.tiers.most_common()},
        escalated=counts.escalated / calls, fell_short=counts.fell_short / calls,
        attempts_per_call=counts.attempts / calls, unanswered=counts.unanswered, ungraded=counts.ungraded,
        estimated=counts.estimated, textless=counts.textless, unpriced=counts.unpriced,
        missing=dict(counts.missing.most_common()),
    )  # fmt: skip


def _difference(sums: PoissonBootstrap, layout: Layout) -> Difference | None:
    if layout.policies < 2:
        return None
    return Difference(
        sums.figure(_less(layout.cost(0), layout.cost(1), layout.played)),
        sums.figure(_less(layout.quality(0), layout.quality(1), layout.graded)),
    )


def _controls(sums: PoissonBootstrap, layout: Layout, labels: Labels) -> Mapping[str, Control]:
    places = {"cheap_only": layout.model(0), "strong_only": layout.model(-1), "oracle": layout.oracle}
    found = {name: _alone(sums, layout, arm) for name, arm in places.items()}
    cost = sums.figure(ratio(layout.complete_cost(0), layout.complete))
    if cost is None:
        return found
    saved = sums.figure(_saved(layout, 0))
    found["random"] = Control(cost, sums.figure(_random(layout, 0)), saved)
    by_label = labels.quality_at(cost.value)
    if by_label is not None:
        found["task_label"] = Control(cost, Figure(by_label), saved)
    return found


def _alone(sums: PoissonBootstrap, layout: Layout, arm: int) -> Control:
    """Return what one way to answer gives over the complete rows."""
    cost, quality = layout.complete_cost(arm), layout.complete_quality(arm)
    return Control(
        sums.figure(ratio(cost, layout.complete)), sums.figure(ratio(quality, layout.complete)),
        sums.figure(_saved(layout, arm)),
    )  # fmt: skip


def _apgr(curve: Curve | None, sums: PoissonBootstrap, layout: Layout) -> float | None:
    """Place the curve between the models alone; None where the strongest is not both dearer and better."""
    if curve is None or not sums.total[layout.complete]:
        return None
    ends = [
        (sums.total[layout.complete_cost(arm)], sums.total[layout.complete_quality(arm)])
        for arm in (layout.model(0), layout.model(-1))
    ]
    (weak_cost, weak), (strong_cost, strong) = np.array(ends) / sums.total[layout.complete]
    try:
        return apgr(cost_share(curve.cost, weak=weak_cost, strong=strong_cost), curve.quality, weak=weak, strong=strong)
    except ConfigError:
        return None


def ratio(column: int, rows: int) -> Statistic:
    """Return the mean of a column over the rows of its block."""
    return lambda sums: sums[:, column] / sums[:, rows]


def _less(column: int, other: int, rows: int) -> Statistic:
    return lambda sums: (sums[:, column] - sums[:, other]) / sums[:, rows]


def _saved(layout: Layout, arm: int) -> Statistic:
    own, strong = layout.complete_cost(arm), layout.complete_cost(layout.model(-1))
    return lambda sums: 1.0 - sums[:, own] / sums[:, strong]


def _random(layout: Layout, policy: int) -> Statistic:
    """Return the quality of a random mix of the models, at a policy's cost in the same resample."""
    models = [layout.model(index) for index in range(layout.models)]
    costs, qualities = [layout.complete_cost(m) for m in models], [layout.complete_quality(m) for m in models]

    def drawn(sums: FloatArray) -> FloatArray:
        means = sums / sums[:, layout.complete, None]
        whole = np.isfinite(means).all(axis=1)
        found = np.full(len(means), np.nan)
        found[whole] = [
            quality_at_cost(row[costs], row[qualities], at=row[layout.complete_cost(policy)]) for row in means[whole]
        ]
        return found

    return drawn


def _over_random(layout: Layout, policy: int) -> Statistic:
    drawn, own = _random(layout, policy), layout.complete_quality(policy)
    return lambda sums: sums[:, own] / sums[:, layout.complete] - drawn(sums)
