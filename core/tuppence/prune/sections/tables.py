"""Finds tables in text that has lost its ruling: pipes, tabs, columns of spaces, CSV, rows of figures, and cells that
came out one to a line. It says which are raw figures; a table of words is text, whatever its shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tuppence.prune.sections.lexicon import folded, lexicon, named_exactly
from tuppence.prune.sections.lines import Line, Page

LABEL = "table"
CAPTION = "caption"
_RULES = frozenset("|+ \t:=-─┼┬┴├┤═╪│┃╞╡")
_GAPS = re.compile(r"\t+|\s{2,}")
_BARS = re.compile(r"[|│┃]")
_DATE = re.compile(r"\d{4}-\d\d(?:-\d\d)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_IDENTIFIER = re.compile(r"[A-Za-z]{1,5}[-_ ]?\d{1,4}(?:\.\d+)?")
_NOTHING = frozenset(("-", "–", "—", "n/a", "na", "n.a.", "nil", "..", "…"))
_FIGURE = re.compile(r"[(<>≤≥~≈±+\-–−$€£¥#]*\s?\d[\d.,'’ ]*\s?[%‰)*†‡°]?\)?")
_FIGURE_WORD = re.compile(r"\S*\d\S*")
_MEAN_CELL_CHARS = 60
_RAW_SHARE = 0.4
"""Figures among the cells from which a table is raw figures: a label and one figure, or one word in two beside them."""
_ROW_SHARE = 0.4
_ROW_LABEL_WORDS = 6
_CELL_CHARS, _CELL_WORDS = 32, 5
_CELLS = 6
"""Lines that make a table of cells that stand one to a line."""
_CELL_FIGURES = 0.4
_HEAD_CELLS = 8
_FEWEST = {"bars": 2, "tabs": 2, "gaps": 2, "commas": 3, "semicolons": 3, "figures": 3}
"""Rows from which lines that look alike are a table."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, by its line."""

    line: int
    cells: tuple[str, ...]

    @property
    def figures(self) -> int:
        return sum(map(is_figure, self.cells))

    @property
    def totals(self) -> bool:
        """It adds up the others."""
        words = folded(self.cells[0]).split() if self.cells else []
        known = lexicon().totals
        return bool(words) and (words[0] in known or words[-1] in known or " ".join(words[:2]) in known)


@dataclass(frozen=True, slots=True)
class Table:
    """Lines `first` to `last`, both within it."""

    first: int
    last: int
    rows: tuple[Row, ...]
    """Without rules; the first is the head where it holds fewer figures than the others."""
    shape: str

    @property
    def raw(self) -> bool:
        """It is figures: what a person reads the text around it for."""
        body = self.rows[1:] if self.headed else self.rows
        cells = sum(len(row.cells) for row in body)
        return cells > 0 and sum(row.figures for row in body) >= _RAW_SHARE * cells

    @property
    def headed(self) -> bool:
        if len(self.rows) < 2 or self.shape == "cells":
            return False
        first, second = self.rows[0], self.rows[1]
        return first.figures == 0 or 2 * first.figures < second.figures or _years(first)


def is_figure(cell: str) -> bool:
    """Say whether a cell is a number with at most a unit: `12.3 ms`, `(4.1)`, `34 (56 %)`; no date, no id like R-12."""
    bare = cell.strip(" *_`")
    if bare.casefold() in _NOTHING:
        return True
    digits = sum(char.isdigit() for char in bare)
    if not digits or _DATE.fullmatch(bare) or _IDENTIFIER.fullmatch(bare):
        return False
    letters = sum(char.isalpha() for char in bare)
    return _FIGURE.fullmatch(bare) is not None or letters <= min(6, digits + 3)


def mark_tables(page: Page) -> list[Table]:
    """Label the lines of tables and of their captions, and return the tables in order."""
    shapes = [_shape(line) if line.text and not page.labels[i] else "" for i, line in enumerate(page.lines)]
    found = [*_runs(page, shapes)]
    taken = {i for table in found for i in range(table.first, table.last + 1)}
    found += _cell_runs(page, taken)
    for table in found:
        for index in range(table.first, table.last + 1):
            page.labels[index] = page.labels[index] or LABEL
    for index, line in enumerate(page.lines):
        if not page.labels[index] and _caption().match(line.text):
            page.labels[index] = CAPTION
    return sorted(found, key=lambda table: table.first)


@cache
def _caption() -> re.Pattern[str]:
    words = "|".join(sorted(map(re.escape, lexicon().captions | {"gráfico"}), key=len, reverse=True))
    return re.compile(rf"\**(?:{words})\.?\s+[A-Z]?[-.]?\d+(?:[.-]\d+)*[a-z]?\**\s*(?:[.:|–—-]|$)", re.IGNORECASE)


def _shape(line: Line) -> str:
    """Say what sets the cells of this line apart, nothing where it is no row."""
    text = line.text
    if _is_rule(text):
        return "rule"
    if text.startswith(("|", "│", "┃")) or len(_BARS.findall(text)) >= 2:
        return "bars"
    if "\t" in text:
        return "tabs"
    cells = _GAPS.split(text)
    if len(cells) >= 3 or (len(cells) == 2 and is_figure(cells[1])):
        return "gaps" if len(text) <= _MEAN_CELL_CHARS * len(cells) and not _prose(cells) else ""
    for name, mark in (("commas", ","), ("semicolons", ";")):
        if text.count(mark) >= 2 and f"{mark} " not in text and not line.ended:
            return name
    return "figures" if _row_of_figures(line) else ""


def _is_rule(text: str) -> bool:
    """A line drawn between rows, of several pieces: one piece alone may underline a heading."""
    if not _RULES.issuperset(text):
        return False
    return ("--" in text or "==" in text or "─" in text or "═" in text) and len(set(text)) > 1


def _prose(cells: list[str]) -> bool:
    """Two spaces behind full stops, not columns."""
    return sum(cell.endswith((".", "!", "?")) and cell.count(" ") >= 2 for cell in cells) * 2 >= len(cells)


def _row_of_figures(line: Line) -> bool:
    """A label and figures with single spaces between, as text from a PDF has them."""
    words = line.text.split()
    if not 2 <= len(words) <= 24 or line.text[0].islower() or line.item or line.text[-1] in ".;:":
        return False
    figures = [word for word in words if _FIGURE_WORD.fullmatch(word) or word in _NOTHING]
    labels = len(words) - len(figures)
    return len(figures) >= 2 and labels <= _ROW_LABEL_WORDS and len(figures) >= _ROW_SHARE * len(words)


def _runs(page: Page, shapes: list[str]) -> Iterator[Table]:
    """Join neighbouring rows of one shape, and the rules between them."""
    index = 0
    while index < len(shapes):
        first = index
        shape = next((s for s in shapes[first : first + 2] if s and s != "rule"), "") if shapes[first] else ""
        while index < len(shapes) and shapes[index] and shapes[index] in ("rule", shape):
            index += 1
        if index == first:
            index += 1
        elif shape:
            table = _table(page, first, index - 1, shapes, shape)
            if len(table.rows) >= _FEWEST[shape]:
                yield table


def _table(page: Page, first: int, last: int, shapes: list[str], shape: str) -> Table:
    if shape in ("figures", "gaps") and _head_above(page, shapes, first - 1):
        first -= 1
    lines = [i for i in range(first, last + 1) if shapes[i] != "rule"]
    return Table(first, last, tuple(Row(i, _cells(page.lines[i].text, shape)) for i in lines), shape)


def _head_above(page: Page, shapes: list[str], index: int) -> bool:
    """Say whether the line above rows of figures names their columns."""
    line = page.shown(index)
    if line is None or not line.text or page.labels[index] or shapes[index]:
        return False
    plain = not line.ended and not _caption().match(line.text) and not named_exactly(line.text)
    return plain and 2 <= line.words <= 10 and not line.text.startswith("#") and not line.text.endswith(":")


def _cells(text: str, shape: str) -> tuple[str, ...]:
    if shape == "bars":
        parts = _BARS.split(text.strip("|│┃ "))
    elif shape in ("tabs", "gaps"):
        parts = _GAPS.split(text)
    elif shape in ("commas", "semicolons"):
        parts = text.split("," if shape == "commas" else ";")
    else:
        parts = _label_and_figures(text)
    return tuple(part.strip() for part in parts)


def _label_and_figures(text: str) -> list[str]:
    words = text.split()
    label: list[str] = []
    while words and not _FIGURE_WORD.fullmatch(words[0]):
        label.append(words.pop(0))
    return [" ".join(label), *words]


def _cell_runs(page: Page, taken: set[int]) -> Iterator[Table]:
    """Find tables whose cells came out one to a line, with or without blank lines between."""
    run: list[int] = []
    for index, line in enumerate([*page.lines, None]):
        if line is not None and not line.text:
            continue
        if line is not None and index not in taken and not page.labels[index] and _is_cell(line):
            run.append(index)
            continue
        if (table := _cell_table(page, run)) is not None:
            yield table
        run = []


def _is_cell(line: Line) -> bool:
    short = len(line.text) <= _CELL_CHARS and line.words <= _CELL_WORDS
    return short and line.text[-1] not in ".;:!?" and not line.item and not line.text.startswith(("#", ">", "**"))


def _cell_table(page: Page, run: list[int]) -> Table | None:
    figures = [order for order, index in enumerate(run) if is_figure(page.lines[index].text)]
    if len(run) < _CELLS or not figures:
        return None
    run = run[max(0, figures[0] - _HEAD_CELLS) : figures[-1] + 1]
    while run and (named_exactly(page.lines[run[0]].text) or _caption().match(page.lines[run[0]].text)):
        run = run[1:]
    if len(run) < _CELLS or len(figures) < _CELL_FIGURES * len(run):
        return None
    return Table(run[0], run[-1], tuple(Row(i, (page.lines[i].text,)) for i in run), "cells")


def _years(row: Row) -> bool:
    return all(re.fullmatch(r"(?:19|20)\d\d", cell) for cell in row.cells[1:] if cell)
