"""What a replay reports: figures against a plain count, controls, intervals, what was left out, and memory."""

from __future__ import annotations

import math
import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tuppence.attempts import Verdict
from tuppence.checks import agrees_with
from tuppence.errors import ConfigError
from tuppence.evidence.metrics import quality_at_cost
from tuppence.evidence.outcomes import Outcome, Outcomes
from tuppence.evidence.replay import Figure, PoissonBootstrap, Replaying, Report, replay
from tuppence.evidence.replay.bootstrap import row_key
from tuppence.evidence.replay.latencies import Latencies
from tuppence.policy import Policy
from tuppence.request import Reply, Request
from tuppence.routes import start_at
from tuppence.tiers import Tier, function_tier

SMALL, LARGE, HELPER = Tier("small", model="s"), Tier("large", model="l"), Tier("helper", model="h")
CASCADE = Policy(tiers=(SMALL, LARGE))
CHEAP, DEAR = Policy(tiers=(SMALL,)), Policy(tiers=(SMALL, LARGE), route=start_at("large"))
GRID = tuple(index / 10 for index in range(11))


def traffic(n: int, seed: int = 0) -> Iterator[Outcomes]:
    """Questions of two tasks: the small model is good at one, and says so by an answer that is no refusal."""
    drawn = random.Random(seed)
    for index in range(n):
        hard = drawn.random() < 0.4
        right = drawn.random() < (0.3 if hard else 0.95)
        said = "42" if right or drawn.random() < 0.4 else ""
        small = Outcome(float(right), said, not said, 10, 2, 1_000_000, 100.0)
        large = Outcome(float(drawn.random() < 0.9), "42", False, 10, 2, 20_000_000, 1_000.0)
        by_model = {"s": small, "l": large}
        if not index % 2:
            by_model["h"] = replace(small, answer="42", score=1.0, pico_usd=500_000)
        yield Outcomes(f"q{index}", "what is it?", by_model, task="hard" if hard else "easy")


def total(*costs: Figure | None) -> float:
    return sum(cost.value for cost in costs if cost is not None)


def value(figure: Figure | None) -> float:
    assert figure is not None
    return figure.value


def test_the_figures_are_a_plain_count() -> None:
    """Every row by hand: an empty draft is paid and thrown away."""
    rows = list(traffic(500))
    report = replay(rows, CASCADE, against=CHEAP, draws=50)
    kept = [bool(row.by_model["s"].answer) for row in rows]
    pico = sum(1_000_000 + (0 if k else 20_000_000) for k in kept)
    quality = sum(r.by_model["s" if k else "l"].score or 0 for r, k in zip(rows, kept, strict=True)) / 500
    found = report.policy
    assert (report.rows, report.compared, report.complete, found.calls) == (500, 500, 500, 500)
    assert found.usd == Decimal(pico).scaleb(-12)
    assert value(found.usd_per_call) == pytest.approx(pico / 500 / 10**12)
    assert value(found.quality) == pytest.approx(quality)
    assert found.escalated == pytest.approx(kept.count(False) / 500)
    assert found.tiers == {"small": kept.count(True) / 500, "large": kept.count(False) / 500}
    assert found.attempts_per_call == pytest.approx(1 + kept.count(False) / 500)
    assert value(found.saved) == pytest.approx(1 - pico / 500 / 20_000_000)
    assert report.against is not None
    assert report.against.usd == Decimal("0.0005")
    assert report.difference is not None
    assert value(report.difference.usd_per_call) == pytest.approx(pico / 500 / 10**12 - 1e-6)


def test_every_control_stands_beside_it() -> None:
    """One model alone, a random mix and the task's label at the same cost, and the oracle above all of them."""
    rows = list(traffic(3_000))
    report = replay(rows, CASCADE, draws=50)
    small, large = (np.mean([r.by_model[m].score or 0 for r in rows]) for m in "sl")
    controls = report.controls
    assert value(controls["cheap_only"].quality) == pytest.approx(small)
    assert value(controls["strong_only"].quality) == pytest.approx(large)
    assert value(controls["strong_only"].saved) == 0.0
    assert value(controls["random"].usd_per_call) == pytest.approx(value(report.policy.usd_per_call))
    mixed = quality_at_cost([1e-6, 2e-5], [small, large], at=value(report.policy.usd_per_call))
    assert value(controls["random"].quality) == pytest.approx(mixed)
    assert value(report.policy.over_random) == pytest.approx(value(report.policy.quality) - mixed)
    # The label tells hard from easy, and only few hard ones can be paid for at this cost.
    assert mixed + 0.02 < value(controls["task_label"].quality) < value(controls["oracle"].quality)
    best = np.mean([max(r.by_model["s"].score or 0, r.by_model["l"].score or 0) for r in rows])
    assert value(controls["oracle"].quality) == pytest.approx(best)
    assert list(report.models) == ["small", "large"]


def test_a_random_router_is_not_shown_to_be_better_than_random() -> None:
    """Its check draws by the question's length, which says nothing here."""

    def drawn(request: Request, _reply: Reply) -> Verdict:
        return Verdict(float(row_key(request.call_id or "") % 2), "drawn")

    over = replay(traffic(4_000), Policy(tiers=(SMALL, LARGE), check=drawn), draws=400).policy.over_random
    assert over is not None
    assert over.low is not None
    assert over.high is not None
    # Its drafts cost money and nothing comes of them.
    assert over.low < 0.0
    assert over.high < 0.02


def test_one_label_is_no_label() -> None:
    """A router that reads it would have nothing to tell tasks apart by."""
    rows = (replace(row, task="") for row in traffic(100))
    assert "task_label" not in replay(rows, CASCADE, draws=20).controls


# -- the curve


def test_each_point_of_the_curve_is_what_that_threshold_gives() -> None:
    """Read off one run that keeps no draft, the same as a replay with the threshold; the helper is paid either way."""
    rows = [row for row in traffic(400) if "h" in row.by_model]
    policy = Policy(tiers=(SMALL, LARGE), judges=(HELPER,), check=agrees_with("helper"))
    curve = replay(rows, policy, thresholds=GRID, draws=20).curve
    assert curve is not None
    for index, threshold in enumerate(GRID):
        found = replay(rows, policy.override(threshold=threshold), draws=20).policy
        assert value(found.quality) == pytest.approx(curve.quality[index])
        assert value(found.usd_per_call) == pytest.approx(curve.cost[index])
        assert found.tiers.get("small", 0.0) == pytest.approx(curve.kept[index])
    assert math.isinf(curve.threshold[-1])
    assert curve.kept[-1] == 0.0


def test_the_gap_recovered_needs_a_curve_and_a_gap() -> None:
    """Between the models alone, on the axis of cost."""
    assert replay(traffic(200), CASCADE, draws=20).apgr is None
    found = replay(traffic(2_000), CASCADE, thresholds=GRID, draws=20).apgr
    assert found is not None
    assert 0.5 < found < 1.0
    swapped = Policy(tiers=(LARGE, SMALL))
    assert replay(traffic(200), swapped, thresholds=GRID, draws=20).apgr is None


# -- intervals


def test_intervals_are_as_wide_as_they_should_be() -> None:
    """The percentile interval of a mean is that of the normal approximation, near enough."""
    report = replay(traffic(4_000), CASCADE)
    found = report.policy.quality
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    error = math.sqrt(found.value * (1 - found.value) / 4_000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert found.low < found.value < found.high


def test_the_comparison_is_paired() -> None:
    """Two policies that do the same differ by nothing, with certainty; two like ones by less than each one varies."""
    same = replay(traffic(300), CASCADE, against=CASCADE, draws=50).difference
    assert same is not None
    assert same.quality == same.usd_per_call == Figure(0.0, 0.0, 0.0)


def test_the_same_rows_give_the_same_report_in_any_order() -> None:
    """A row's weights hang on its id alone."""
    rows = list(traffic(3_000))
    first, second = (replay(order, CASCADE, draws=100).policy for order in (rows, rows[::-1]))
    assert first.quality is not None
    assert second.quality is not None
    assert first.quality.low == pytest.approx(second.quality.low, abs=1e-6)
    assert first.usd == second.usd


def test_resampling_weights_are_poisson() -> None:
    """Mean and variance 1, independent between rows and between resamples."""
    keys = np.array([row_key(str(index)) for index in range(4_000)], dtype=np.uint64)
    drawn = PoissonBootstrap(1, draws=400)._weights(keys)
    assert drawn.shape == (4_000, 400)
    assert drawn.mean() == pytest.approx(1.0, abs=0.005)
    assert drawn.var() == pytest.approx(1.0, abs=0.01)
    assert (drawn == 0).mean() == pytest.approx(math.exp(-1), abs=0.003)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.06
    assert abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 0.2


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_latencies_are_known_to_half_a_per_cent(share: float) -> None:
    """Whatever their scale."""
    drawn = np.random.default_rng(0).lognormal(6.0, 1.5, 20_001)
    found = Latencies()
    found.add(drawn.tolist())
    assert found.quantile(share) == pytest.approx(np.quantile(drawn, share), rel=0.01)


# -- what is left out


def left_out(rows: list[Outcomes], policy: Policy, **options: Any) -> Report:
    return replay(rows, policy, draws=20, **options)


def without(row: Outcomes, model: str) -> Outcomes:
    return replace(row, by_model={name: one for name, one in row.by_model.items() if name != model})


def test_rows_that_lack_an_outcome_are_counted_by_what_they_lack() -> None:
    """And compared are only those that both policies can be replayed on."""
    rows = [without(row, "l") if index % 4 == 0 else row for index, row in enumerate(traffic(400))]
    report = left_out(rows, CHEAP, against=DEAR)
    assert report.against is not None
    assert report.against.missing == {"l": 100}
    assert report.policy.missing == {}
    assert report.compared == report.policy.calls == report.against.calls == 300


def test_controls_stand_on_the_rows_where_they_can_be_measured() -> None:
    """A policy's own log knows what its accepted drafts cost, and not what the strong model would have said."""
    rows = [without(row, "l") if row.by_model["s"].answer else row for row in traffic(400)]
    report = left_out(rows, CASCADE)
    assert report.compared == 400
    assert report.complete == sum("l" in row.by_model for row in rows)
    assert left_out([without(row, "l") for row in rows], CASCADE).controls["strong_only"].quality is None


def regraded(row: Outcomes, **changes: Any) -> Outcomes:
    return replace(row, by_model={name: replace(one, **changes) for name, one in row.by_model.items()})


def test_ungraded_rows_count_in_the_cost_only() -> None:
    """So that traffic without any label can be priced."""
    rows = [regraded(row, score=None) if index < 100 else row for index, row in enumerate(traffic(400))]
    report = left_out(rows, CASCADE)
    assert (report.compared, report.complete, report.policy.ungraded) == (400, 300, 100)
    unlabelled = left_out([regraded(row, score=None) for row in rows], CASCADE)
    assert unlabelled.policy.quality is None
    assert value(unlabelled.policy.usd_per_call) == pytest.approx(value(report.policy.usd_per_call))


def test_a_row_without_a_price_is_left_out_and_never_free() -> None:
    """No cost is recorded, and the tier has no rate."""
    report = left_out([regraded(row, pico_usd=None) for row in traffic(10)], CASCADE)
    assert (report.compared, report.policy.unpriced, report.policy.usd_per_call) == (0, 10, None)


def test_a_policy_without_a_model_is_refused() -> None:
    """There would be nothing to compare it with."""
    with pytest.raises(ConfigError, match="no model"):
        replay([], Policy(tiers=(function_tier("rules", lambda _request: "42"),)))


def test_no_rows_make_an_empty_report() -> None:
    """Nothing is divided by nothing."""
    report = left_out([], CASCADE, against=CHEAP, thresholds=GRID)
    assert (report.rows, report.policy.quality, report.curve) == (0, None, None)
    assert report.policy.usd == 0


def test_a_report_can_be_asked_for_half_way() -> None:
    """As Ctrl-C does; more rows may follow."""
    replaying = Replaying(CASCADE, draws=20)
    rows = list(traffic(200))
    for row in rows[:50]:
        replaying.add(row)
    assert replaying.report().compared == 50
    for row in rows[50:]:
        replaying.add(row)
    whole = replaying.report()
    assert whole.policy.usd == replay(rows, CASCADE, draws=20).policy.usd
    assert value(whole.policy.quality) == pytest.approx(value(replay(rows, CASCADE, draws=20).policy.quality))


def test_memory_does_not_grow_with_the_traffic() -> None:
    """Ten times the rows, the same peak but for what waits for the garbage collector: a kept row is kilobytes."""

    few = list(traffic(100))

    def peak(rows: int) -> int:
        tracemalloc.start()
        try:
            replay((replace(few[i % 100], id=f"q{i}", task=f"t{i}") for i in range(rows)), CHEAP, draws=8)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(5_000)  # what is loaded and cached once
    assert peak(50_000) - peak(5_000) < 45_000 * 10
