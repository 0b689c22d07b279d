"""Finds tables of contents, which repeat every heading of a text: by leaders and page numbers, by what stands under
such a heading, or by links into the page. They are looked for before headings are, since their lines look like some.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tuppence.prune.sections.lexicon import folded, kind_of, named_exactly, unnumbered
from tuppence.prune.sections.lines import Line, Page

LABEL = "contents"
_LEADER = re.compile(r"(?:[.·…_]\s?){3,}\s*(?:\d{1,4}|[ivxlc]{1,7})$|…\s*\d{1,4}$")
_PAGED = re.compile(r"[^\d\W].*\s(\d{1,4})$")
_LINK = re.compile(r"(?:[-*+]|\d+\.)\s+\[[^\]]*\]\(#[^)]*\)")
_LINKED = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_ENTRY_CHARS, _ENTRY_WORDS = 140, 14
_FEWEST = 2
"""Entries that make a table of contents where its heading says so."""
_FEWEST_UNNAMED = 4
"""And where nothing says so: lines that end in rising numbers."""


def mark_contents(page: Page) -> None:
    """Label the lines of tables of contents, and their headings unless those are marked as such."""
    for index in sorted({*_led(page), *_linked(page), *_named(page), *_rising(page)}):
        page.labels[index] = page.labels[index] or LABEL


def _led(page: Page) -> Iterator[int]:
    """Find lines that end in leaders and a page, and what was wrapped between two of them."""
    last = -1
    for index, line in enumerate(page.lines):
        if len(line.text) <= 2 * _ENTRY_CHARS and _LEADER.search(line.text):
            if last >= 0 and index - last <= 2:
                yield from range(last + 1, index)
            yield index
            last = index


def _linked(page: Page) -> Iterator[int]:
    yield from (i for i, line in enumerate(page.lines) if len(line.text) <= 400 and _LINK.fullmatch(line.text))


def _named(page: Page) -> Iterator[int]:
    """Read on below a heading such as `Contents` for as long as lines look like its entries."""
    for index, line in enumerate(page.lines):
        if len(line.text) > 60 or page.labels[index] or kind_of(line.text) != LABEL or not named_exactly(line.text):
            continue
        found = _entries(page, index + 1)
        if len(found) >= _FEWEST:
            yield from found
            # A heading with a mark opens a section, which then is one of contents.
            if not line.text.startswith("#") and page.lines[index + 1].text[:1] not in ("=", "-", "~"):
                yield index


def _entries(page: Page, start: int) -> list[int]:
    seen: set[str] = set()
    found: list[int] = []
    for index in range(start, len(page.lines)):
        line = page.lines[index]
        if not line.text or page.labels[index] == "furniture":
            continue
        key = _key(line)
        if key in seen or line.text.startswith("#") or not _is_entry(line):
            # What stands above a paragraph, without a page number, is its heading, and no last entry.
            headed = found and not _is_entry(line) and not _PAGED.match(page.lines[found[-1]].text)
            return found[:-1] if headed else found
        seen.add(key)
        found.append(index)
    return found


def _key(line: Line) -> str:
    bare = _LEADER.sub("", _LINKED.sub(r"\1", line.text))
    return re.sub(r"\s\d{1,4}$", "", folded(unnumbered(bare)))


def _is_entry(line: Line) -> bool:
    return line.words <= _ENTRY_WORDS and len(line.text) <= _ENTRY_CHARS and not line.ended


def _rising(page: Page) -> Iterator[int]:
    """Find neighbouring lines of words that each end in a number no smaller than the one before."""
    run: list[int] = []
    last = 0
    for index, line in enumerate([*page.lines, None]):
        if line is not None and (not line.text or page.labels[index] == "furniture"):
            continue
        bare = unnumbered(line.text) if line is not None and len(line.text) <= _ENTRY_CHARS else ""
        paged = _PAGED.match(bare)
        if paged and int(paged[1]) >= last and not re.search(r"\d\s+\d+$", bare):
            run.append(index)
            last = int(paged[1])
            continue
        if len(run) >= _FEWEST_UNNAMED and _headlike(page, run):
            yield from run
        run, last = ([index], int(paged[1])) if paged else ([], 0)


def _headlike(page: Page, run: list[int]) -> bool:
    """Entries are numbered, or known as headings: a column of rising figures is neither."""
    known = 0
    for index in run:
        text = page.lines[index].text
        bare = re.sub(r"\s\d{1,4}$", "", text)
        known += bool(re.match(r"\d+(?:\.\d+)*\.?\s+[^\W\d]", text)) or bool(kind_of(bare))
    return 2 * known >= len(run)
