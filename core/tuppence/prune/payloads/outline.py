"""An outline of an object or a list: a line for each entry, tables with their names said once, few quotes.

    name:Luggage Set                        a string; what a number or a truth value could be meant by is in quotes
    zip:"92182"
    address:{city:Chicago,country:USA}      small objects and lists stand on their line
    variants{*item_id,options.color,price}: an object of records, whose keys are the starred column
     "8926329222",black,452.28
    flights[origin,destination,price]:      a list of records, one a line; an empty cell is a field that is not there
     PHX,JFK,1120

It is no standard. YAML and CSV readers will know most of it again, and a program reads it with `from_outline`.
"""

from __future__ import annotations

from typing import Any

from tuppence.prune.payloads.records import ABSENT, Path, Table, keyed, table_of
from tuppence.prune.payloads.scalars import is_plain, spelt
from tuppence.prune.payloads.values import JsonValue, compact

LEGEND = (
    "Data may come as an outline: key:value lines, nested by indentation. name[a,b.c]: heads a list of records, one a "
    "line, their fields in that order (b.c is field c of object b, an empty cell means no such field). name{*id,a}: "
    "heads an object of records whose keys are the starred column."
)
"""For a system prompt, once, where a model should be told."""

_INLINE_DEPTH = 2
"""Levels of objects and lists that stand on one line: an object of scalars, or a list of such objects."""


def as_outline(value: JsonValue) -> str | None:
    """Write an object or a list; None for a scalar and for what is empty."""
    if not isinstance(value, (dict, list)) or not value:
        return None
    table = _table("", value)
    return "\n".join(table or _lines(value))


def _lines(value: JsonValue) -> list[str]:
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _entry(_key(key), inner)]
    return [line for inner in value for line in _item(inner)]


def _entry(head: str, value: JsonValue) -> list[str]:
    table = _table(head, value)
    if table is not None:
        return table
    if _fits_a_line(value):
        return [f"{head}:{_flow(value)}"]
    return [f"{head}:", *_nested(value)]


def _item(value: JsonValue) -> list[str]:
    if _fits_a_line(value) and _table("", value) is None:
        return [f"- {_flow(value)}"]
    return ["-", *_nested(value)]


def _nested(value: JsonValue) -> list[str]:
    return [f" {line}" for line in _table("", value) or _lines(value)]


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{','.join(f'{_key(key)}:{_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_flow, value))}]"
    return "" if value is ABSENT else spelt(value)


def _key(name: str) -> str:
    return name if is_plain(name) and ":" not in name else compact(name)


def _fits_a_line(value: JsonValue, depth: int = _INLINE_DEPTH) -> bool:
    if not isinstance(value, (dict, list)) or not value:
        return True
    inside = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_fits_a_line(one, depth - 1) for one in inside)


# -- tables


def _table(head: str, value: JsonValue) -> list[str] | None:
    """Write a list or an object of records below their columns; None where that is no table, or no shorter."""
    if not isinstance(value, (dict, list)):
        return None
    table = table_of(value.values() if isinstance(value, dict) else value)
    if table is None:
        return None
    lines = _object_table(head, table, list(value)) if isinstance(value, dict) else _list_table(head, table)
    return lines if sum(map(len, lines)) + len(lines) < len(head) + len(_flow(value)) else None


def _list_table(head: str, table: Table) -> list[str]:
    return [f"{head}[{','.join(map(_column, table.columns))}]:", *map(_row, table.rows)]


def _object_table(head: str, table: Table, keys: list[str]) -> list[str]:
    table, star = keyed(table, keys)
    names = [f"*{_column(path)}" if at == star else _column(path) for at, path in enumerate(table.columns)]
    return [f"{head}{{{','.join(names)}}}:", *map(_row, table.rows)]


def _row(cells: tuple[Any, ...]) -> str:
    return f" {','.join(map(_flow, cells))}"


def _column(path: Path) -> str:
    return ".".join(compact(name) if "." in name else _key(name) for name in path)
