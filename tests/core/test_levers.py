"""What an answer was spared by pruning, by shorter output, by a discounted lane, by machines of one's own; and against
what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.attempts import Attempt, Levers, Result, Verdict
from tuppence.drivers import run
from tuppence.effects import Shaped
from tuppence.errors import ConfigError
from tuppence.flow import plan
from tuppence.levers import levers
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.prices import PriceBook, gpu_hour_rate, token_rate
from tuppence.request import NO_EDITS, Message, Reply, Request
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier
from tuppence.usage import Usage

SMALL_RATE, LARGE_RATE = token_rate(input="0.15", output="0.60"), token_rate(input="2.50", output="10")
SMALL, LARGE = Tier("small", model="s", rate=SMALL_RATE), Tier("large", model="l", rate=LARGE_RATE)
MICRO = 10**6
"""Pico-dollars in a millionth of a dollar."""
USED = Usage(input=1_000, output=200)


def answer_of(tier: Tier, usage: Usage = USED, **options: Any) -> tuple[Result, Attempt]:
    """Make one call that `tier` alone answers."""
    defaults: dict[str, Any] = {"tiers": (tier, LARGE) if tier is not LARGE else (LARGE,), "check": None}
    policy = Policy(**{**defaults, **options})
    models = ScriptedModels(**{tier.name: lambda _ask: Reply("yes", finish="stop", usage=usage, latency_ms=36_000)})
    request = Request((Message("user", "?"),), received_at=1_795_000_000.0)
    result = run(plan(request, policy), Port(models))
    return result, result.attempts[-1]


def test_an_ordinary_answer_has_none() -> None:
    _, answer = answer_of(SMALL)
    assert answer.levers is None
    assert answer.baseline_pico == 4_500 * MICRO


def test_pruned_tokens_are_worth_the_baseline_s_price_for_input() -> None:
    def shorter(_request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
        return Shaped(NO_EDITS, "", 3_000)

    _, answer = answer_of(SMALL, shape=(shorter,))
    assert answer.levers == Levers(prune=7_500 * MICRO)
    assert answer.baseline_pico == 4_500 * MICRO


def test_a_batch_lane_is_worth_what_an_answer_at_once_would_have_cost_more() -> None:
    rate = PriceBook.default().rate("gpt-4o")
    tier = Tier("large", model="gpt-4o", rate=rate)
    _, answer = answer_of(tier, Usage(input=1_000, output=200, processing="batch"), tiers=(tier,))
    assert answer.pico_usd == 2_250 * MICRO
    assert answer.levers == Levers(batch=2_250 * MICRO)
    assert answer.baseline_pico == 4_500 * MICRO  # the baseline answers at once, also where it is the same tier


def test_a_discounted_lane_is_never_lent_to_the_baseline() -> None:
    book = PriceBook.default()
    small, large = (Tier(name, model=name, rate=book.rate(name)) for name in ("gpt-4o-mini", "gpt-4o"))
    _, answer = answer_of(small, Usage(input=1_000, output=200, processing="batch"), tiers=(small, large))
    assert answer.baseline_pico == 4_500 * MICRO
    assert answer.levers == Levers(batch=135 * MICRO)


def test_own_machines_are_worth_what_a_provider_takes_for_the_same_model() -> None:
    own = Tier("own", model="o", rate=gpu_hour_rate("0.001"), reference=SMALL_RATE, self_hosted=True)
    _, answer = answer_of(own)
    paid = answer.pico_usd
    assert paid is not None
    assert answer.levers == Levers(self_host=270 * MICRO - paid)


def test_machines_that_cost_more_than_a_provider_show_a_loss() -> None:
    idle = Tier("own", model="o", rate=gpu_hour_rate("9999"), reference=SMALL_RATE, timeout_s=5)
    models = ScriptedModels(own=lambda _ask: Reply("yes", finish="stop", usage=USED))
    request = Request((Message("user", "?"),), received_at=1.0)

    class Slow(Port):
        def elapsed_ms(self) -> float:
            return 4_000.0

    result = run(plan(request, Policy(tiers=(idle,), check=None)), Slow(models))
    spared = result.attempts[-1].levers
    assert spared is not None
    assert spared.self_host < 0


def test_the_declared_baseline_is_what_calls_are_compared_with() -> None:
    before = Tier("before", model="b", rate=token_rate(input="10", output="30"))
    result, answer = answer_of(SMALL, judges=(before,), baseline="before")
    assert answer.baseline_pico == (10_000 + 6_000) * MICRO
    assert result.decision.baseline == "before"


def test_a_baseline_that_is_no_tier_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"baseline is 'gone', but the tiers are \['small'\].*to judges"):
        Policy(tiers=(SMALL,), baseline="gone")


AMOUNT = st.integers(0, 10**6)


@given(AMOUNT, AMOUNT, AMOUNT, AMOUNT)
def test_the_steps_from_the_full_baseline_to_what_was_paid_add_up(
    sent: int, said: int, pruned: int, spared: int
) -> None:
    """Each step is a difference of two prices that the next one begins with."""
    rate = PriceBook.default().rate("gpt-4o")
    assert rate is not None
    usage = Usage(input=sent, output=said, processing="batch")
    paid = rate.cost(usage)
    assert paid is not None
    found = levers(usage, paid, rate, LARGE_RATE, reference=None, pruned=pruned, spared=spared)
    standard = rate.cost(Usage(input=sent, output=said))
    assert standard is not None
    assert paid + found.batch + found.self_host == standard
    assert found.prune == (LARGE_RATE.cost(Usage(input=pruned)) or 0)
    longer = rate.cost(Usage(input=sent, output=said + spared))
    assert standard + found.output == longer


def test_a_check_that_rejects_leaves_the_levers_to_the_answer() -> None:
    def shorter(_request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
        return Shaped(NO_EDITS, "", 1_000)

    policy = Policy(
        tiers=(SMALL, LARGE), check=lambda _request, reply: Verdict(float(reply.tier == "large"), ""), shape=(shorter,)
    )
    models = ScriptedModels(small="no", large=lambda _ask: Reply("yes", finish="stop", usage=USED))
    result = run(plan(Request((Message("user", "?"),), received_at=1.0), policy), Port(models))
    draft, answer = result.attempts
    assert draft.levers is None
    assert answer.levers == Levers(prune=2_500 * MICRO)
