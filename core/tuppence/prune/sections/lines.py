"""A text as lines: where each stands, what it shows, and what surrounds it. All other modules of this room read these
and label them; none changes a character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_ITEM = re.compile(r"(?:[-*+•·–‣◦▪●○■□➢✓]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)]|\[\d{1,3}\])\s+\S")
_FENCE = re.compile(r"```|~~~")
_ENDING = re.compile(r"[.!?。！？…؟][\"'”’»)\]*_]*(?:\[\d+\])?$")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, without the white space around it."""

    start: int
    end: int
    text: str
    turns: bool
    """A page ends behind it (a form feed)."""
    words: int

    @property
    def ended(self) -> bool:
        """A sentence ends here."""
        return _ENDING.search(self.text[-12:]) is not None

    @property
    def item(self) -> bool:
        """It opens an item of a list."""
        return _ITEM.match(self.text) is not None


@dataclass(slots=True)
class Page:
    """A text on its way to being read: its lines, and a label for each that is no prose."""

    text: str
    lines: Sequence[Line]
    labels: list[str] = field(default_factory=list)
    """By line: `furniture`, `navigation`, `contents`, `table`, `code`, `caption`, `heading`, or nothing."""

    def shown(self, index: int) -> Line | None:
        """Return the line, None outside the text."""
        return self.lines[index] if 0 <= index < len(self.lines) else None


def read_lines(text: str) -> Page:
    """Cut a text at every kind of line end; fenced code is labelled at once, since nothing in it is what it looks."""
    lines: list[Line] = []
    labels: list[str] = []
    at, fence = 0, ""
    for raw in text.splitlines(keepends=True):
        shown = raw.strip()
        start = at + len(raw) - len(raw.lstrip()) if shown else at
        lines.append(Line(start, start + len(shown), shown, "\f" in raw, len(shown.split())))
        mark = _FENCE.match(shown)
        labels.append("code" if fence or mark else "")
        if mark:
            fence = "" if fence == mark[0] else fence or mark[0]
        at += len(raw)
    if fence:
        # A fence that nobody closed is no fence, else it would hide the rest of the text.
        labels = [""] * len(labels)
    return Page(text, lines, labels)


def neighbours(page: Page) -> tuple[list[int], list[int]]:
    """Return, for every line, the nearest above and below that shows something and is no furniture; -1 for none."""
    above, below = [-1] * len(page.lines), [-1] * len(page.lines)
    last = -1
    for index in range(len(page.lines)):
        above[index] = last
        if page.lines[index].text and page.labels[index] != "furniture":
            last = index
    last = -1
    for index in reversed(range(len(page.lines))):
        below[index] = last
        if page.lines[index].text and page.labels[index] != "furniture":
            last = index
    return above, below
