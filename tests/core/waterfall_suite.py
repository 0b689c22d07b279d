"""What the waterfall promises of every ledger, whichever database it lies in."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given

from tuppence.spend.waterfall import STEPS, Waterfall, waterfall

from .cells_suite import rolled_up
from .ledger_rows import DAY_US, START_US, Row, Store, answered_by, manyfold, numbered, random_rows, row

MICRO = 1_000_000

# The six calls of docs/accounting.md, in micro-USD.
EXAMPLE = numbered(
    [
        row("A", pico=270 * MICRO, baseline_pico=4500 * MICRO),
        row("B", "rejected", 270 * MICRO),
        row("B", "accepted", 5500 * MICRO, n=2, tier="large", cause="escalation", baseline_pico=5500 * MICRO),
        row("C", "hit", 0, tier="cache", baseline_pico=4500 * MICRO),
        row("D", pico=270 * MICRO, baseline_pico=4500 * MICRO, prune_pico=7500 * MICRO),
        row("E", pico=2250 * MICRO, tier="large", baseline_pico=4500 * MICRO, batch_pico=2250 * MICRO),
        row("F", "failed", 150 * MICRO),
    ]
)


def plainly(rows: list[Row]) -> tuple[dict[str, int], Counter[str], int, int]:
    """Take each call apart on its own: the steps and the full baseline, the overhead, what is not compared."""
    steps = Counter[str](dict.fromkeys((*STEPS, "full"), 0))
    overhead, apart, paid = Counter[str](), 0, 0
    answers = answered_by(rows)
    for one in rows:
        pico = one["pico_usd"] or 0
        paid += pico
        if one["call_id"] not in answers:
            apart += pico
        elif one["id"] != answers[one["call_id"]]:
            overhead[one["cause"]] += pico
        else:
            levers = {name: one[f"{name}_pico"] or 0 for name in ("prune", "output", "batch", "self_host")}
            steps["full"] += one["baseline_pico"] + levers["prune"] + levers["output"]
            steps.update(prune=levers["prune"], output=levers["output"])
            if one["outcome"] == "hit":
                steps["cache"] += one["baseline_pico"]
                overhead[one["cause"]] += pico
            else:
                steps.update(batch=levers["batch"], self_host=levers["self_host"])
                steps["route"] += one["baseline_pico"] - pico - levers["batch"] - levers["self_host"]
    return dict(steps), overhead, apart, paid


def falls(found: Waterfall) -> int:
    """Go down the steps, and return where one ends."""
    level = found.full_baseline
    for step in found.steps:
        level -= step.pico_usd
    return level + sum(found.overhead.values()) + found.not_compared


class WaterfallSuite:
    """Inherit it, and give it a fixture `store`."""

    @manyfold
    @given(rows=random_rows())
    def test_every_step_is_what_call_by_call_gives_and_all_end_at_what_was_paid(
        self, store: Store, rows: list[Row]
    ) -> None:
        """To the pico-dollar, far beyond int64, whatever the calls were."""
        found = waterfall(store(rows))
        steps, overhead, apart, paid = plainly(rows)
        assert {step.name: step.pico_usd for step in found.steps} | {"full": found.full_baseline} == steps
        assert found.overhead == {cause: pico for cause, pico in overhead.items() if pico}
        assert (found.not_compared, found.paid, falls(found)) == (apart, paid, paid)
        assert found.saved == found.full_baseline - (paid - apart)
        assert found.calls == sum(one["n"] == 1 and not one["again"] for one in rows)
        assert found.compared == len(answered_by(rows))
        assert found.unpriced == sum(one["pico_usd"] is None for one in rows)

    def test_the_example_of_the_page_on_accounting(self, store: Store) -> None:
        found = waterfall(store(EXAMPLE))
        assert {step.name: step.saved_usd for step in found.steps} == {
            "cache": Decimal("0.0045"), "prune": Decimal("0.0075"), "route": Decimal("0.00846"), "output": 0,
            "batch": Decimal("0.00225"), "self_host": 0,
        }  # fmt: skip
        assert (found.full_baseline, found.overhead) == (31_000 * MICRO, {"draft": 270 * MICRO})
        assert (found.not_compared, found.paid) == (150 * MICRO, 8710 * MICRO)
        assert (found.calls, found.compared, found.unpriced, found.baselines) == (6, 5, 0, ("large",))
        assert found.saved_usd == Decimal("0.02244")
        assert [step.name for step in found.steps if step.estimated] == ["prune", "output"]

    def test_a_loss_is_shown_as_one(self, store: Store) -> None:
        """A tier that was dearer than the baseline, and drafts for nothing."""
        found = waterfall(store(numbered([row("a", "rejected", 10), row("a", pico=120, n=2, baseline_pico=100)])))
        assert {step.name: step.pico_usd for step in found.steps if step.pico_usd} == {"route": -20}
        assert (found.saved, found.saved_share) == (-30, -0.3)

    def test_own_machines_are_apart_from_the_route(self, store: Store) -> None:
        """The model costs 40 at a provider, 100 the baseline, 5 at home; 7 tokens' worth were spared."""
        found = waterfall(store(numbered([row("a", pico=5, baseline_pico=100, self_host_pico=35, output_pico=7)])))
        assert {step.name: step.pico_usd for step in found.steps if step.pico_usd} == {
            "route": 60, "output": 7, "self_host": 35,
        }  # fmt: skip
        assert found.full_baseline == 107

    def test_judges_of_live_traffic_are_overhead_of_the_call_they_judge(self, store: Store) -> None:
        """They come later, in rows of their own; an unpriced one leaves nothing to compare."""
        answer = row("a", pico=5, baseline_pico=100)
        judge = row("a", "consulted", 3, again=1, cause="judge", mode="judged", started_us=START_US + DAY_US)
        assert waterfall(store(numbered([answer, row("b"), judge]))).overhead == {"judge": 3}
        assert waterfall(store(numbered([answer, row("b"), judge | {"pico_usd": None}]))).compared == 0

    def test_time_and_tags_select(self, store: Store) -> None:
        rows = numbered(
            [
                row("a", pico=5, baseline_pico=100, user="ann"),
                row("b", pico=6, baseline_pico=200, started_us=START_US + DAY_US),
            ]
        )
        tuesday = datetime(2026, 3, 3, tzinfo=UTC)
        place = store(rows)
        assert waterfall(place, since=tuesday).full_baseline == 200
        assert waterfall(place, until=tuesday).full_baseline == 100
        assert waterfall(place, where={"user": "ann"}).paid == 5

    def test_rolled_up_days_are_in_it(self, store: Store) -> None:
        """Their answers, what else their compared calls cost, and what could not be compared."""
        days = [
            rolled_up(
                calls=5, attempts=6, pico_usd=100, unpriced=1, compared=3, compared_pico=70, answer_pico=60,
                baseline_pico=300, prune_pico=11, batch_pico=20,
            ),
            rolled_up(outcome="hit", cause="hit", calls=2, attempts=2, compared=2, baseline_pico=50),
            rolled_up(outcome="rejected", calls=1, attempts=1, pico_usd=9, compared_pico=9, tier="large"),
        ]  # fmt: skip
        place = store(numbered([row("a", pico=5, baseline_pico=100)]), days)
        found = waterfall(place)
        assert {step.name: step.pico_usd for step in found.steps if step.pico_usd} == {
            "cache": 50, "prune": 11, "route": 300 - 60 - 20 + 95, "batch": 20,
        }  # fmt: skip
        assert (found.overhead, found.not_compared, found.paid) == ({"draft": 19}, 30, 114)
        assert falls(found) == 114
        assert (found.calls, found.compared, found.unpriced) == (9, 6, 1)
        assert waterfall(place, where={"session": "s"}).paid == 0
        assert waterfall(place, since=datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=1)).calls == 0

    def test_nothing_is_no_saving(self, store: Store) -> None:
        found = waterfall(store([]))
        assert (found.full_baseline, found.paid, found.saved_usd, found.saved_share) == (0, 0, None, None)
