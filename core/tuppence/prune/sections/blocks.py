"""Gathers lines into the blocks that they were written as: a paragraph, an item of a list, a table, a heading. A
paragraph that a page break cut in two is one block again, and the running head between is none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tuppence.prune.sections.headings import Heading
from tuppence.prune.sections.lexicon import kind_announced
from tuppence.prune.sections.lines import Page
from tuppence.prune.sections.tables import Table

Form = Literal["heading", "prose", "item", "table", "caption", "code", "furniture", "navigation", "contents"]


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together."""

    form: Form
    lines: Sequence[int]
    table: Table | None = None

    def shown(self, page: Page) -> str:
        """Return its text, lines without their indentation."""
        return "\n".join(page.lines[i].text for i in self.lines)


def gather(page: Page, tables: Sequence[Table], headings: Sequence[Heading]) -> list[Block]:
    """List the blocks of a labelled text in order, every line that shows something in one of them."""
    set_off = {one.first: Block("table", range(one.first, one.last + 1), one) for one in tables}
    set_off |= {one.line: Block("heading", range(one.line, one.last + 1)) for one in headings}
    found: list[Block] = []
    prose: list[int] = []
    index, gap = 0, False
    while index < len(page.lines):
        block = set_off.get(index) or _labelled(page, index)
        if block is None and page.lines[index].text:
            if prose and _begins(page, prose[-1], index, gap):
                found.append(_prose(page, prose))
                prose = []
            prose.append(index)
            gap = False
        elif block is None or block.form == "furniture":
            gap = True
        elif prose:
            found.append(_prose(page, prose))
            prose = []
        if block is not None:
            found.append(block)
        index = block.lines[-1] + 1 if block is not None else index + 1
    return [*found, _prose(page, prose)] if prose else found


def _labelled(page: Page, index: int) -> Block | None:
    """Return the block that begins with a line whose label says what it is, None for prose."""
    label = page.labels[index]
    if label == "furniture":
        return Block("furniture", (index,))
    if label == "navigation":
        return Block("navigation", (index,))
    if label == "caption":
        return Block("caption", (index,))
    if label != "contents" and label != "code":
        return None
    last = index
    while last + 1 < len(page.lines) and page.labels[last + 1] == label:
        last += 1
    return Block("contents" if label == "contents" else "code", range(index, last + 1))


def _prose(page: Page, lines: Sequence[int]) -> Block:
    return Block("item" if page.lines[lines[0]].item else "prose", tuple(lines))


def _begins(page: Page, last: int, index: int, gap: bool) -> bool:
    """Say whether a block begins with this line, though the block of line `last` is not known to have ended."""
    line = page.lines[index]
    if line.item or kind_announced(line.text):
        return True
    if not gap:
        return False
    # Only a running head or the edge of a page may stand within a sentence; a blank line alone ends a block.
    between = range(last, index)
    paged = any(page.labels[i] == "furniture" or page.lines[i].turns for i in between)
    return not (paged and not page.lines[last].ended and line.text[0].islower())
