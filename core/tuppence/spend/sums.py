"""Sums in SQL that never overflow and never become floating point, in every database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import ColumnElement, CompoundSelect, Connection, FromClause, Select, func
from sqlalchemy.exc import DBAPIError


class Adding(Protocol):
    """How a sum is spelt, in one column; `total` reads what comes back."""

    def __call__(
        self, value: ColumnElement[int], condition: ColumnElement[bool] | None = None, /
    ) -> ColumnElement[Any]: ...


def tokens_in(rows: FromClause) -> ColumnElement[int]:
    """All input tokens of an attempt."""
    c = rows.c
    return (
        c.input + c.cache_read + c.cache_write_5m + c.cache_write_1h
        + c.audio_input + c.audio_cache_read + c.media_input
    )  # fmt: skip


def tokens_out(rows: FromClause) -> ColumnElement[int]:
    c = rows.c
    return c.output + c.audio_output + c.media_output


def summed(connection: Connection, question: Callable[[Adding], Select[Any] | CompoundSelect[Any]]) -> Sequence[Any]:
    """Ask for sums. PostgreSQL adds int64 up to a number without bounds; SQLite refuses a sum beyond int64, and is then
    asked anew for the upper and the lower bits apart.
    """
    try:
        return connection.execute(question(_plain)).all()
    except DBAPIError as error:
        if "integer overflow" not in str(error.orig):
            raise
        return connection.execute(question(_in_halves)).all()


def total(found: int | Decimal | str | None) -> int:
    """Return the sum that stands in such a column."""
    if isinstance(found, str):
        high, low = found.split()
        return (int(high) << 32) + int(low)
    return int(found or 0)


def _plain(value: ColumnElement[int], condition: ColumnElement[bool] | None = None, /) -> ColumnElement[Any]:
    added = func.sum(value)
    return added if condition is None else added.filter(condition)


def _in_halves(value: ColumnElement[int], condition: ColumnElement[bool] | None = None, /) -> ColumnElement[Any]:
    parts = (value.bitwise_rshift(32), value.bitwise_and(0xFFFFFFFF))
    return func.printf("%d %d", *(_plain(part, condition) for part in parts))
