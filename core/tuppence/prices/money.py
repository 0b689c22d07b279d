"""Units of money: what is stored, what is shown, and the one place where a cost is rounded.

A price is an integer of nano-USD per million tokens, so a count times a price is an integer of femto-USD,
exactly. A cost is the sum of those products, rounded once, half to even, to pico-USD. Floats never enter.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from tuppence.errors import PriceError

PicoUSD = int
"""An amount of money in units of 1e-12 USD."""

_NANO = Decimal(10) ** 9
_PICO = Decimal(10) ** -12


def usd(pico: PicoUSD) -> Decimal:
    """Return an amount as exact US dollars."""
    return Decimal(pico).scaleb(-12)


def pico_usd(amount: Decimal | str | int) -> PicoUSD:
    """Return US dollars as an exact integer of pico-USD; raises `PriceError` for amounts finer than that."""
    pico = _number(amount, "amount") / _PICO
    if pico != pico.to_integral_value():
        raise PriceError(f"amount is {amount!r}, finer than 1e-12 USD; round it first")
    return int(pico)


def nano_per_million(price: Decimal | str | int, name: str) -> int:
    """Return a price in USD per million as nano-USD per million.

    Raises `PriceError` for floats (0.1 is not a tenth), negative or unparsable prices, and prices finer than
    1e-9 USD per million.
    """
    nano = _number(price, name) * _NANO
    if nano != nano.to_integral_value():
        raise PriceError(f"price {name} is {price!r}, finer than 1e-9 USD per million; round it to nine decimals")
    return int(nano)


def rounded(numerator: int, denominator: int) -> int:
    """Divide and round half to even, exactly."""
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole & 1))


def _number(value: Decimal | str | int, name: str) -> Decimal:
    if isinstance(value, bool | float) or not isinstance(value, Decimal | str | int):
        raise PriceError(f"price {name} is {value!r}; give it as a string or Decimal, such as '0.15', to keep it exact")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise PriceError(f"price {name} is {value!r}, which is not a number; write it like '0.15'") from None
    if not number.is_finite() or number < 0:
        raise PriceError(f"price {name} is {value!r}; a price is a number of 0 or more")
    return number
