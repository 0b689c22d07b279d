"""A list of flat records as CSV (RFC 4180), with types: text in quotes is always a string, and an empty cell is a field
that the record does not have.

A bare cell is a number, true, false or null where it reads as one, else a string. Readers that know no types see the
same cells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tuppence.errors import RequestError
from tuppence.prune.payloads.records import ABSENT, Path, Table, records_of, table_of
from tuppence.prune.payloads.scalars import is_plain, scalar, spelt
from tuppence.prune.payloads.values import JsonValue

_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|\Z)')


def as_csv(value: JsonValue) -> str | None:
    """Write a list of two or more records whose cells are all scalars; None for any other value."""
    table = table_of(value) if isinstance(value, list) else None
    if table is None or any("." in name for path in table.columns for name in path):
        return None
    if any(isinstance(cell, (dict, list)) for row in table.rows for cell in row):
        return None
    lines = [[".".join(path) for path in table.columns], *table.rows]
    return "\n".join(",".join(map(_cell, line)) for line in lines)


def from_csv(text: str) -> JsonValue:
    header, *rows = _lines(text)
    columns: tuple[Path, ...] = tuple(tuple(str(name).split(".")) for name in header)
    if any(len(row) != len(columns) for row in rows):
        raise RequestError(f"a line has not as many cells as the first one ({len(columns)}): this is no such table")
    return records_of(Table(columns, tuple(tuple(row) for row in rows)))


def _cell(value: Any) -> str:
    if value is ABSENT:
        return ""
    if isinstance(value, str) and not is_plain(value):
        return f'"{value.replace(chr(34), chr(34) * 2)}"'
    return spelt(value)


def _lines(text: str) -> Sequence[list[Any]]:
    lines: list[list[Any]] = [[]]
    at = 0
    while (found := _CELL.match(text, at)) is not None:
        quoted, bare, end = found.groups()
        if quoted is not None:
            lines[-1].append(quoted.replace('""', '"'))
        else:
            lines[-1].append(scalar(bare) if bare else ABSENT)
        if not end:
            return lines
        if end == "\n":
            lines.append([])
        at = found.end()
    raise RequestError(f"the cell at character {at} does not end where a cell may: this is no CSV")
