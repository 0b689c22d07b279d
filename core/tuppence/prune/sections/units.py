"""Takes a report apart into the units that are kept or cut whole: headings, sentences, items, rows, captions. A unit
knows what must stand with it: a row its table's head, an item the line that leads to it, everything its headings.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tuppence.prune.sections.ballast import is_navigation, is_notice, is_reference
from tuppence.prune.sections.blocks import Block
from tuppence.prune.sections.lexicon import kind_announced
from tuppence.prune.sections.lines import Page
from tuppence.prune.sections.reading import Report
from tuppence.prune.sections.tables import Table
from tuppence.prune.sentences import Span, sentences

UnitForm = Literal["heading", "sentence", "row", "caption", "code", "furniture", "contents"]

WHOLE = frozenset(("summary", "conclusion", "recommendations"))
"""Kinds that say what a report has to say."""
_ITEM_WORDS = 60
"""A longer item is cut by sentences like a paragraph."""
_RUN_OF_REFERENCES = 3
_TAKEN_AT_THEIR_WORD = frozenset(("body", "front", "findings", "discussion", "background", "method", "contents"))
"""Kinds of section within which a paragraph may announce another kind."""
_SMALL_TABLE = 12
"""Rows up to which a table of figures within a summary is part of it."""
_TINY_TABLE = 3
"""Rows up to which a table of figures is weighed like sentences: a sentence would say as much."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of a report that is kept or cut whole."""

    pieces: tuple[Span, ...]
    """One, or more where a running head stands within a sentence."""
    section: int
    form: UnitForm
    kind: str
    """What it counts as: its section's kind, or one of its own such as `table` or `navigation`."""
    block: int
    """Blocks counted through the report."""
    opens: bool = False
    """The first text of its section."""
    closes: bool = False
    """The last one."""
    leads: bool = False
    """The first of its block."""
    needs: tuple[int, ...] = ()
    """Units that must stand where this one stands."""
    totals: bool = False
    """A row that adds up a table of figures."""

    def of(self, text: str) -> str:
        return " ".join(piece.of(text) for piece in self.pieces)


def take_apart(report: Report) -> list[Unit]:
    """List the units of a report; together they hold every character of it that shows."""
    taking = _Taking(report)
    for section in range(len(report.sections)):
        taking.take(section)
    return taking.units


class _Taking:
    """A report being taken apart, section by section."""

    def __init__(self, report: Report) -> None:
        self.units: list[Unit] = []
        self._report = report
        self._page = report.page
        self._headings: list[int] = []
        """By section: the unit that is its heading, -1 where it has none."""
        self._blocks = 0
        self._lead: tuple[int, ...] = ()
        """The unit that leads to the items or the table that follow."""

    def take(self, section: int) -> None:
        parent = self._report.parents[section]
        above = self._headings[parent] if parent >= 0 else -1
        self._headings.append(-1)
        self._lead = ()
        start = len(self.units)
        needs = (above,) if above >= 0 else ()
        for block, kind in zip(self._report.blocks[section], _block_kinds(self._report, section), strict=True):
            self._blocks += 1
            like = Unit((), section, "sentence", kind, self._blocks, needs=needs)
            if block.form == "heading":
                self._headings[section] = len(self.units)
                needs = (len(self.units),)
                self.units.append(replace(like, pieces=_whole(self._page, block.lines), form="heading"))
            else:
                self._take_block(block, like)
        texts = [i for i in range(start, len(self.units)) if self.units[i].form == "sentence"]
        if texts:
            self.units[texts[0]] = replace(self.units[texts[0]], opens=True)
            self.units[texts[-1]] = replace(self.units[texts[-1]], closes=True)

    def _take_block(self, block: Block, like: Unit) -> None:
        whole = _whole(self._page, block.lines)
        if block.form == "table" and block.table is not None:
            self.units += self._rows(block.table, replace(like, needs=like.needs + self._lead))
            self._lead = ()
        elif block.form == "prose" or block.form == "item":
            self._take_prose(block, like)
        elif block.form == "caption":
            self._lead = (len(self.units),)
            self.units.append(replace(like, pieces=whole, form="caption"))
        elif block.form == "code":
            self.units.append(replace(like, pieces=whole, form="code"))
        else:
            form: UnitForm = "contents" if block.form == "contents" else "furniture"
            self.units.append(replace(like, pieces=whole, form=form))

    def _take_prose(self, block: Block, like: Unit) -> None:
        if block.form == "item":
            like = replace(like, needs=like.needs + self._lead)
        spans = _sentences(self._page, block)
        self.units += (
            replace(like, pieces=pieces, leads=i == 0 and block.form == "prose") for i, pieces in enumerate(spans)
        )
        if block.form == "prose":
            leads = self._page.lines[block.lines[-1]].text.endswith((":", "："))
            self._lead = (len(self.units) - 1,) if leads else ()

    def _rows(self, table: Table, like: Unit) -> Iterator[Unit]:
        """Cut a table by rows; rules go with the row above them, cells that stand one to a line all together."""
        small = len(table.rows) <= (_SMALL_TABLE if like.kind in WHOLE else _TINY_TABLE)
        dropped = table.raw and not small
        if table.shape == "cells":
            kind = "table" if dropped else like.kind
            yield replace(like, pieces=_whole(self._page, range(table.first, table.last + 1)), form="row", kind=kind)
            return
        head = (len(self.units),) if table.headed else ()
        starts = [table.first, *(row.line for row in table.rows[1:])]
        for order, (row, start, end) in enumerate(zip(table.rows, starts, [*starts[1:], table.last + 1], strict=True)):
            totals = order > 0 and row.totals and table.raw
            yield replace(
                like,
                pieces=_whole(self._page, range(start, end)),
                form="row",
                kind=like.kind if totals or not dropped else "table",
                needs=like.needs + (head if order else ()),
                totals=totals,
            )


def _block_kinds(report: Report, section: int) -> list[str]:
    """Name every block of a section: as the section, or by what it is whatever stands around it."""
    kind = report.sections[section].kind
    blocks = report.blocks[section]
    kinds = [_block_kind(report.page, block, kind) for block in blocks]
    texts = [i for i, block in enumerate(blocks) if block.form in ("prose", "item")]
    run: list[int] = []
    for i in [*texts, -1]:
        if i >= 0 and is_reference(blocks[i].shown(report.page)):
            run.append(i)
            continue
        if len(run) >= _RUN_OF_REFERENCES:
            for one in run:
                kinds[one] = "references"
        run = []
    return kinds


def _block_kind(page: Page, block: Block, kind: str) -> str:
    if block.form in ("furniture", "navigation", "contents"):
        return block.form
    if block.form not in ("prose", "item"):
        return "body" if kind == "contents" and block.form != "heading" else kind
    text = block.shown(page)
    if is_navigation(text):
        return "navigation"
    if kind != "legal" and is_notice(text):
        return "legal"
    if kind not in _TAKEN_AT_THEIR_WORD:
        return kind
    # Only a paragraph that begins with `Conclusion:` says what it is; the others belong to their section.
    own = kind_announced(text)
    return own if own in WHOLE or own == "findings" else "body" if kind == "contents" else kind


def _whole(page: Page, lines: Sequence[int]) -> tuple[Span, ...]:
    return (Span(page.lines[lines[0]].start, page.lines[lines[-1]].end),)


def _sentences(page: Page, block: Block) -> list[tuple[Span, ...]]:
    """Cut a block's text, without what stands between its lines, into sentences; a short item stays whole."""
    text = block.shown(page)
    if block.form == "item" and text.count(" ") < _ITEM_WORDS:
        return [_placed(page, block, _offsets(page, block), Span(0, len(text)))]
    offsets = _offsets(page, block)
    return [_placed(page, block, offsets, span) for span in sentences(text)]


def _offsets(page: Page, block: Block) -> list[int]:
    """Return where each line of a block begins in the text that its lines make together."""
    offsets, at = [], 0
    for index in block.lines:
        offsets.append(at)
        at += len(page.lines[index].text) + 1
    return offsets


def _placed(page: Page, block: Block, offsets: Sequence[int], span: Span) -> tuple[Span, ...]:
    """Say where a piece of a block stands in the report: in one piece unless lines of another kind lie within it."""
    first, last = bisect_right(offsets, span.start) - 1, bisect_right(offsets, span.end - 1) - 1
    runs: list[list[int]] = []
    for order in range(first, last + 1):
        if runs and block.lines[order] == block.lines[runs[-1][-1]] + 1:
            runs[-1].append(order)
        else:
            runs.append([order])
    pieces = []
    for run in runs:
        head, tail = page.lines[block.lines[run[0]]], page.lines[block.lines[run[-1]]]
        start = head.start + (span.start - offsets[first] if run[0] == first else 0)
        end = tail.start + span.end - offsets[last] if run[-1] == last else tail.end
        pieces.append(Span(start, end))
    return tuple(pieces)
