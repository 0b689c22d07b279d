"""What prefix caches really gave: priced call by call as it was billed, and added up from the ledger."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tuppence.attempts import Attempt, Decision, Result
from tuppence.prices import CacheMoney, PriceBook, Rate, cache_money, token_rate
from tuppence.spend import PrefixLine, Report, SqliteLedger, as_json, as_table, report
from tuppence.usage import Usage

RATE = token_rate(input="10", output="20", cache_read="1", cache_write_5m="12.5", cache_write_1h="20")
MILLION = 1_000_000
LONG_AGO = 1_780_000_000.0

Reported = Callable[..., Report]


def attempt(at: float, usage: Usage, *, tier: str = "large", rate: Rate | None = RATE, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {
        "tier": tier, "model": f"{tier}-1", "cause": "draft", "outcome": "accepted", "usage": usage,
        "pico_usd": None if rate is None else rate.cost(usage), "status": "exact", "price_version": "v",
        "started_at": LONG_AGO + at, "latency_ms": 1000.0, "prefix": cache_money(usage, rate),
    }  # fmt: skip
    return Attempt(**(fields | changes))


def read(tokens: int) -> Usage:
    return Usage(input=100, cache_read=tokens)


def wrote(tokens: int, *, after: int = 0) -> Usage:
    return Usage(input=100, cache_read=after, cache_write_5m=tokens)


@pytest.fixture
def reported(tmp_path: Path) -> Reported:
    """Write attempts, each a call of its own, into a ledger and report on it."""

    def reported(*attempts: Attempt | tuple[Attempt, dict[str, str]], **limits: Any) -> Report:
        path = tmp_path / "ledger.sqlite"
        ledger = SqliteLedger(path)
        for number, one in enumerate(attempts):
            made, tags = one if isinstance(one, tuple) else (one, {})
            ledger.write(Result(f"c{number}", None, [made], Decision("optimise"), tags))
        ledger.close()
        return report(path, **limits)

    return reported


# -- one call


def test_reads_save_and_writes_cost() -> None:
    """A million tokens written for five minutes cost $2.5 more than input; read they save $9."""
    assert cache_money(Usage(cache_write_5m=MILLION), RATE) == CacheMoney(0, 25 * 10**11)
    assert cache_money(Usage(cache_read=MILLION), RATE) == CacheMoney(9 * 10**12, 0)
    assert cache_money(Usage(cache_write_1h=MILLION), RATE) == CacheMoney(0, 10 * 10**12)


def test_what_has_no_price_has_no_saving() -> None:
    """None, not zero: no rate, no price for an hour's write, and nothing cached at all."""
    assert cache_money(Usage(cache_read=100), None) is None
    assert cache_money(Usage(cache_write_1h=100), token_rate(input="10", output="20", cache_read="1")) is None
    assert cache_money(Usage(input=100), RATE) is None


def test_long_context_prices_hold_for_the_whole_call() -> None:
    """Above the step a read saves the difference of the higher prices."""
    rate = PriceBook.default().rate("claude-sonnet-4-5", provider="anthropic", at=1_795_000_000)
    assert rate is not None
    usage = Usage(input=100_000, cache_read=200_000)
    plain, real = rate.cost(Usage(input=300_000)), rate.cost(usage)
    assert plain is not None and real is not None
    assert cache_money(usage, rate) == CacheMoney(plain - real, 0) == CacheMoney(200_000 * 5_400_000, 0)


# -- the report


def test_a_tiers_share_and_its_money(reported: Reported) -> None:
    """Written once and read three times; a tier that uses no cache stands beside it with a share of 0."""
    reads = [attempt(10 + n, read(MILLION)) for n in range(3)]
    made = reported(attempt(0, wrote(MILLION)), *reads, attempt(5, Usage(input=300, output=5), tier="small"))
    large, small = made.prefix
    assert small == PrefixLine("small", input_tokens=300)
    assert large.cached_share == Fraction(3 * MILLION, 4 * MILLION + 400)
    assert (large.written_tokens, large.saved_usd, large.unread_usd) == (MILLION, Decimal("24.5"), 0)


def test_a_write_that_nobody_read_is_lost(reported: Reported) -> None:
    """Nothing is read of it in half an hour, or only what had been there before it."""
    made = reported(
        attempt(0, wrote(MILLION)),
        attempt(1801.1, read(MILLION)),
        attempt(4000, wrote(MILLION, after=500)),
        attempt(4010, read(500)),
    )
    assert made.prefix[0].unread_usd == Decimal(5)


def test_a_write_for_an_hour_has_an_hour(reported: Reported) -> None:
    """It was read after fifty minutes."""
    made = reported(attempt(0, Usage(cache_write_1h=MILLION)), attempt(3000, read(MILLION)))
    assert made.prefix[0].unread_usd == 0


def test_a_write_that_can_still_be_read_is_not_lost(reported: Reported) -> None:
    """It was made a moment ago."""
    assert reported(attempt(time.time() - LONG_AGO - 5, wrote(MILLION))).prefix[0].unread_usd == 0


def test_tenants_and_models_read_only_their_own(reported: Reported) -> None:
    """A read of another tenant's, or another model's, does not make a write worth its price."""
    made = reported(
        (attempt(0, wrote(MILLION)), {"tenant": "a"}),
        (attempt(10, read(MILLION)), {"tenant": "b"}),
        (attempt(20, read(MILLION), tier="other"), {"tenant": "a"}),
    )
    assert {line.tier: line.unread_usd for line in made.prefix} == {"large": Decimal("2.5"), "other": 0}


def test_a_read_outside_the_selection_still_saves_a_write(reported: Reported) -> None:
    """A report on one user: somebody else's call read what his had written. It is asked the other way round too."""
    calls = (attempt(0, wrote(MILLION)), {"user": "ann"}), (attempt(10, read(MILLION)), {"user": "bob"})
    ann = reported(*calls, where={"user": "ann"}).prefix[0]
    bob = reported(where={"user": "bob"}).prefix[0]
    assert (ann.unread_usd, ann.saved_usd, ann.read_tokens) == (0, Decimal("-2.5"), 0)
    assert (bob.unread_usd, bob.saved_usd, bob.read_tokens) == (0, Decimal(9), MILLION)


def test_a_call_without_a_price_is_counted_not_priced_at_zero(reported: Reported) -> None:
    """Its tokens are in the share; its money is missing, and that is said."""
    (line,) = reported(attempt(0, read(900), rate=None)).prefix
    assert (line.unpriced, line.read_tokens, line.saved_usd) == (1, 900, 0)


def test_without_a_cache_there_is_no_section(reported: Reported) -> None:
    """Nothing to say, and nothing said."""
    made = reported(attempt(0, Usage(input=100)))
    assert made.prefix == () and json.loads(as_json(made))["prompt_cache"] == []
    assert "prompt cache" not in shown(made)


def test_the_section_is_shown_and_spelt(reported: Reported) -> None:
    """Within 100 columns, with the total of several tiers; in JSON with every digit."""
    made = reported(
        attempt(0, wrote(MILLION)), attempt(9, read(MILLION)), attempt(9, read(1), tier="a tier of a long name" * 9)
    )
    text = shown(made)
    assert "75.0%" not in text and "50.0% of the input was read" in text and max(map(len, text.splitlines())) <= 100
    (long, large) = json.loads(as_json(made))["prompt_cache"]
    assert (large["saved_usd"], large["unread_usd"], large["written_tokens"]) == (
        "6.500000000000",
        "0.000000000000",
        MILLION,
    )
    assert long["saved_usd"] == "0.000009000000"


def shown(made: Report) -> str:
    console = Console(width=100, file=io.StringIO(), color_system=None)
    console.print(as_table(made))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]
