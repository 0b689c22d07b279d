"""What prefix caches really gave, from billed usage."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from tuppence.cache.prefix import Realised, realised
from tuppence.prices import PriceBook, Rate, token_rate
from tuppence.usage import Usage

RATE = token_rate(input="10", output="20", cache_read="1", cache_write_5m="12.5", cache_write_1h="20")


class Call(NamedTuple):
    model: str
    usage: Usage


def priced(_call: Call) -> Rate:
    return RATE


def test_reads_save_and_writes_cost() -> None:
    """A million tokens written for five minutes cost $2.5 more than input; read three times they save $27."""
    calls = [Call("a", Usage(cache_write_5m=1_000_000)), *[Call("a", Usage(cache_read=1_000_000))] * 3]
    found = realised(calls, priced)["a"]
    assert found.cached_share == Fraction(3, 4)
    assert (found.reads_saved_pico, found.writes_cost_pico) == (27 * 10**12, 25 * 10**11)
    assert found.saved_usd == Decimal("24.5")


def test_caching_that_did_not_pay_shows_below_zero() -> None:
    """Written for an hour and never read."""
    assert realised([Call("a", Usage(cache_write_1h=1_000_000))], priced)["a"].saved_usd == Decimal(-10)


def test_models_are_told_apart_and_add_up() -> None:
    """A call that used no cache counts for the share alone."""
    found = realised([Call("a", Usage(cache_read=100)), Call("b", Usage(input=300, output=5))], priced)
    assert found["b"] == Realised(calls=1, input_tokens=300)
    assert sum(found.values(), Realised()).cached_share == Fraction(1, 4)


def test_a_call_without_a_price_is_counted_not_priced_at_zero() -> None:
    """Its tokens are in the share; its money is missing, and that is said."""
    found = realised([Call("a", Usage(cache_read=100))], lambda _call: None)["a"]
    assert (found.unpriced, found.read_tokens, found.saved_usd) == (1, 100, 0)


def test_a_write_that_has_no_price_leaves_its_call_unpriced() -> None:
    """The rate knows no price for an hour's write."""
    rate = token_rate(input="10", output="20", cache_read="1")
    found = realised([Call("a", Usage(cache_write_1h=100)), Call("a", Usage(cache_read=1_000_000))], lambda _call: rate)
    assert (found["a"].unpriced, found["a"].saved_usd) == (1, Decimal(9))


def test_long_context_prices_hold_for_the_whole_call() -> None:
    """Above the step a read saves the difference of the higher prices."""
    rate = PriceBook.default().rate("claude-sonnet-4-5", provider="anthropic", at=1_795_000_000)
    assert rate is not None
    usage = Usage(input=100_000, cache_read=200_000)
    found = realised([Call("a", usage)], lambda _call: rate)["a"]
    plain, real = rate.cost(Usage(input=300_000)), rate.cost(usage)
    assert plain is not None and real is not None
    assert found.reads_saved_pico == plain - real == 200_000 * 5_400_000
