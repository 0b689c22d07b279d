"""Finds what a printed page carries besides its text: page numbers, running heads, rules. A line is only taken for
one on the evidence of the whole text, never because it is short: a short line may be a heading or a figure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from tuppence.prune.sections.lexicon import lexicon, named_exactly
from tuppence.prune.sections.lines import Line, Page, neighbours

LABEL = "furniture"
_BARE_NUMBER = re.compile(r"[-–—|\[( ]*(\d{1,4})[-–—|\]) ]*")
_OF = re.compile(r"\d{1,4}\s?(?:/|of|von|de|sur|di|van)\s?\d{1,4}")
_LABELLED = re.compile(r"[^\W\d_][\w ]{0,24}:\s")
_MARKED = re.compile(
    r"confidential|copyright|©|all rights reserved|draft|vertraulich|entwurf|confidentiel|confidencial"
)
_DIGITS = re.compile(r"\d+")
_HEAD_WORDS = 16
_FOOT_WORDS = 30
"""A running foot may be a sentence about confidentiality."""
_REPEATS = 3
_NEAR = 2
"""Lines that show something between a running head and the edge of its page: a head may have two lines, and a foot."""
_MOST_AT_AN_EDGE = 0.6
_RULE_CHARS = 3
_TELLING_WORDS = 4
"""A shorter line that comes back, such as `Management response`, may be a heading under each finding."""


def mark_furniture(page: Page) -> None:
    """Label page numbers and running heads; a line that opens the text is its title, whatever comes back of it."""
    shown = [i for i, line in enumerate(page.lines) if line.text and not page.labels[i]]
    turned = _turned(page, shown)
    numbers = set(_page_numbers(page, shown, turned))
    edges = _edges(shown, turned, numbers)
    found = numbers | set(_running(page, shown, edges)) - set(shown[:1])
    for index in found:
        page.labels[index] = LABEL


def mark_rules(page: Page) -> None:
    """Label lines without a letter or a digit, once it is known which of them underline a heading or rule a table."""
    for index, line in enumerate(page.lines):
        if len(line.text) >= _RULE_CHARS and not page.labels[index] and not any(map(str.isalnum, line.text)):
            page.labels[index] = LABEL


def _turned(page: Page, shown: list[int]) -> set[int]:
    """Collect the places in `shown` behind which a page ends; -1 where one ends before the first."""
    ends = [-1, *shown]
    behind = [*shown, len(page.lines)]
    return {
        order - 1
        for order, (first, last) in enumerate(zip(ends, behind, strict=True))
        if any(page.lines[i].turns for i in range(max(first, 0), last))
    }


@cache
def _paged() -> re.Pattern[str]:
    words = "|".join(sorted(map(re.escape, lexicon().pages | {"p.", "página", "pág.", "s."}), key=len, reverse=True))
    number = r"(?:\d{1,4}|[ivxlc]{1,7})"
    return re.compile(rf"(?:{words})\s*{number}(?:\s*(?:of|/|von|de|sur|di|van|av)\s*{number})?", re.IGNORECASE)


def _page_numbers(page: Page, shown: list[int], turned: set[int]) -> Iterator[int]:
    """Find lines that are a page number, and those that end or begin with `Page 3 of 12`."""
    bare: list[tuple[int, int]] = []
    for order, index in enumerate(shown):
        line = page.lines[index]
        if line.words > _HEAD_WORDS:
            continue
        paged = _paged().search(line.text)
        if paged and (paged[0] == line.text.strip("-–—|[]() ") or _at_one_end(line, paged)):
            yield index
        elif (number := _BARE_NUMBER.fullmatch(line.text)) and _alone(page, shown, order):
            bare.append((index, int(number[1])))
            if order in turned or order - 1 in turned:
                yield index
        elif _OF.fullmatch(line.text) and _alone(page, shown, order):
            yield index
    for (one, first), (two, second) in pairwise(bare):
        if 0 < second - first <= 2:
            yield from (one, two)


def _at_one_end(line: Line, paged: re.Match[str]) -> bool:
    """`ACME plc | Page 3 of 12` is a running foot; `see page 3` and a line of prose are not."""
    before, after = line.text[: paged.start()].rstrip(), line.text[paged.end() :].lstrip()
    if line.ended or not paged[0][-1].isdigit():
        return False
    apart = ("|", "-", "–", "—", "·", "•", "\t", ",", "/")
    tail = not after and (before.endswith(apart) or "  " in line.text[: paged.start()][-3:])
    return tail or (not before and after.startswith(apart)) or (not after and " of " in paged[0])


def _alone(page: Page, shown: list[int], order: int) -> bool:
    """Neither neighbour is a number: a column of figures is no run of pages."""
    beside = [shown[i] for i in (order - 1, order + 1) if 0 <= i < len(shown)]
    return not any(_BARE_NUMBER.fullmatch(page.lines[i].text) and abs(i - shown[order]) <= _NEAR for i in beside)


def _edges(shown: list[int], turned: set[int], numbers: set[int]) -> set[int]:
    """Collect the lines next to where a page ends or its number stands."""
    edges: set[int] = set()
    for order, index in enumerate(shown):
        if index in numbers or order in turned:
            edges.update(shown[max(0, order - _NEAR + 1) : order + _NEAR + 1])
    return edges


def _running(page: Page, shown: list[int], edges: set[int]) -> Iterator[int]:
    """Find lines that come back, numbers aside, at the edges of pages, or in so many words anywhere."""
    _, below = neighbours(page)
    alike: dict[str, list[int]] = defaultdict(list)
    equal: dict[str, list[int]] = defaultdict(list)
    for index in shown:
        line = page.lines[index]
        if line.words <= _FOOT_WORDS and not line.text.startswith(("#", "|")) and any(map(str.isalnum, line.text)):
            equal[_unpaged(line.text)].append(index)
            if line.words <= _HEAD_WORDS:
                alike[_DIGITS.sub("#", line.text.casefold())].append(index)
    for found in alike.values():
        if len(found) >= 2 and sum(i in edges for i in found) >= max(2.0, _MOST_AT_AN_EDGE * len(found)):
            yield from found
    for found in equal.values():
        if len(found) >= _REPEATS and _tells(page.lines[found[0]]):
            numbered = len({page.lines[i].text for i in found}) > 1
            yield from (i for i in found if numbered or _stands_alone(page, i, below))


def _unpaged(text: str) -> str:
    """Take a page number off either end."""
    return " ".join(re.sub(r"^\d{1,4}\s+|\s+\d{1,4}$", "", text.casefold()).split())


def _tells(line: Line) -> bool:
    """Say whether a line that comes back word for word can only be a running head."""
    if line.item or named_exactly(line.text):
        return False
    if _MARKED.search(line.text.casefold()):
        return True
    return line.words >= _TELLING_WORDS and not line.ended and not _LABELLED.match(line.text)


def _stands_alone(page: Page, index: int, below: list[int]) -> bool:
    """A line of its own, with white space or the end of a page on one side at least."""
    above_blank = index == 0 or not page.lines[index - 1].text or page.lines[index - 1].turns
    return above_blank or below[index] != index + 1
