"""Single values of imported rows: numbers, texts, moments, each read exactly or refused with its name and the fix.

Knows no file and no format. What is missing stays None: an unknown price or score is never 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

from tuppence.prices import PicoUSD

Scale = tuple[float, float]
"""The worst and the best score of a source."""

_SHOWN = 60
# Decimal's own default of 28 digits would refuse to round an amount above 1e15 dollars.
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_PICO_PER_USD = Decimal(10) ** 12


class Misread(Exception):
    """A value that is none; whoever reads the row adds where it stands."""

    def __init__(self, name: str, value: object, fix: str) -> None:
        shown = repr(value)
        super().__init__(f"{name} is {shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + '...'}: {fix}")
        self._told = (name, value, fix)

    def within(self, outer: str) -> Misread:
        """Return the same of a value inside another."""
        name, value, fix = self._told
        return Misread(f"{outer}.{name}", value, fix)


def text(value: object, name: str) -> str:
    """Return text, "" for what is missing; numbers are spelt."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise Misread(name, value, "give text")
    return str(value)


def mapping(value: object, name: str) -> Mapping[str, Any]:
    """Return a JSON object, an empty one for what is missing; text that holds one is opened."""
    if type(value) is dict:
        return value
    if value is None or value == "":
        return {}
    value = opened(value)
    if not isinstance(value, Mapping):
        raise Misread(name, value, "give a JSON object")
    return value


def opened(value: object) -> object:
    """Return what a text holds where it holds a JSON object or list, as exports put them into a CSV's cells."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        found: object = json.loads(value)
    except ValueError:
        return value
    return found


def number(value: object, name: str) -> float | None:
    if type(value) is float and math.isfinite(value):
        return value
    exact = _decimal(value, name)
    return None if exact is None else float(exact)


def count(value: object, name: str) -> int | None:
    """Return a number of tokens."""
    if type(value) is int and value >= 0:
        return value
    exact = _decimal(value, name)
    if exact is None:
        return None
    if exact < 0 or exact != exact.to_integral_value():
        raise Misread(name, value, "give a whole number of 0 or more")
    return int(exact)


def dollars(value: object, name: str) -> PicoUSD | None:
    """Return an amount of dollars in pico-USD: exact, or rounded once, half to even, where it is finer than that."""
    exact = _decimal(value, name)
    if exact is None:
        return None
    if exact < 0:
        raise Misread(name, value, "give dollars of 0 or more, or leave it out where the cost is unknown")
    return int(_WIDE.multiply(exact, _PICO_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def score(value: object, name: str, scale: Scale) -> float | None:
    """Return a score in [0, 1]; True and False are the ends of `scale`, which maps all others."""
    if isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false")):
        return float(value if isinstance(value, bool) else value.lower() == "true")
    given = number(value, name)
    if given is None:
        return None
    low, high = scale
    if not low <= given <= high:
        raise Misread(name, value, f"it lies outside scale={scale!r}: name the scale of your scores, such as (1, 10)")
    return (given - low) / (high - low)


def flag(value: object, name: str) -> bool:
    """Return yes or no; what is missing is no."""
    if value is None or value is False or value == "":
        return False
    spelt = str(value).lower()
    if spelt not in ("true", "false", "0", "1"):
        raise Misread(name, value, "give true or false")
    return spelt in ("true", "1")


def moment(value: object, name: str) -> float | None:
    """Return Unix seconds of a number of them, or of an ISO 8601 time; one without a zone is UTC."""
    if isinstance(value, str) and not _is_number(value):
        if not value:
            return None
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise Misread(name, value, "give an ISO 8601 time, or Unix seconds") from None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return number(value, name)


def label(value: object) -> str | None:
    """Return a scalar as a tag's text; None for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float | Decimal) else None


def _decimal(value: object, name: str) -> Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise Misread(name, value, "give a number")
    try:
        # By its shortest spelling, which is what stood in the file.
        exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise Misread(name, value, "give a number") from None
    if not exact.is_finite() or not math.isfinite(float(exact)):
        raise Misread(name, value, "give a finite number")
    return exact


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
