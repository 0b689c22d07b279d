"""Fenced blocks of Markdown (CommonMark 4.5): where whitespace is part of what is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPENING = re.compile(r"^ {0,3}(?:> ?)*(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fence:
    """What stands between two fences."""

    start: int
    """Its first character: the line after the opening fence."""
    end: int
    """Where the closing fence's line begins; the end of the text where there is none."""
    language: str
    """In lower case; empty where the fence names none."""


def fences(text: str) -> Iterator[Fence]:
    """Yield the fenced blocks of a text in order."""
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        start = min(opening.end() + 1, len(text))
        mark = opening["mark"]
        closing = re.compile(rf"^ {{0,3}}(?:> ?)*{re.escape(mark[0])}{{{len(mark)},}}[ \t\r]*$", re.MULTILINE)
        found = closing.search(text, start)
        end = len(text) if found is None else found.start()
        yield Fence(start, end, opening["info"].split()[0].lower() if opening["info"].split() else "")
        at = len(text) if found is None else found.end()
