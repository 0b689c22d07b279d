"""From how many requests a month one's own machines pay, and when training a model for them has paid back.

    N* = F / (c - e x c_esc - judge)

F is what a month costs whether anything is asked or not, c what a request costs at the provider, e the share of
requests that go there after all, c_esc what such a one costs, judge what looking at an answer costs on average. Where
the divisor is not above 0, no volume pays. Exact fractions; nothing is supposed that was not given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from tuppence.prices.amounts import Amount, amount, part
from tuppence.prices.spelling import Step, count, dollars, percent


@dataclass(frozen=True, slots=True)
class Running:
    """What a request costs on one's own machines beside the machines."""

    escalated: Fraction = Fraction(0)
    """Share of requests that the provider answers after all."""
    escalated_usd: Fraction = Fraction(0)
    """What such a request costs there."""
    judge_usd: Fraction = Fraction(0)
    """What checking answers costs, a request."""

    @classmethod
    def of(cls, *, escalated: Amount = 0, escalated_usd: Amount = 0, judge_usd: Amount = 0) -> Running:
        """Read the numbers; raises `ConfigError` for what is none."""
        return cls(part("escalated", escalated), amount("escalated_usd", escalated_usd), amount("judge_usd", judge_usd))

    @property
    def per_request(self) -> Fraction:
        return self.escalated * self.escalated_usd + self.judge_usd


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From where on it pays."""

    requests: Fraction | None
    """A month; None where no volume pays."""
    spared: Fraction
    """Dollars that each request spares; 0 or less where none pays."""
    step: Step | None
    why: str
    """The answer in words."""

    @property
    def whole_requests(self) -> int | None:
        """The first whole number of requests at which it costs no more."""
        return None if self.requests is None else math.ceil(self.requests)


def break_even(fixed_usd: Amount, request_usd: Amount, running: Running | None = None) -> BreakEven:
    """Return the requests a month from which `fixed_usd` a month is no dearer than `request_usd` each."""
    fixed, price = amount("fixed_usd", fixed_usd), amount("request_usd", request_usd)
    beside = running or Running()
    spared = price - beside.per_request
    terms = dollars(price)
    if beside.escalated:
        terms += f" - {percent(beside.escalated)} x {dollars(beside.escalated_usd)}"
    if beside.judge_usd:
        terms += f" - {dollars(beside.judge_usd)}"
    if spared <= 0:
        return BreakEven(None, spared, None, f"no volume pays: each request spares {terms} = {dollars(spared)}")
    requests = fixed / spared
    formula = f"{dollars(fixed)} / ({terms})" if terms != dollars(price) else f"{dollars(fixed)} / {terms}"
    step = Step("break-even, requests a month", f"{formula} = {count(Fraction(math.ceil(requests)))}", fixed)
    return BreakEven(requests, spared, step, f"it pays from {math.ceil(requests):,} requests a month on")


@dataclass(frozen=True, slots=True)
class Payback:
    """When what was spent once has come back."""

    months: Fraction | None
    """None where it never does."""
    formula: str


def payback(once_usd: Amount, before_usd: Amount, after_usd: Amount) -> Payback:
    """Return the months in which a cost that falls from `before_usd` to `after_usd` a month makes up for `once_usd`."""
    once, before, after = amount("once_usd", once_usd), amount("before_usd", before_usd), amount("after_usd", after_usd)
    formula = f"{dollars(once)} / ({dollars(before)} - {dollars(after)})"
    return Payback(once / (before - after) if before > after else None, formula)
