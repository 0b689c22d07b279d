"""How the break-even moves when one thing turns out otherwise: each number a part lower and a part higher, alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from tuppence.prices.amounts import Amount, part
from tuppence.selfhost.economics.break_even import Running, break_even


@dataclass(frozen=True, slots=True)
class Swing:
    """What one number does to the break-even."""

    name: str
    low: Fraction | None
    """Requests a month with the number lower; None where no volume pays then."""
    high: Fraction | None


def swings(fixed: Fraction, price: Fraction, running: Running, *, by: Amount = Fraction(1, 4)) -> tuple[Swing, ...]:
    """Move each number of N* by a part of itself, and return those that matter, the widest swing first.

    The share of escalations stays a share: it is never moved above 1.
    """
    step = part("by", by)

    def moved(times: Fraction) -> dict[str, Fraction | None]:
        escalated = min(Fraction(1), running.escalated * times)
        return {
            "fixed cost a month": break_even(fixed * times, price, running).requests,
            "price of a request": break_even(fixed, price * times, running).requests,
            "share escalated": break_even(fixed, price, replace(running, escalated=escalated)).requests,
            "price of an escalation": break_even(
                fixed, price, replace(running, escalated_usd=running.escalated_usd * times)
            ).requests,
            "judging a request": break_even(
                fixed, price, replace(running, judge_usd=running.judge_usd * times)
            ).requests,
        }

    low, high = moved(1 - step), moved(1 + step)
    found = [Swing(name, low[name], high[name]) for name in low if low[name] != high[name]]
    return tuple(sorted(found, key=_width, reverse=True))


def _width(swing: Swing) -> tuple[bool, Fraction]:
    """A swing into never paying at all is the widest there is."""
    if swing.low is None or swing.high is None:
        return True, Fraction(0)
    return False, abs(swing.high - swing.low)
