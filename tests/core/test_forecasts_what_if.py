"""What a month would come to otherwise: every figure against sums worked out from the price list by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from tuppence.attempts import Attempt, Decision, Result
from tuppence.errors import ConfigError, LedgerError
from tuppence.prices import PriceBook
from tuppence.spend import SqliteLedger
from tuppence.spend.forecasts import what_if
from tuppence.usage import Usage

FIRST = datetime(2026, 6, 1, tzinfo=UTC)
NOW = FIRST + timedelta(days=14)
SHORT, LONG = Usage(input=1000, output=100), Usage(input=1000, cache_read=1000, output=300)
MODELS = {"small": "gpt-4o-mini", "large": "gpt-4o"}


def price(tier: str, usage: Usage) -> int:
    """By the list: gpt-4o-mini at 0.15, 0.075 and 0.60 dollars a million, gpt-4o at 2.50, 1.25 and 10."""
    prices = {"small": (150_000, 75_000, 600_000), "large": (2_500_000, 1_250_000, 10_000_000)}[tier]
    return sum(
        tokens * pico for tokens, pico in zip((usage.input, usage.cache_read, usage.output), prices, strict=True)
    )


def attempt(tier: str, moment: datetime, usage: Usage, outcome: str = "accepted", cause: str = "draft") -> Attempt:
    return Attempt(
        tier, MODELS[tier], cause, outcome, usage, price(tier, usage), "exact", "v", moment.timestamp(), 5.0,  # type: ignore[arg-type]
    )  # fmt: skip


def hit(moment: datetime) -> Attempt:
    return Attempt("cache", "gpt-4o", "hit", "hit", Usage(), 0, "exact", "", moment.timestamp(), 0.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Fourteen days, each with a short call on small, a long one that climbs to large, and two hits."""
    file = tmp_path / "ledger.sqlite"
    writer = SqliteLedger(file)
    for day in range(14):
        moment = FIRST + timedelta(days=day, hours=9)
        calls = [
            [attempt("small", moment, SHORT)],
            [attempt("small", moment, LONG, "rejected"), attempt("large", moment, LONG, cause="escalation")],
            [hit(moment)],
            [hit(moment)],
        ]
        for number, attempts in enumerate(calls):
            writer.write(Result(f"{day}-{number}", None, attempts, Decision("optimise"), {}))
    writer.close()
    return file


PAID = price("small", SHORT) + price("small", LONG) + price("large", LONG)


def test_changing_nothing_changes_nothing(ledger: Path) -> None:
    """The forecast itself."""
    found = what_if(ledger, at=NOW)
    assert (found.factor, found.expected, found.likely) == (1, found.as_is.expected, found.as_is.likely)


@pytest.mark.parametrize("small", [Fraction(0), Fraction(1, 3), Fraction(1)])
def test_another_mix_prices_every_answer_anew(ledger: Path, small: Fraction) -> None:
    """No draft is left to pay for; each call costs what its own tokens cost on each tier."""
    found = what_if(ledger, at=NOW, tiers={"small": small, "large": 1 - small})
    answers = sum(
        share * (price(tier, SHORT) + price(tier, LONG)) for tier, share in (("small", small), ("large", 1 - small))
    )
    assert found.factor == Fraction(answers) / PAID
    rest = (found.as_is.expected or 0) - found.as_is.spent
    assert found.expected == found.as_is.spent + round(rest * found.factor)
    assert found.as_is.spent == 14 * PAID


def test_the_hit_rate_moves_what_models_answer(ledger: Path) -> None:
    """Half of the calls are hits; with none, twice as many reach a model, with all, none does."""
    assert what_if(ledger, at=NOW, cache_rate="0.5").factor == 1
    assert what_if(ledger, at=NOW, cache_rate=0).factor == 2
    everything = what_if(ledger, at=NOW, cache_rate="100%")
    assert everything.expected == everything.as_is.spent
    assert everything.saved > 0


def test_growth_multiplies_what_is_to_come(ledger: Path) -> None:
    """What is spent stays spent."""
    found = what_if(ledger, at=NOW, growth="1.2")
    rest = (found.as_is.expected or 0) - found.as_is.spent
    assert found.expected == found.as_is.spent + round(Fraction(6, 5) * rest)
    assert found.saved < 0


def test_prices_that_differ_from_the_list_go_on_differing(ledger: Path) -> None:
    """Under a list at half the price, what was recorded is twice the list, and is taken to stay so."""
    half = {
        "gpt-4o-mini": {"input": "0.075", "cache_read": "0.0375", "output": "0.30"},
        "gpt-4o": {"input": "1.25", "cache_read": "0.625", "output": "5"},
    }
    found = what_if(ledger, at=NOW, tiers={"large": 1}, prices=PriceBook.default().with_overrides(half))
    assert found.factor == what_if(ledger, at=NOW, tiers={"large": 1}).factor
    assert any("200.0% of its list price" in one for one in found.assumptions)


def test_a_tier_that_no_list_prices_costs_what_its_calls_did(tmp_path: Path) -> None:
    """A machine of one's own is paid by time: its average is all there is."""
    file = tmp_path / "ledger.sqlite"
    writer = SqliteLedger(file)
    for day in range(14):
        moment = FIRST + timedelta(days=day, hours=9)
        own = attempt("large", moment, LONG)
        own.tier, own.model, own.pico_usd = "own", "our-llama", 1_000_000
        for number, answer in enumerate((own, attempt("large", moment, LONG))):
            writer.write(Result(f"{day}-{number}", None, [answer], Decision("optimise"), {}))
    writer.close()
    found = what_if(file, at=NOW, tiers={"own": 1})
    assert found.factor == Fraction(2_000_000, 1_000_000 + price("large", LONG))
    assert any(one.startswith("a call on own costs what its own did on average") for one in found.assumptions)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"tiers": {"small": "0.5", "large": "0.4"}}, "must add up to 100%"),
        ({"tiers": {"huge": 1}}, "answered by tier ['huge']: there are ['large', 'small']"),
        ({"tiers": {"small": "1.5", "large": "-0.5"}}, "share of small is 1.5"),
        ({"cache_rate": "half"}, "cache_rate is 'half', which is no number"),
        ({"cache_rate": 2}, "give a part from 0 to 1"),
        ({"growth": "-1"}, "growth is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(ledger: Path, asked: dict[str, object], says: str) -> None:
    """With the value, and what to give instead."""
    with pytest.raises(ConfigError) as refused:
        what_if(ledger, at=NOW, **asked)  # type: ignore[arg-type]
    assert says in str(refused.value)


def test_without_a_forecast_there_is_no_what_if(ledger: Path) -> None:
    """One day on record is not enough."""
    with pytest.raises(LedgerError, match="a forecast needs 3"):
        what_if(ledger, at=FIRST + timedelta(days=1), growth=2)
