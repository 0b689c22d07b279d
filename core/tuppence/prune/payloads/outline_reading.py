"""Reading an outline back: the exact reverse of how one is written, and nothing looser.

What is no outline raises `RequestError` with the line; nothing is guessed.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from tuppence.errors import RequestError
from tuppence.prune.payloads.records import ABSENT, Path, Table, objects_of, records_of
from tuppence.prune.payloads.scalars import scalar
from tuppence.prune.payloads.values import JsonValue

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BARE_VALUE = re.compile(r"[^,}\]\n]*")
_BARE_KEY = re.compile(r'[^:,.\[\]{}"\n]+')
_BARE_NAME = re.compile(r'[^:,\[\]{}"\n]+')


def from_outline(text: str) -> JsonValue:
    try:
        reader = _Reader(text.split("\n"))
        value = reader.block(0)
        if reader.at < len(reader.lines):
            reader.refuse()
    except RecursionError:
        raise RequestError("this outline is nested too deep to be read: write it as JSON") from None
    return value


class _Reader:
    """Lines on their way to values."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0

    def refuse(self) -> NoReturn:
        line = self.lines[min(self.at, len(self.lines) - 1)]
        raise RequestError(f"line {self.at + 1} is not of an outline ({line[:60]!r}): pass what was written as one")

    def block(self, indent: int) -> JsonValue:
        """Read the lines from here on that stand `indent` deep."""
        first = self._here(indent)
        if first is None:
            self.refuse()
        if first[:1] in ("[", "{"):
            return self._table(_Line(self, first), indent)
        if first == "-" or first.startswith("- "):
            return self._items(indent)
        return self._entries(indent)

    def _here(self, indent: int) -> str | None:
        """Return the line at hand without its indent; None where it stands less deep, or there is none."""
        if self.at >= len(self.lines) or not self.lines[self.at].startswith(" " * indent):
            return None
        found = self.lines[self.at][indent:]
        return None if found.startswith(" ") else found

    def _items(self, indent: int) -> list[JsonValue]:
        items: list[JsonValue] = []
        while (here := self._here(indent)) is not None:
            if here == "-":
                self.at += 1
                items.append(self.block(indent + 1))
            elif here.startswith("- "):
                items.append(_Line(self, here[2:]).whole())
                self.at += 1
            else:
                self.refuse()
        return items

    def _entries(self, indent: int) -> dict[str, JsonValue]:
        entries: dict[str, JsonValue] = {}
        while (here := self._here(indent)) is not None:
            line = _Line(self, here)
            key = line.word(_BARE_NAME)
            if key in entries:
                self.refuse()
            if line.next in ("[", "{"):
                entries[key] = self._table(line, indent)
                continue
            line.take(":")
            if line.next:
                entries[key] = line.whole()
                self.at += 1
            else:
                self.at += 1
                entries[key] = self.block(indent + 1)
        return entries

    def _table(self, line: _Line, indent: int) -> JsonValue:
        keyed = line.next == "{"
        columns, star = line.header()
        self.at += 1
        rows: list[tuple[Any, ...]] = []
        while (row := self._row(indent + 1)) is not None:
            if len(row) != len(columns):
                self.refuse()
            rows.append(row)
            self.at += 1
        if not keyed:
            return records_of(Table(columns, tuple(rows)))
        if star is None:
            self.refuse()
        return objects_of(Table(columns, tuple(rows)), star)

    def _row(self, indent: int) -> tuple[Any, ...] | None:
        if self.at >= len(self.lines) or not self.lines[self.at].startswith(" " * indent):
            return None
        return _Line(self, self.lines[self.at][indent:]).cells()


class _Line:
    """One line and how far it is read."""

    def __init__(self, reader: _Reader, text: str) -> None:
        self.reader = reader
        self.text = text
        self.at = 0

    @property
    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, mark: str) -> None:
        if self.next != mark:
            self.reader.refuse()
        self.at += 1

    def took(self, mark: str) -> bool:
        """Take the mark where it stands here."""
        if self.next != mark:
            return False
        self.at += 1
        return True

    def whole(self) -> JsonValue:
        """Read the rest of the line as one value."""
        if self.next in ("[", "{", '"'):
            value = self.value()
        else:
            value, self.at = scalar(self.text[self.at :]), len(self.text)
        if self.next:
            self.reader.refuse()
        return value

    def word(self, bare: re.Pattern[str]) -> str:
        quoted = _QUOTED.match(self.text, self.at)
        found = quoted or bare.match(self.text, self.at)
        if found is None:
            self.reader.refuse()
        self.at = found.end()
        return self._unquoted(quoted[0]) if quoted is not None else found[0]

    def value(self) -> JsonValue:
        if self.next == "{":
            return self._object()
        if self.next == "[":
            return self._list()
        if self.next == '"':
            return self.word(_BARE_VALUE)
        found = _BARE_VALUE.match(self.text, self.at)
        self.at = self.at if found is None else found.end()
        return scalar(found[0]) if found is not None else None

    def cells(self) -> tuple[Any, ...]:
        """Read a table's row."""
        cells = [self._cell()]
        while self.took(","):
            cells.append(self._cell())
        if self.next:
            self.reader.refuse()
        return tuple(cells)

    def header(self) -> tuple[tuple[Path, ...], int | None]:
        """Read a table's columns, and which of them holds the keys; the empty path is a column that is only keys."""
        end = "}" if self.next == "{" else "]"
        self.at += 1
        columns: list[Path] = []
        star = None
        while True:
            if self.took("*"):
                star = len(columns)
            columns.append(() if self.next in (",", end) and star == len(columns) else self._path())
            if not self.took(","):
                break
        self.take(end)
        self.take(":")
        if self.next:
            self.reader.refuse()
        return tuple(columns), star

    def _path(self) -> Path:
        path = [self.word(_BARE_KEY)]
        while self.took("."):
            path.append(self.word(_BARE_KEY))
        return tuple(path)

    def _cell(self) -> Any:
        return ABSENT if self.next in ("", ",") else self.value()

    def _object(self) -> dict[str, JsonValue]:
        self.take("{")
        found: dict[str, JsonValue] = {}
        while not self.took("}"):
            if found:
                self.take(",")
            key = self.word(_BARE_NAME)
            self.take(":")
            found[key] = self.value()
        return found

    def _list(self) -> list[JsonValue]:
        self.take("[")
        found: list[JsonValue] = []
        while not self.took("]"):
            if found:
                self.take(",")
            found.append(self.value())
        return found

    def _unquoted(self, text: str) -> str:
        try:
            found: str = json.loads(text)
        except ValueError:
            self.reader.refuse()
        return found
