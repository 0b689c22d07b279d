"""The arithmetic of an estimate, in exact fractions, with each step spelt out so that a reader can redo it by hand.

No price and no discount is ever assumed: what a batch costs is the model's own batch price, and a model without one has
no batch estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from tuppence.errors import ConfigError, PriceError
from tuppence.prices import Rate, usd
from tuppence.prices.amounts import Amount, amount, part
from tuppence.prices.spelling import Step, count, dollars, exact_usd, percent, unit_price
from tuppence.usage import Processing, Usage

DAYS_PER_MONTH = 30


@dataclass(frozen=True, slots=True)
class Leg:
    """One tier of a mix."""

    name: str
    share: Fraction
    """Requests that this tier answers, of those that reach a model; the shares of a mix add up to 1."""
    usd: Fraction
    """What one request on it costs, batch discount included."""
    standard_usd: Fraction
    """The same at standard prices."""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What traffic will cost, beside what it would cost on the last tier alone."""

    per_request: Fraction
    """Dollars for one request, on average, cache hits included."""
    per_day: Fraction
    per_month: Fraction
    baseline: str
    """What the saving is measured against, in words."""
    baseline_per_month: Fraction
    steps: tuple[Step, ...]

    @property
    def per_request_usd(self) -> Decimal:
        return exact_usd(self.per_request)

    @property
    def per_day_usd(self) -> Decimal:
        return exact_usd(self.per_day)

    @property
    def per_month_usd(self) -> Decimal:
        return exact_usd(self.per_month)

    @property
    def baseline_per_month_usd(self) -> Decimal:
        return exact_usd(self.baseline_per_month)

    @property
    def saved_per_month_usd(self) -> Decimal:
        """Below 0 where the plan costs more than its baseline."""
        return exact_usd(self.baseline_per_month - self.per_month)


def flat_leg(name: str, usd_per_request: Amount, *, share: Amount = 1) -> Leg:
    """Describe a tier by what one request costs, in dollars."""
    price = amount("price of a request", usd_per_request)
    return Leg(name, part("share", share), price, price)


def priced_leg(name: str, rate: Rate, usage: Usage, *, share: Amount = 1, batch_share: Amount = 0) -> Leg:
    """Price one request by its tokens; `batch_share` of them go at the rate's own batch prices.

    Raises `PriceError` where the rate has no price for what is used, batch included.
    """
    standard, step = _priced(name, rate, usage, "standard")
    batch = part("batch_share", batch_share)
    if not batch:
        return Leg(name, part("share", share), standard, standard, (step,))
    reduced, batch_step = _priced(name, rate, usage, "batch")
    return batched_leg(name, share, standard, reduced, batch, (step, batch_step))


def batched_leg(
    name: str, share: Amount, standard: Fraction, reduced: Fraction, batch: Fraction, steps: tuple[Step, ...]
) -> Leg:
    """Average standard and batch prices."""
    average = (1 - batch) * standard + batch * reduced
    formula = f"{percent(1 - batch)} x {dollars(standard)} + {percent(batch)} x {dollars(reduced)}"
    step = Step(f"a request on {name}, {percent(batch)} batched", formula, average)
    return Leg(name, part("share", share), average, standard, (*steps, step))


def estimate(
    legs: Sequence[Leg],
    *,
    requests_per_day: Amount,
    days_per_month: Amount = DAYS_PER_MONTH,
    cascade: bool = False,
    cache_hit_rate: Amount = 0,
) -> Estimate:
    """Work out what traffic costs a day and a month, on tiers given cheapest first.

    In a `cascade` a request that a later tier answers has paid every tier before it too; without it, a router sends
    each request to one tier straight away. Requests that the cache answers cost nothing. Raises `ConfigError` for
    shares that do not add up to 1.
    """
    _check_shares(legs)
    requests = amount("requests_per_day", requests_per_day)
    days = amount("days_per_month", days_per_month)
    hits = part("cache_hit_rate", cache_hit_rate)
    steps = [step for leg in legs for step in leg.steps]
    asked, formula = _blended(legs, cascade=cascade)
    if len(legs) > 1:
        steps.append(Step("a request, on average", formula, asked))
    paid = (1 - hits) * asked
    if hits:
        steps.append(Step(f"with {percent(hits)} from the cache", f"(100% - {percent(hits)}) x {dollars(asked)}", paid))
    day = requests * paid
    month = days * day
    steps.append(Step("a day", f"{count(requests)} x {dollars(paid)}", day))
    steps.append(Step(f"a month of {count(days)} days", f"{count(days)} x {dollars(day)}", month))
    last = legs[-1]
    alone = days * requests * last.standard_usd
    baseline = f"every request on {last.name} at standard prices, without a cache"
    if len(legs) > 1 or hits or last.usd != last.standard_usd:
        formula = f"{count(days)} x {count(requests)} x {dollars(last.standard_usd)}"
        steps.append(Step(f"all on {last.name}, a month", formula, alone))
        steps.append(Step("saved a month", f"{dollars(alone)} - {dollars(month)}", alone - month))
    return Estimate(paid, day, month, baseline, alone, tuple(steps))


def _blended(legs: Sequence[Leg], *, cascade: bool) -> tuple[Fraction, str]:
    """Average over the tiers what a request pays, and spell that out."""
    total, terms = Fraction(0), list[str]()
    for index, leg in enumerate(legs):
        paid = legs[: index + 1] if cascade else (leg,)
        total += leg.share * sum((one.usd for one in paid), Fraction(0))
        spelt = " + ".join(dollars(one.usd) for one in paid)
        terms.append(f"{percent(leg.share)} x {f'({spelt})' if len(paid) > 1 else spelt}")
    return total, " + ".join(terms)


def _priced(name: str, rate: Rate, usage: Usage, processing: Processing) -> tuple[Fraction, Step]:
    used = replace(usage, processing=processing)
    cost = rate.cost(used)
    if cost is None:
        raise PriceError(f"{name}: {rate.why_unpriced(used)}")
    amount = Fraction(usd(cost))
    terms = [f"{line.qty:,} {line.unit} x {unit_price(line.nano_usd)}/1M" for line in rate.lines(used)]
    label = f"a request on {name}" + ("" if processing == "standard" else f", {processing}")
    return amount, Step(label, " + ".join(terms) or "nothing is used", amount)


def _check_shares(legs: Sequence[Leg]) -> None:
    if not legs:
        raise ConfigError("the mix is empty: name at least one model or price")
    total = sum((leg.share for leg in legs), Fraction(0))
    if total != 1:
        raise ConfigError(
            f"the shares {', '.join(f'{leg.name} {percent(leg.share)}' for leg in legs)} add up to {percent(total)}: "
            "they must add up to 100%"
        )
