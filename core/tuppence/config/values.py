"""The scalars of a configuration file: what YAML read, held to what each setting takes. Never guesses: `true` is no
number, and text is none either.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def number(value: Any) -> Any:
    """Take what YAML read as a number and nothing else: `true` is no 1, and text no number."""
    if isinstance(value, bool | str):
        raise ValueError("give a number")
    return float(value) if isinstance(value, Decimal) else value


def whole(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("give a whole number")
    return value


def dollars(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError("give an amount of dollars such as '0.15'")
    return value


def undecimal(value: Any) -> Any:
    """Turn decimals back into the floats that model classes take, at any depth."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: undecimal(item) for key, item in value.items()}
    return [undecimal(item) for item in value] if isinstance(value, list) else value


def label(value: Any) -> Any:
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


Count = Annotated[int, BeforeValidator(whole)]
Natural = Annotated[int, BeforeValidator(whole), Field(ge=0)]
Positive = Annotated[int, BeforeValidator(whole), Field(gt=0)]
NotNegative = Annotated[float, BeforeValidator(number), Field(ge=0)]
Label = Annotated[str, BeforeValidator(label)]
Score = Annotated[float, BeforeValidator(number), Field(ge=0, le=1)]
Probability = Annotated[float, BeforeValidator(number), Field(gt=0, le=1)]
Share = Annotated[float, BeforeValidator(number), Field(gt=0, lt=1)]
Seconds = Annotated[float, BeforeValidator(number), Field(gt=0)]
Dollars = Annotated[Decimal, BeforeValidator(dollars), Field(ge=0, allow_inf_nan=False)]
Plain = Annotated[dict[str, Any], BeforeValidator(undecimal)]
Reference = Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")]
"""A Python object, as `module:name`."""
