"""What all forms share: the draft that they write down, numbers of headings, columns, broken lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pruning_parts.reports.model import Element, Heading, Table

CONTENTS = {"en": "Contents", "de": "Inhaltsverzeichnis", "fr": "Table des matières", "es": "Índice"}
_TABLE = {"en": "Table", "de": "Tabelle", "fr": "Tableau", "es": "Tabla"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A report before it has a form."""

    title: str
    byline: str
    """Who it is by, and its number: what running heads repeat."""
    language: str
    elements: Sequence[Element]

    def captioned(self) -> Iterator[tuple[Element, str]]:
        """Go through the elements, with the caption of tables, numbered."""
        number = 0
        for one in self.elements:
            number += isinstance(one, Table)
            yield one, f"{_TABLE[self.language]} {number}: {one.caption}" if isinstance(one, Table) else ""

    def headings(self) -> list[Heading]:
        return [one for one in self.elements if isinstance(one, Heading)]


def numbers_of(headings: Sequence[Heading]) -> list[str]:
    """Number headings 1, 1.1, 1.2, 2 ..."""
    top = sub = 0
    found = []
    for one in headings:
        top, sub = (top + 1, 0) if one.level == 1 else (top, sub + 1)
        found.append(f"{top}" if one.level == 1 else f"{top}.{sub}")
    return found


def aligned(table: Table, gap: str = "  ") -> list[str]:
    """Write a table in columns: words to the left, numbers to the right."""
    rows = [table.header, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        gap.join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))])
        for first, *cells in rows
    ]


def wrapped(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
