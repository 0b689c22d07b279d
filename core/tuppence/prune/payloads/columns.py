"""Tables as columns and rows, in JSON or in YAML: `{"columns": ["a", "b.c"], "rows": [[1, 2], [3, 4]]}`.

Plain JSON and YAML, which every model and every program reads. A dot in a column's name stands for an object in the
record; a star marks the column that holds the keys of an object of records.
"""

from __future__ import annotations

from typing import Any

from tuppence.errors import RequestError
from tuppence.prune.payloads.records import Path, Table, keyed, objects_of, records_of, table_of
from tuppence.prune.payloads.values import JsonValue, compact, parsed
from tuppence.prune.payloads.yaml_form import as_yaml, from_yaml

_KEYS = ["columns", "rows"]


def as_columns(value: JsonValue) -> str | None:
    """Write uniform records as columns and rows of JSON; None where there are none, or something looks like them."""
    shaped = _shaped(value)
    return None if shaped is None else compact(shaped)


def from_columns(text: str) -> JsonValue:
    return _unshaped(parsed(text))


def as_yaml_columns(value: JsonValue) -> str | None:
    """Write uniform records as columns and rows of YAML; None where there are none, or something looks like them."""
    shaped = _shaped(value)
    return None if shaped is None else as_yaml(shaped)


def from_yaml_columns(text: str) -> JsonValue:
    return _unshaped(from_yaml(text))


def _shaped(value: JsonValue) -> JsonValue | None:
    writing = _Writing()
    shaped = writing.shaped(value)
    return shaped if writing.tables and not writing.doubtful else None


class _Writing:
    """One value on its way, and what was met."""

    def __init__(self) -> None:
        self.tables = 0
        self.doubtful = False

    def shaped(self, value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            self.doubtful |= list(value) == _KEYS
            return self._table(value, list(value)) or {key: self.shaped(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return self._table(value, None) or [self.shaped(inner) for inner in value]
        return value

    def _table(self, value: Any, keys: list[str] | None) -> JsonValue | None:
        table = table_of(value if keys is None else value.values())
        if table is None or not table.full or any(_odd(name) for path in table.columns for name in path):
            return None
        table, star = (table, None) if keys is None else keyed(table, keys)
        names = [f"*{'.'.join(path)}" if at == star else ".".join(path) for at, path in enumerate(table.columns)]
        if len(compact([*_KEYS, names, table.rows])) >= len(compact(value)):
            return None
        self.tables += 1
        return dict(zip(_KEYS, (names, [list(map(self.shaped, row)) for row in table.rows]), strict=True))


def _odd(name: str) -> bool:
    """Say whether a field's name would read as something else in the name of a column."""
    return "." in name or name[:1] in ("", "*")


def _unshaped(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_unshaped(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if list(value) != _KEYS:
        return {key: _unshaped(inner) for key, inner in value.items()}
    names, rows = (_lists(value[key]) for key in _KEYS)
    paths: list[Path] = [tuple(part for part in str(name).removeprefix("*").split(".") if part) for name in names]
    cells = tuple(tuple(map(_unshaped, _lists(row))) for row in rows)
    if any(len(row) != len(paths) for row in cells):
        raise RequestError(f"a row has not as many cells as there are columns ({len(paths)}): this is no such table")
    star = next((at for at, name in enumerate(names) if str(name).startswith("*")), None)
    table = Table(tuple(paths), cells)
    if star is None and all(paths):
        return records_of(table)
    if star is None or not all(path or at == star == 0 for at, path in enumerate(paths)):
        raise RequestError(f"the columns {names!r} do not name fields: this is no such table")
    return objects_of(table, star)


def _lists(value: JsonValue) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(f"columns and rows are lists, not {type(value).__name__}: this is no such table")
    return value
