"""Paragraphs that a prompt holds twice, word for word, where the second adds nothing.

A paragraph is only left out where it cannot mean something else than the first: both under the same heading, outside of
tags and fences, a sentence or two at least, with no colon before or at the end, and no label like an example's turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tuppence.prune.payloads.fences import fences

_FEWEST_WORDS = 20
"""A sentence or two. Shorter ones are as often labels and refrains (`Answer yes or no.`) that belong there."""
_LINE = re.compile(r"[^\n]+")
_HEADING = re.compile(r" {0,3}#{1,6}\s")
_LABEL = re.compile(r"[\W_]*\w[\w ]{0,30}:(?:\s|\*|$)")
_FENCE = re.compile(r"`{3}|~{3}")
_TAG = re.compile(r"<(/?)([A-Za-z][\w.-]*)[^<>\n]*?(/?)>")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A block that stood before."""

    start: int
    end: int
    """With the empty lines after it."""
    text: str


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    end: int
    text: str
    heading: str
    """The heading that it stands under, or begins with."""
    open: bool
    """It stands for itself: it may be left out, or be what another repeats."""

    @property
    def is_heading(self) -> bool:
        return "\n" not in self.text and _HEADING.match(self.text) is not None


def repeats(text: str) -> list[Repeat]:
    """Find the paragraphs that may be left out because they stand earlier too, in order."""
    blocks = list(_blocks(text))
    seen: set[tuple[str, str]] = set()
    again: set[int] = set()
    headings: list[int] = []
    for at, block in enumerate(blocks):
        said = (block.heading, block.text)
        if not block.open:
            continue
        if said in seen and block.is_heading:
            headings.append(at)
        elif said in seen and len(block.text.split()) >= _FEWEST_WORDS:
            again.add(at)
        seen.add(said)
    again.update([at for at in headings if _empty_now(blocks, at, again)])
    ends = [block.start for block in blocks[1:]] + [len(text)]
    return [Repeat(blocks[at].start, ends[at], blocks[at].text) for at in sorted(again)]


def _empty_now(blocks: list[_Block], heading: int, again: set[int]) -> bool:
    """Say whether all that stood under a heading is left out."""
    under = 0
    for at in range(heading + 1, len(blocks)):
        if _HEADING.match(blocks[at].text):
            break
        if at not in again:
            return False
        under += 1
    return under > 0


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the paragraphs outside of fences, with what they stand under and in."""
    heading, depth, colon = "", 0, False
    for start, end, after_fence in _paragraphs(text):
        words = text[start:end]
        heading = words.split("\n", 1)[0].strip() if _HEADING.match(words) else heading
        free = depth == 0 and not (colon or after_fence or words[0].isspace() or _LABEL.match(words))
        depth = max(0, depth + _opened(words))
        colon = words.rstrip().endswith(":")
        yield _Block(start, end, words, heading, free and not (colon or depth or _FENCE.search(words)))


def _paragraphs(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield where lines stand without an empty one between them, and whether they begin with the end of a fence."""
    at, fenced = 0, False
    for fence in [*fences(text), None]:
        upto = len(text) if fence is None else fence.start
        start = end = at
        for line in _LINE.finditer(text, at, upto):
            if not line[0].strip():
                continue
            if end > start and line.start() > end + 1:
                yield start, end, fenced and start == at
                start = line.start()
            start, end = (line.start() if end == start else start), line.end()
        if end > start:
            yield start, end, fenced and start == at
        at, fenced = (upto if fence is None else fence.end), True


def _opened(text: str) -> int:
    """Return how many tags a text opens and does not close."""
    return sum(-1 if tag[1] else 1 for tag in _TAG.finditer(text) if not tag[3])
