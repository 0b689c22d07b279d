"""Records that share their fields, as a table: each name said once, nested objects as dotted columns.

A table stands for its records exactly, the order of fields included; where it could not, there is no table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

Path = tuple[str, ...]
"""The keys from a record down to a cell."""


class Absent(Enum):
    """The cell of a field that a record does not have."""

    ABSENT = ""


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Table:
    """Records by columns."""

    columns: tuple[Path, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Cells in the order of the columns; `ABSENT` where a record lacks the field."""

    @property
    def full(self) -> bool:
        """Every record has every field."""
        return all(cell is not ABSENT for row in self.rows for cell in row)


def table_of(records: Iterable[Any]) -> Table | None:
    """Lay two or more records out as a table; None where there are others or their fields stand in different orders."""
    found = list(records)
    if len(found) < 2 or not all(isinstance(one, dict) and one for one in found):
        return None
    columns = _columns(found)
    if columns is None:
        return None
    return Table(tuple(columns), tuple(tuple(_cell(one, path) for path in columns) for one in found))


def records_of(table: Table) -> list[dict[str, Any]]:
    """Return the records that a table stands for."""
    return [_record(table.columns, row) for row in table.rows]


def keyed(table: Table, keys: Sequence[str]) -> tuple[Table, int]:
    """Return the table of an object of records, and which column holds its keys.

    It is a field that repeats them, where there is one, else a column before the others, whose path is empty.
    """
    for at, path in enumerate(table.columns):
        if len(path) == 1 and [row[at] for row in table.rows] == list(keys):
            return table, at
    rows = tuple((key, *row) for key, row in zip(keys, table.rows, strict=True))
    return Table(((), *table.columns), rows), 0


def objects_of(table: Table, at: int) -> dict[str, dict[str, Any]]:
    """Return the object of records that a table with its keys in column `at` stands for."""
    keys = [str(row[at]) for row in table.rows]
    if not table.columns[at]:
        table = Table(table.columns[1:], tuple(row[1:] for row in table.rows))
    return dict(zip(keys, records_of(table), strict=True))


def _columns(records: Sequence[Mapping[str, Any]]) -> list[Path] | None:
    names = _merged(records)
    if names is None:
        return None
    columns: list[Path] = []
    for name in names:
        inner = _inner([one[name] for one in records if name in one])
        columns += [(name, *path) for path in inner] if inner else [(name,)]
    return columns


def _inner(values: Sequence[Any]) -> list[Path] | None:
    """Return the columns of objects that all have the same fields; None: the objects stay cells."""
    if len(values) < 2 or not all(isinstance(one, dict) and one for one in values):
        return None
    if any(list(one) != list(values[0]) for one in values):
        return None
    return _columns(values)


def _merged(records: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """Return all fields in an order that every record keeps; None where there is none."""
    names: list[str] = []
    place: dict[str, int] = {}
    for record in records:
        last = -1
        for name in record:
            if name not in place:
                names.insert(last + 1, name)
                place = {one: at for at, one in enumerate(names)}
            if place[name] <= last:
                return None
            last = place[name]
    return names


def _cell(record: Mapping[str, Any], path: Path) -> Any:
    found: Any = record
    for name in path:
        if name not in found:
            return ABSENT
        found = found[name]
    return found


def _record(columns: Sequence[Path], row: Sequence[Any]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for path, cell in zip(columns, row, strict=True):
        if cell is ABSENT:
            continue
        place = record
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = cell
    return record
