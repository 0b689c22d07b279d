"""Numbers that a person gave, as exact fractions: dollars, counts, and parts of a whole."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from tuppence.errors import ConfigError

Amount = Decimal | Fraction | str | int


def amount(name: str, value: Amount) -> Fraction:
    """Return a number of 0 or more; raises `ConfigError` for anything else."""
    try:
        number = Fraction(value)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        raise ConfigError(f"{name} is {value!r}: give a number of 0 or more") from None
    if number < 0:
        raise ConfigError(f"{name} is {value}: it must be 0 or more")
    return number


def part(name: str, value: Amount) -> Fraction:
    """Return a part of the whole, from 0 to 1; raises `ConfigError` for anything else."""
    share = amount(name, value)
    if share > 1:
        raise ConfigError(f"{name} is {value}: it is a part of the whole, from 0 to 1 (80% is 0.8)")
    return share
