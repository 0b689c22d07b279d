"""Ways to get the same answers, each with what a month costs and the working behind it.

A fixed part, paid whatever is asked, and a part for each request; so two ways can be compared at any volume. What only
the user knows is given, never supposed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from tuppence.errors import PriceError
from tuppence.prices import Rate, usd
from tuppence.prices.amounts import Amount, amount
from tuppence.prices.spelling import Step, count, dollars, percent, unit_price
from tuppence.selfhost.economics.break_even import Running
from tuppence.selfhost.economics.capacity import Load
from tuppence.selfhost.errors import SelfHostError
from tuppence.usage import Usage

MONTH_HOURS = Fraction(2922, 4)
"""730.5: a year of 365.25 days in twelve parts."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to be answered."""

    name: str
    fixed_usd: Fraction
    """A month, whatever is asked."""
    request_usd: Fraction
    """For each request."""
    steps: tuple[Step, ...]

    def monthly_usd(self, requests: Fraction) -> Fraction:
        return self.fixed_usd + requests * self.request_usd

    def at(self, requests: Fraction) -> tuple[Step, ...]:
        """Return the working of a month with so many requests."""
        terms = [dollars(self.fixed_usd)] if self.fixed_usd else []
        if self.request_usd or not terms:
            terms.append(f"{count(requests)} x {dollars(self.request_usd)}")
        total = Step(f"{self.name}, a month", " + ".join(terms), self.monthly_usd(requests))
        return (*self.steps, total)


def by_request(name: str, request_usd: Amount) -> Option:
    """Describe a provider by what one request costs."""
    return Option(name, Fraction(0), amount("request_usd", request_usd), ())


def by_token(name: str, rate: Rate, load: Load, running: Running | None = None) -> Option:
    """Describe a provider by its price list: the premium API, or whoever serves the open model by the token.

    `running`: what its answers cost beside it, where they are not the premium ones. Raises `PriceError` where the rate
    has no price for such a request.
    """
    usage = Usage(input=round(load.input_tokens), output=round(load.output_tokens))
    cost = rate.cost(usage)
    if cost is None:
        raise PriceError(f"{name}: {rate.why_unpriced(usage)}")
    price = Fraction(usd(cost))
    terms = [f"{line.qty:,} {line.unit} x {unit_price(line.nano_usd)}/1M" for line in rate.lines(usage)]
    step = Step(f"a request on {name}", " + ".join(terms) or "nothing is used", price)
    return _beside(Option(name, Fraction(0), price, (step,)), running)


def rented(
    name: str, *, replicas: int, gpus: int, gpu_hour_usd: Amount, ops_usd: Amount = 0, running: Running | None = None
) -> Option:
    """Describe rented machines that stand by all month: replicas x GPUs x hours x price, and the people."""
    hour, ops = amount("gpu_hour_usd", gpu_hour_usd), amount("ops_usd", ops_usd)
    machines = replicas * gpus * MONTH_HOURS * hour
    formula = f"{replicas} x {gpus} GPU x {count(MONTH_HOURS)} h x {dollars(hour)}"
    steps = (Step("GPU hours, a month", formula, machines), *_people(ops))
    return _beside(Option(name, machines + ops, Fraction(0), steps), running)


def owned(
    name: str, *, replicas: int, machine_usd: Amount, life_months: int, kilowatts: Amount, kwh_usd: Amount,
    hosting_usd: Amount = 0, ops_usd: Amount = 0, running: Running | None = None,
) -> Option:  # fmt: skip
    """Describe machines of one's own: price over life, power all month at full draw, their place, and the people."""
    if life_months < 1:
        raise SelfHostError(
            f"life_months is {life_months}: give the months over which a machine is written off, such as 36"
        )
    price, power = amount("machine_usd", machine_usd), amount("kilowatts", kilowatts)
    tariff, place, ops = amount("kwh_usd", kwh_usd), amount("hosting_usd", hosting_usd), amount("ops_usd", ops_usd)
    written_off = replicas * price / life_months
    drawn = replicas * power * MONTH_HOURS * tariff
    steps = [
        Step("written off, a month", f"{replicas} x {dollars(price)} / {life_months}", written_off),
        Step("power, a month", f"{replicas} x {count(power)} kW x {count(MONTH_HOURS)} h x {dollars(tariff)}", drawn),
    ]
    if place:
        steps.append(Step("hosting, a month", f"{replicas} x {dollars(place)}", replicas * place))
    fixed = written_off + drawn + replicas * place + ops
    return _beside(Option(name, fixed, Fraction(0), (*steps, *_people(ops))), running)


def _people(ops: Fraction) -> tuple[Step, ...]:
    return (Step("operations, a month", "given", ops),) if ops else ()


def _beside(option: Option, running: Running | None) -> Option:
    """Add what escalations and checks cost."""
    if running is None or not running.per_request:
        return option
    formula = f"{percent(running.escalated)} x {dollars(running.escalated_usd)} + {dollars(running.judge_usd)}"
    step = Step("escalations and checks, a request", formula, running.per_request)
    return replace(option, request_usd=option.request_usd + running.per_request, steps=(*option.steps, step))
