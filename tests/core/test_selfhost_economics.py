"""When a server of one's own pays: exact sums that a reader can redo, and "never" where it never does."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tuppence import token_rate
from tuppence.cli import app
from tuppence.errors import ConfigError
from tuppence.prices.spelling import dollars
from tuppence.selfhost import SelfHostError
from tuppence.selfhost.economics import (
    MONTH_HOURS,
    Load,
    Replica,
    Running,
    break_even,
    by_token,
    capacity,
    owned,
    payback,
    rented,
    swings,
)

money = st.fractions(min_value="0.0001", max_value=100_000, max_denominator=10_000)
parts = st.fractions(min_value=0, max_value=1, max_denominator=100)
LOAD = Load.of(requests_per_month=100_000, peak_per_s=2, input_tokens=1000, output_tokens=200)


def test_a_gpu_of_two_thousand_dollars_pays_from_eighty_thousand_requests_at_two_and_a_half_cents() -> None:
    found = break_even(2000, "0.025")
    assert found.requests == 80_000
    assert found.step is not None
    assert found.step.formula == "$2,000.00 / $0.025 = 80,000"


def test_escalations_and_judging_put_the_break_even_further_off() -> None:
    """2,000 / (0.025 - 10% x 0.025 - 0.0025) = 2,000 / 0.02."""
    running = Running.of(escalated="0.1", escalated_usd="0.025", judge_usd="0.0025")
    assert break_even(2000, "0.025", running).requests == 100_000


def test_where_each_request_spares_nothing_no_volume_pays() -> None:
    found = break_even(2000, "0.001", Running.of(judge_usd="0.001"))
    assert found.requests is None
    assert found.why == "no volume pays: each request spares $0.001 - $0.001 = $0.00"


@given(fixed=money, price=money, escalated=parts, judge=money)
def test_at_the_break_even_both_ways_cost_the_same(
    fixed: Fraction, price: Fraction, escalated: Fraction, judge: Fraction
) -> None:
    running = Running.of(escalated=escalated, escalated_usd=price, judge_usd=judge)
    found = break_even(fixed, price, running)
    assume(found.requests is not None)
    assert found.requests is not None
    assert found.requests * price == fixed + found.requests * running.per_request
    assert found.whole_requests is not None
    assert 0 <= found.whole_requests - found.requests < 1


@given(fixed=money, price=money, more=money)
def test_dearer_machines_pay_later_and_a_dearer_provider_sooner(
    fixed: Fraction, price: Fraction, more: Fraction
) -> None:
    now = break_even(fixed, price).requests
    later, sooner = break_even(fixed + more, price).requests, break_even(fixed, price + more).requests
    assert now is not None
    assert later is not None
    assert sooner is not None
    assert sooner < now < later


def test_replicas_are_the_work_at_the_peak_over_what_each_may_carry() -> None:
    """2/s x (1000/5000 + 200/500) s = 1.2 replicas' worth of work; at .7 each that takes two."""
    found = capacity(LOAD, Replica.of(prefill_per_s=5000, decode_per_s=500, utilisation="0.7"))
    assert found.replicas == 2
    assert found.formula == "ceil(2/s x (1,000 / 5,000 + 200 / 500) s / 70%)"
    assert found.most_per_s == Fraction(2) * Fraction("0.7") / Fraction("0.6")


@given(
    peak=st.fractions(min_value=0, max_value=100, max_denominator=50),
    use=st.fractions(min_value="0.05", max_value=1, max_denominator=100),
)
def test_the_replicas_carry_the_peak_and_one_less_would_not(peak: Fraction, use: Fraction) -> None:
    load = Load.of(requests_per_month=1, peak_per_s=peak, input_tokens=700, output_tokens=90)
    found = capacity(load, Replica.of(prefill_per_s=900, decode_per_s=300, utilisation=use))
    assert found.most_per_s >= peak
    assert found.replicas == 1 or (found.replicas - 1) * use / found.work_s < peak


def test_each_way_is_spelt_out_so_that_it_can_be_redone() -> None:
    api = by_token("premium", token_rate(input="2.50", output="10"), LOAD)
    assert api.request_usd == Fraction("0.0045")
    gpu = rented("rented", replicas=2, gpus=1, gpu_hour_usd="2.50", ops_usd=500)
    assert gpu.fixed_usd == 2 * MONTH_HOURS * Fraction("2.5") + 500
    assert [step.formula for step in gpu.at(Fraction(100_000))] == [
        "2 x 1 GPU x 730.5 h x $2.50",
        "given",
        "$4,152.50",
    ]
    bought = owned("own", replicas=1, machine_usd=36_000, life_months=36, kilowatts=1, kwh_usd="0.20", hosting_usd=100)
    assert bought.fixed_usd == 1000 + MONTH_HOURS / 5 + 100
    assert sum(step.usd for step in bought.steps) == bought.fixed_usd


def test_training_has_paid_back_when_the_cheaper_months_have_made_up_for_it() -> None:
    assert payback(3000, 1500, 500).months == 3
    assert payback(3000, 500, 500).months is None


def test_the_widest_swing_comes_first_and_one_into_never_before_all() -> None:
    found = swings(Fraction(2000), Fraction("0.025"), Running.of(judge_usd="0.020"))
    assert [(one.name, one.low is None, one.high is None) for one in found] == [
        ("price of a request", True, False),
        ("judging a request", False, True),
        ("fixed cost a month", False, False),
    ]


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"prefill_per_s": 0, "decode_per_s": 5, "utilisation": 1}, "none may be 0"),
        ({"prefill_per_s": 5, "decode_per_s": 5, "utilisation": 70}, "from 0 to 1"),
        ({"prefill_per_s": "fast", "decode_per_s": 5, "utilisation": 1}, "give a number"),
    ],
)
def test_what_is_no_machine_is_refused_with_the_fix(given_: dict[str, object], said: str) -> None:
    with pytest.raises((SelfHostError, ConfigError), match=said):
        Replica.of(**given_)  # type: ignore[arg-type]


ASKED = [
    "selfhost", "plan", "--requests-per-day", "8000", "--input-tokens", "1000", "--output-tokens", "200",
    "--peak-per-s", "1", "--against", "0.025", "--prefill-per-s", "5000", "--decode-per-s", "500", "--gpu-hour", "2.50",
]  # fmt: skip


def test_the_command_says_what_pays_and_shows_every_sum() -> None:
    ran = CliRunner().invoke(app, [*ASKED, "--format", "json", "--once", "10000", "--escalated", "10"])
    assert ran.exit_code == 1  # ten is no part of a whole
    ran = CliRunner().invoke(app, [*ASKED, "--format", "json", "--once", "10000", "--escalated", "0.1"])
    found = json.loads(ran.stdout)
    fixed = MONTH_HOURS * Fraction("2.5")
    assert found["break_even_requests"] == -(-fixed // Fraction("0.0225"))
    now, own = (Fraction(one["usd_per_month"]) for one in found["options"])
    assert found["payback_months"] == pytest.approx(float(10_000 / (now - own)))
    shown = CliRunner().invoke(app, [*ASKED, "--once", "10000"], env={"COLUMNS": "160"}).stdout
    assert dollars(fixed) in shown
    assert "it pays from 73,050 requests a month on" in shown


def test_the_picture_is_drawn_as_png_or_svg(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    more = ["--machine", "36000", "--kilowatts", "1", "--kwh", "0.2", "--escalated", "0.1", "--judge", "0.001"]
    for name in ("plan.svg", "plan.png"):
        ran = CliRunner().invoke(app, [*ASKED, *more, "--picture", str(tmp_path / name)])
        assert ran.exit_code == 0, ran.output
    svg = (tmp_path / "plan.svg").read_text(encoding="utf-8")
    assert all(word in svg for word in ("rented GPUs", "own machines", "price of a request"))
    refused = CliRunner().invoke(app, [*ASKED, "--picture", str(tmp_path / "plan.gif")])
    assert refused.exit_code == 1


def test_an_estimate_says_from_where_on_own_machines_pay() -> None:
    asked = ["estimate", "--requests-per-day", "1000", "--price", "0.025", "--self-host", "2000"]
    shown = CliRunner().invoke(app, asked, env={"COLUMNS": "160"}).stdout
    assert "own machines: it pays from 80,000 requests a month on, $2,000.00 / $0.025 = 80,000" in shown
