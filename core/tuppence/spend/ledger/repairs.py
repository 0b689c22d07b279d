"""Rows that a database refused, made to fit: text spelt so that it can be kept, numbers that are none set aside.

What did not fit must never be lost nor guessed at: its digits stay in `extra`, under `misfits`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import JSON, Column, Float, Text

from tuppence.spend.ledger.rows import INT64_MAX, Row, clean
from tuppence.spend.ledger.tables import columns

# Counts are added up within a row in SQL, where int64 turns into floating point unnoticed; nobody sends 9e15
# tokens.
COUNT_MAX = 2**53

Spelling = Callable[[str], str]


def without_nul(text: str) -> str:
    """Spell what PostgreSQL's text cannot hold: lone surrogates, and the character NUL."""
    return clean(text).replace("\0", "\\x00")


def repaired(table: str, row: Row, spelling: Spelling = clean) -> Row:
    """Return `row` so that the table takes it, its text spelt by `spelling`."""
    values: dict[str, Any] = {}
    misfits: dict[str, str] = {}
    for column, value in zip(columns(table), row, strict=True):
        fitted = _FITTINGS[_kind(column)](value, spelling)
        if fitted is None and value is not None and not isinstance(column.type, Text):
            misfits[column.name] = spelling(_digits(value))
        if fitted is None and not column.nullable:
            fitted = "" if isinstance(column.type, Text) else 0
        values[column.name] = fitted
    if misfits and "extra" in values:
        known = json.loads(values["extra"]) if values["extra"] else {}
        values["extra"] = _compact({**known, "misfits": {**known.get("misfits", {}), **misfits}})
    return tuple(values.values())


@cache
def _kind(column: Column[Any]) -> str:
    if isinstance(column.type, JSON):
        return "json"
    if isinstance(column.type, Text):
        return "text"
    if isinstance(column.type, Float):
        return "real"
    return "money" if "pico" in column.name else "count"


def _text(value: Any, spelling: Spelling) -> str | None:
    return None if value is None else spelling(str(value))


def _object(value: Any, spelling: Spelling) -> str | None:
    """Return the JSON text of an object, as it is or spelt anew; None where it is none."""
    if value is None:
        return None
    try:
        told = json.loads(value) if isinstance(value, str) else value
        return _compact(_spelt(told, spelling)) if isinstance(told, dict) else None
    except (TypeError, ValueError):
        return None


def _spelt(value: Any, spelling: Spelling) -> Any:
    if isinstance(value, str):
        return spelling(value)
    if isinstance(value, Mapping):
        return {spelling(str(name)): _spelt(item, spelling) for name, item in value.items()}
    if isinstance(value, list):
        return [_spelt(item, spelling) for item in value]
    return value


def _real(value: Any, _: Spelling) -> float | None:
    try:
        return float(value) if math.isfinite(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _money(value: Any, _: Spelling) -> int | None:
    return _whole(value, INT64_MAX)


def _count(value: Any, _: Spelling) -> int | None:
    return _whole(value, COUNT_MAX)


def _whole(value: Any, most: int) -> int | None:
    try:
        # Digits come back from a spill file.
        number = int(value) if isinstance(value, str) else round(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) <= most else None


def _digits(value: Any) -> str:
    return value if isinstance(value, str) and value.isdecimal() else repr(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


_FITTINGS: Mapping[str, Callable[[Any, Spelling], Any]] = {
    "json": _object, "text": _text, "real": _real, "money": _money, "count": _count,
}  # fmt: skip
