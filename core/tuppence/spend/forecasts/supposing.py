"""What the month would come to with other tiers, another hit rate or other traffic.

Exact arithmetic on what the ledger holds: recorded answers keep their recorded cost on their own tier, and are priced
anew, each by its own tokens, on the others. What cannot be known is assumed, and every assumption is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from tuppence.errors import ConfigError, LedgerError
from tuppence.prices import PicoUSD, PriceBook, Rate, usd
from tuppence.spend.forecasts.forecasting import forecast
from tuppence.spend.forecasts.outlook import Horizon, Interval, Outlook
from tuppence.spend.forecasts.recent import Answered, Recent, recent
from tuppence.usage import Usage

Part = Fraction | Decimal | str | int
DAYS = 28
"""Whole weeks, so that no weekday counts more than another."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A period as it is forecast, and as it would be from now on."""

    as_is: Outlook
    expected: PicoUSD
    """What the period would come to: what is spent already stays spent."""
    likely: Interval
    """With 80%, as wide as the forecast's own."""
    factor: Fraction
    """What every dollar yet to be spent would become."""
    assumptions: tuple[str, ...]

    @property
    def expected_usd(self) -> Decimal:
        return usd(self.expected)

    @property
    def saved(self) -> PicoUSD:
        """Below 0 where it would cost more."""
        return (self.as_is.expected or 0) - self.expected


def what_if(
    place: str | Path,
    *,
    tiers: Mapping[str, Part] | None = None,
    cache_rate: Part | None = None,
    growth: Part = 1,
    at: datetime | None = None,
    horizon: Horizon = "month",
    prices: PriceBook | None = None,
    where: Mapping[str, str] | None = None,
) -> WhatIf:
    """Forecast the period as if, from `at` on, these shares of the calls went to these tiers, the cache answered this
    share of all calls, and there were `growth` times as many.

    Tiers are those of the last four weeks in the ledger. Raises `ConfigError` for a share that is none, for shares that
    do not add up to 1 and for a tier that answered nothing; `LedgerError` where there is too little to go by.
    """
    moment = datetime.now(UTC) if at is None else at
    as_is = forecast(place, at=moment, horizon=horizon, where=where).total
    traffic = recent(place, since=as_is.at - timedelta(days=DAYS), until=as_is.at, where=where)
    if as_is.expected is None or as_is.likely is None or not traffic.answered or not traffic.paid:
        raise LedgerError(
            f"there is too little in the ledger to say what would be ({as_is.why or 'no answer of known price'}): ask "
            "again when it holds a few days of calls"
        )
    factor, assumptions = Fraction(1), [f"the last {DAYS} days' calls stand for those to come"]
    if tiers is not None:
        factor *= _mixed(traffic, _shares(tiers), prices or PriceBook.default(), as_is.at, assumptions)
    if cache_rate is not None:
        factor *= _cached(traffic, _share("cache_rate", cache_rate), assumptions)
    factor *= _number("growth", growth)
    if factor < 0:
        raise ConfigError(f"growth is {growth}: give a factor of 0 or more, such as 1.2 for a fifth more calls")
    return WhatIf(
        as_is, _then(as_is.spent, as_is.expected, factor),
        Interval(*(_then(as_is.spent, bound, factor) for bound in (as_is.likely.low, as_is.likely.high))),
        factor, tuple(assumptions),
    )  # fmt: skip


def _then(spent: PicoUSD, told: PicoUSD, factor: Fraction) -> PicoUSD:
    return spent + round((told - spent) * factor)


def _mixed(
    traffic: Recent, shares: Mapping[str, Fraction], book: PriceBook, at: datetime, assumptions: list[str]
) -> Fraction:
    """Return the recent cost under another mix of tiers, as a part of what it was."""
    known = {one.tier for one in traffic.answered}
    if unknown := sorted(shares.keys() - known):
        raise ConfigError(f"no call of the last {DAYS} days was answered by tier {unknown}: there are {sorted(known)}")
    answers = sum(
        (share * _on(tier, traffic.answered, book, at, assumptions) for tier, share in shares.items()), Fraction(0)
    )
    assumptions += [
        "each call asks its tier straight away: no draft is rejected, none is checked",
        "tiers answer with the same tokens, and share the calls whatever their size",
        "failures, judges of live traffic and all else cost what they did",
    ]
    return (answers + traffic.paid - traffic.for_answers - traffic.climbing) / traffic.paid


def _on(tier: str, answered: Sequence[Answered], book: PriceBook, at: datetime, assumptions: list[str]) -> Fraction:
    """Return what all answers would have cost on one tier."""
    own = [one for one in answered if one.tier == tier]
    rate = book.rate(own[-1].model, at=at) if own[-1].model else None
    listed = None if rate is None else _listed(own, rate)
    paid = sum(one.pico_usd for one in own)
    if rate is None or not listed:
        assumptions.append(f"a call on {tier} costs what its own did on average: no list has a price for its tokens")
        return Fraction(paid * len(answered), len(own))
    if paid != listed:
        assumptions.append(f"{tier} goes on costing {float(Fraction(paid, listed)):.1%} of its list price")
    others = [_cost(rate, one.usage) for one in answered if one.tier != tier]
    known = [cost for cost in others if cost is not None]
    if missing := len(others) - len(known):
        assumptions.append(f"{missing:,} calls that {tier} has no price for cost what its own did on average")
    return paid + sum(known) * Fraction(paid, listed) + Fraction(missing * paid, len(own))


def _listed(own: Sequence[Answered], rate: Rate) -> PicoUSD | None:
    """Return the list price of a tier's own answers; None where any has none, as with machines paid by the hour."""
    known = [cost for one in own if (cost := _cost(rate, one.usage)) is not None]
    return sum(known) if len(known) == len(own) else None


def _cost(rate: Rate, usage: Usage) -> PicoUSD | None:
    """Price tokens where this rate may have no lane or no writing price for them: there they are ordinary input."""
    cost = rate.cost(usage)
    if cost is None:
        written = usage.cache_write_5m + usage.cache_write_1h
        plain = replace(usage, input=usage.input + written, cache_write_5m=0, cache_write_1h=0)
        cost = rate.cost(plain)
        if cost is None and usage.processing != "standard":
            cost = rate.cost(replace(plain, processing="standard"))
    return cost


def _cached(traffic: Recent, wanted: Fraction, assumptions: list[str]) -> Fraction:
    now = Fraction(traffic.hits, traffic.hits + len(traffic.answered))
    assumptions += [
        f"hits are free, and were {float(now):.1%} of the calls",
        "calls that the cache would answer cost as much as those that it would not",
    ]
    return (1 - wanted) / (1 - now)


def _shares(tiers: Mapping[str, Part]) -> dict[str, Fraction]:
    shares = {tier: _share(f"share of {tier}", given) for tier, given in tiers.items()}
    if sum(shares.values()) != 1:
        told = ", ".join(f"{tier} {float(share):.1%}" for tier, share in shares.items())
        raise ConfigError(f"the shares of the tiers are {told}: they must add up to 100%")
    return shares


def _share(name: str, given: Part) -> Fraction:
    share = _number(name, given)
    if not 0 <= share <= 1:
        raise ConfigError(f"{name} is {given}: give a part from 0 to 1, such as 0.3 or '30%'")
    return share


def _number(name: str, given: Part) -> Fraction:
    try:
        text = str(given).strip()
        return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"{name} is {given!r}, which is no number: give one such as 0.3 or '30%'") from error
