"""Whitespace that says nothing: trailing blanks, and more than one empty line.

Kept, because it may be meant: everything within fences, on indented lines and between them, two blanks that break a
line of Markdown, and blanks within a line. Words are never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuppence.prune.payloads.fences import fences

_LINE = re.compile(r"([^\n]*?)(\r?\n|\Z)")
_BREAK = "  "
"""Two blanks at the end of a line that another follows: a hard line break in Markdown (CommonMark 6.7)."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    end: str
    fenced: bool

    @property
    def blank(self) -> bool:
        return not self.text.strip(" \t")

    @property
    def indented(self) -> bool:
        return self.text[:1] in (" ", "\t")


def without_spare_whitespace(text: str) -> str:
    """Return a text with one empty line where there were several, and no blanks where nobody sees them."""
    lines = _lines(text)
    kept: list[str] = []
    inside = _inside_indentation(lines)
    for at, line in enumerate(lines):
        if line.fenced or at in inside:
            kept.append(line.text + line.end)
        elif line.blank:
            if kept and kept[-1].strip("\r\n"):
                kept.append(line.end)
        else:
            follows = at + 1 < len(lines) and not lines[at + 1].blank
            kept.append(_shortened(line.text, follows) + line.end)
    while kept and not kept[-1].strip() and not lines[-1].fenced:
        kept.pop()
    found = "".join(kept)
    # Whoever appends to a prompt counts on how it ends.
    return found if text.endswith("\n") else found.rstrip("\r\n")


def _shortened(text: str, follows: bool) -> str:
    if text[:1] in (" ", "\t"):
        return text
    bare = text.rstrip(" \t")
    return bare + _BREAK if follows and text.endswith(_BREAK) else bare


def _lines(text: str) -> list[_Line]:
    blocks = list(fences(text))
    lines: list[_Line] = []
    for found in _LINE.finditer(text):
        while blocks and blocks[0].end <= found.start():
            blocks.pop(0)
        fenced = bool(blocks) and blocks[0].start <= found.start()
        if found[0]:
            lines.append(_Line(found[1], found[2], fenced))
    return lines


def _inside_indentation(lines: list[_Line]) -> set[int]:
    """Return the blank lines that stand between two indented ones: code, or a block of text that YAML keeps."""
    inside: set[int] = set()
    blank: list[int] = []
    before = False
    for at, line in enumerate(lines):
        if line.blank and not line.fenced:
            blank.append(at)
            continue
        if before and line.indented:
            inside.update(blank)
        before, blank = line.indented, []
    return inside
