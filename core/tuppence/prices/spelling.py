"""How a working with money is written, a step a line: every digit that they have, and a sign where there are more.

Never rounds in silence: an amount that does not end within a pico-dollar is marked with `~`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_PICO = Decimal("1e-12")
_SHORT = Decimal("1e-6")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the working."""

    label: str
    formula: str
    usd: Fraction


def exact_usd(amount: Fraction) -> Decimal:
    """Return dollars as a Decimal, rounded once to a pico-dollar where they do not end before."""
    value = _WIDE.divide(Decimal(amount.numerator), Decimal(amount.denominator))
    return _trimmed(_WIDE.quantize(value, _PICO))


def dollars(amount: Fraction) -> str:
    """Spell dollars with all their digits, at least cents: `$154.375`, `-$0.40`; without an end, `~$0.333333`."""
    value, about = exact_usd(amount), ""
    if Fraction(value) != amount:
        value, about = _trimmed(_WIDE.quantize(value, _SHORT if abs(value) >= _SHORT * 1000 else _PICO)), "~"
    digits = max(2, -int(value.as_tuple().exponent))
    sign = "-" if value < 0 else ""
    return f"{about}{sign}${abs(value):,.{digits}f}"


def unit_price(nano_usd: int) -> str:
    """Spell a price of nano-dollars."""
    return dollars(Fraction(nano_usd, 10**9))


def count(amount: Fraction) -> str:
    """Spell a number of things, exactly: `50,000`, `12.5`, `2,000/7`."""
    if amount.denominator == 1:
        return f"{amount.numerator:,}"
    short = _hundredths(amount)
    return f"{short:,f}" if Fraction(short) == amount else f"{amount.numerator:,}/{amount.denominator:,}"


def percent(part: Fraction) -> str:
    """Spell a part of one: `80%`, `12.5%`, `~33.33%`."""
    short = _hundredths(part * 100)
    return f"{'' if Fraction(short) == part * 100 else '~'}{short:,f}%"


def _hundredths(amount: Fraction) -> Decimal:
    value = _WIDE.divide(Decimal(amount.numerator), Decimal(amount.denominator))
    return _trimmed(_WIDE.quantize(value, Decimal("0.01")))


def _trimmed(value: Decimal) -> Decimal:
    """Drop zeros at the end, and keep whole numbers plain."""
    short = value.normalize(_WIDE)
    return short if int(short.as_tuple().exponent) <= 0 else short.quantize(Decimal(1), context=_WIDE)
