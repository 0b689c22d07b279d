"""The calculator: sums that a reader can redo, exact to the last digit, and never a price that nobody gave."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence import PriceBook, Result, SqliteLedger, Usage, token_rate
from tuppence.attempts import Attempt, Decision, new_call_id
from tuppence.errors import ConfigError, LedgerError, PriceError
from tuppence.estimate import Leg, estimate, flat_leg, priced_leg, recorded, repriced_leg
from tuppence.prices.spelling import count, dollars, percent

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
GPT_4O = token_rate(input="2.50", output="10")
NAMES = ("small", "medium", "large")


def legs_of(prices: list[str], shares: list[str]) -> list[Leg]:
    return [flat_leg(n, p, share=s) for n, p, s in zip(NAMES, prices, shares, strict=False)]


def test_a_million_requests_a_day_at_a_cent_are_three_hundred_thousand_dollars_a_month() -> None:
    """$10,000 is one day: a month has thirty of them."""
    found = estimate([flat_leg("model", "0.01")], requests_per_day=1_000_000)
    assert (found.per_day_usd, found.per_month_usd) == (Decimal(10_000), Decimal(300_000))


def test_a_shorter_prompt_saves_its_tokens_times_the_price() -> None:
    """1,235 tokens less, 50,000 times a day, at $2.50 a million."""
    per_day = [
        estimate([priced_leg("gpt-4o", GPT_4O, Usage(input=tokens))], requests_per_day=50_000).per_day_usd
        for tokens in (1847, 612)
    ]
    assert per_day[0] - per_day[1] == Decimal("154.375")


MIXES = [
    # prices, shares, cascade, dollars a request
    (["0.001", "0.01"], ["0.8", "0.2"], False, "0.0028"),
    (["0.001", "0.01"], ["0.8", "0.2"], True, "0.003"),
    (["0.001", "0.01", "0.1"], ["0.05", "0.35", "0.60"], False, "0.06355"),
    (["0.001", "0.01", "0.1"], ["0.05", "0.35", "0.60"], True, "0.0705"),
]


@pytest.mark.parametrize(("prices", "shares", "cascade", "per_request"), MIXES)
def test_a_mix_pays_each_share_and_a_cascade_every_step_below_too(
    prices: list[str], shares: list[str], cascade: bool, per_request: str
) -> None:
    """An escalated request has paid the cheap call as well: forgetting that is how cascades are oversold."""
    found = estimate(legs_of(prices, shares), requests_per_day=1, cascade=cascade)
    assert found.per_request_usd == Decimal(per_request)


def test_a_cascade_that_escalates_too_much_shows_its_loss() -> None:
    """Where the cheap call is seldom enough, the plan costs more than the strong model alone, and says so."""
    found = estimate(legs_of(["0.006", "0.01"], ["0.5", "0.5"]), requests_per_day=100, cascade=True)
    assert found.saved_per_month_usd == Decimal("-3.00")


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=3),
    st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any),
    st.integers(0, 10**7),
)
def test_a_cascade_never_costs_less_than_routing_and_both_add_up(
    prices: list[int], weights: list[int], requests: int
) -> None:
    """The difference is exactly what escalated requests paid below, and a month is thirty of its days."""
    weights = weights[: len(prices)]
    whole = sum(weights)
    if not whole:
        return
    legs = [
        flat_leg(name, Fraction(price, 10**12), share=Fraction(weight, whole))
        for name, price, weight in zip(NAMES, prices, weights, strict=False)
    ]
    routed = estimate(legs, requests_per_day=requests)
    climbed = estimate(legs, requests_per_day=requests, cascade=True)
    below = sum(leg.share * sum(one.usd for one in legs[:i]) for i, leg in enumerate(legs))
    assert climbed.per_request - routed.per_request == below >= 0
    assert climbed.per_month == 30 * climbed.per_day == 30 * requests * climbed.per_request


@pytest.mark.parametrize(("hits", "per_day"), [("0", "100"), ("0.3", "70"), ("1", "0")])
def test_what_the_cache_answers_costs_nothing(hits: str, per_day: str) -> None:
    """The hit rate takes its part off, and the baseline has no cache."""
    found = estimate([flat_leg("model", "0.1")], requests_per_day=1000, cache_hit_rate=hits)
    assert found.per_day_usd == Decimal(per_day)
    assert found.baseline_per_month_usd == Decimal(3000)


def test_a_batch_is_priced_by_the_models_own_batch_prices() -> None:
    """Not by half: this model gives a tenth off."""
    prices = {"m": {"input": "1.00", "output": "2.00", "batch": {"input": "0.90", "output": "1.80"}}}
    rate = PriceBook().with_overrides(prices).rate("m")
    assert rate is not None
    leg = priced_leg("m", rate, Usage(input=1_000_000), batch_share="0.5")
    assert (leg.standard_usd, leg.usd) == (Fraction(1), Fraction(95, 100))


def test_a_model_without_batch_prices_gets_no_batch_estimate() -> None:
    """A discount that is not on the list is not invented."""
    with pytest.raises(PriceError, match="no list price for 'batch' processing"):
        priced_leg("gpt-4o", GPT_4O, Usage(input=1), batch_share="0.5")


def test_every_step_shows_the_sum_that_makes_it() -> None:
    """A reader can redo the whole estimate by hand."""
    small = priced_leg("small", token_rate(input="0.15", output="0.60"), Usage(input=1000, output=300), share="0.8")
    large = priced_leg("large", GPT_4O, Usage(input=1000, output=300), share="0.2")
    found = estimate([small, large], requests_per_day=50_000, cascade=True, cache_hit_rate="0.3")
    assert [f"{step.label}: {step.formula} = {dollars(step.usd)}" for step in found.steps] == [
        "a request on small: 1,000 input x $0.15/1M + 300 output x $0.60/1M = $0.00033",
        "a request on large: 1,000 input x $2.50/1M + 300 output x $10.00/1M = $0.0055",
        "a request, on average: 80% x $0.00033 + 20% x ($0.00033 + $0.0055) = $0.00143",
        "with 30% from the cache: (100% - 30%) x $0.00143 = $0.001001",
        "a day: 50,000 x $0.001001 = $50.05",
        "a month of 30 days: 30 x $50.05 = $1,501.50",
        "all on large, a month: 30 x 50,000 x $0.0055 = $8,250.00",
        "saved a month: $8,250.00 - $1,501.50 = $6,748.50",
    ]


@pytest.mark.parametrize(
    ("shares", "said"),
    [(["0.8", "0.1"], "add up to 90%"), (["0.8", "0.3"], "add up to 110%"), (["1.2", "0"], "a part of the whole")],
)
def test_shares_that_are_not_a_whole_are_refused(shares: list[str], said: str) -> None:
    """A mix that leaves requests out, or counts some twice, has no cost."""
    with pytest.raises(ConfigError, match=said):
        estimate(legs_of(["0.1", "0.2"], shares), requests_per_day=1)


@pytest.mark.parametrize("requests", [-1, "many", "nan"])
def test_a_volume_that_is_none_is_refused(requests: int | str) -> None:
    """The value is named."""
    with pytest.raises(ConfigError, match=f"requests_per_day is .*{requests}"):
        estimate([flat_leg("m", "1")], requests_per_day=requests)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0.00"), ("154.375", "$154.375"), ("300000", "$300,000.00"), ("-0.4", "-$0.40"), ("1/3", "~$0.333333"),
     ("1/3000000", "~$0.000000333333"), ("0.000000000001", "$0.000000000001")],
)  # fmt: skip
def test_dollars_are_spelt_with_every_digit_or_marked(amount: str, text: str) -> None:
    """What was rounded carries a sign that it was."""
    assert dollars(Fraction(amount)) == text


def test_counts_and_parts_are_spelt_exactly_where_they_can_be() -> None:
    """Seven days do not divide two thousand calls."""
    assert [count(Fraction(n)) for n in ("50000", "12.5", "2000/7")] == ["50,000", "12.5", "2,000/7"]
    assert [percent(Fraction(n)) for n in ("0.8", "1/8", "1/3")] == ["80%", "12.5%", "~33.33%"]


# -- from the ledger


def attempt(cause: str, outcome: str, usage: Usage, at: datetime, *, pico_usd: int = 5) -> Attempt:
    return Attempt(
        "t", "m", cause, outcome, usage, pico_usd, "exact", "v", at.timestamp(), 1.0,  # type: ignore[arg-type]
    )  # fmt: skip


def write(path: Path, *calls: list[Attempt]) -> None:
    ledger = SqliteLedger(path)
    for attempts in calls:
        ledger.write(Result(new_call_id(), None, attempts, Decision("optimise"), {}))
    ledger.close()


def test_recorded_traffic_is_what_was_asked_and_not_what_the_policy_made_of_it(tmp_path: Path) -> None:
    """Drafts and judges are overhead of the policy then, and no part of the traffic; hits are requests too."""
    used = Usage(input=100, output=10)
    yesterday = NOON - timedelta(days=1)
    write(
        tmp_path / "l.sqlite",
        [attempt("draft", "rejected", used, yesterday), attempt("judge", "consulted", Usage(input=900), yesterday),
         attempt("escalation", "accepted", used, yesterday)],
        [attempt("draft", "accepted", Usage(input=200, cache_read=50), yesterday)],
        [attempt("hit", "hit", Usage(), yesterday, pico_usd=0)],
        [attempt("draft", "accepted", used, NOON - timedelta(days=30))],
    )  # fmt: skip
    found = recorded(tmp_path / "l.sqlite", days=7, until=NOON)
    assert found.answered == {used: 1, Usage(input=200, cache_read=50): 1}
    assert (found.requests_per_day, found.hit_rate, found.paid_pico) == (Fraction(3, 7), Fraction(1, 3), 20)


def test_recorded_calls_are_priced_one_by_one_because_prices_have_steps(tmp_path: Path) -> None:
    """One call above a long-context step costs more than its share of an average does."""
    calls = [[attempt("draft", "accepted", Usage(input=n), NOON)] for n in (100_000, 300_000)]
    write(tmp_path / "l.sqlite", *calls)
    traffic = recorded(tmp_path / "l.sqlite", days=1, until=NOON + timedelta(hours=1))
    rate = PriceBook.default().rate("claude-sonnet-4-5", provider="anthropic")
    assert rate is not None
    leg = repriced_leg("sonnet", rate, traffic)
    # $3 a million up to 200,000 input tokens, $6 above.
    assert leg.usd == (Fraction("0.3") + Fraction("1.8")) / 2


def test_calls_with_images_are_left_out_and_counted(tmp_path: Path) -> None:
    """A ledger row knows how many media tokens there were, and not of which kind."""
    pictured = Usage(input=10, media=(("image_input", 500),))
    write(tmp_path / "l.sqlite", *([attempt("draft", "accepted", u, NOON)] for u in (pictured, Usage(input=10))))
    found = recorded(tmp_path / "l.sqlite", days=1, until=NOON + timedelta(hours=1))
    assert (found.calls, found.left_out) == (1, 1)


def test_a_ledger_without_answers_gives_no_estimate(tmp_path: Path) -> None:
    """Nothing to price is said, and is not free of charge."""
    write(tmp_path / "l.sqlite", [attempt("draft", "failed", Usage(), NOON)])
    with pytest.raises(LedgerError, match="no answered calls in the last 7 days"):
        recorded(tmp_path / "l.sqlite", days=7, until=NOON + timedelta(hours=1))
