"""Finds headings, whatever a loader made of them: Markdown (`#`, underlined, bold), reStructuredText, numbers,
capitals, or a short line that stands alone; and says how deep each is. Where a text marks its headings, only the marks
count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tuppence.prune.sections.lexicon import folded, kind_of, lexicon, named_exactly
from tuppence.prune.sections.lines import Page, neighbours

LABEL = "heading"
Style = Literal["hash", "underlined", "bold", "numbered", "capitals", "plain"]
DEEPEST = 6

_HASH = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*")
_UNDERLINE = re.compile(r"([=\-~^\"'#*+`])\1{2,}")
_BOLD = re.compile(r"(\*\*|__)(\S.{0,120}?)\1:?")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,3}){0,4})[.)]?\s+(\S.*)|([IVXLC]{1,6}|[A-Z])[.)]\s+(\S.*)")
_FIRST = re.compile(r"(?:1|I|A)[.)]?\s")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_LABELLED = re.compile(r"(?![^\W\d_]+ \d+:)[^:]{1,40}:\s+\S")
"""`Severity: high`, but not `Finding 3: no second signature`."""
_MOST_WORDS, _MOST_CHARS = 14, 110
"""Of a heading: a line of print holds about as much."""
_MOST_COUNTED = 1000
_PLAIN_WORDS, _PLAIN_CHARS = 10, 80
"""Of a heading without any mark."""
_PROSE_WORDS = 7
"""From which a line is taken for text, not for another short line."""
_PROSE_TIMES = 2.0
"""How much longer than a heading the line below it is, where no blank line sets it apart."""
_MARKED = 2
"""Headings with a mark from which a text is one that marks its headings."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that was found."""

    line: int
    last: int
    """Its last line: an underline belongs to it."""
    level: int
    text: str
    """Without marks; a number stays."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line that may be a heading, before it is known how this text writes its headings."""

    line: int
    last: int
    style: Style
    text: str
    depth: int
    """Hashes, parts of its number, or the order in which its underline came first."""


def mark_headings(page: Page) -> list[Heading]:
    """Label the headings' lines, and return them in order."""
    found = [*_marked(page)]
    if sum(one.style != "bold" for one in found) < _MARKED:
        firm = {one.line for one in found} | {one.last for one in found}
        found = sorted([*found, *(one for one in _unmarked(page) if one.line not in firm)], key=lambda one: one.line)
    for one in found:
        for index in range(one.line, one.last + 1):
            page.labels[index] = LABEL
    return _levelled(found)


def _marked(page: Page) -> Iterator[Candidate]:
    """Find headings that carry a mark of their own."""
    underlines: dict[str, int] = {}
    for index, line in enumerate(page.lines):
        if not line.text or page.labels[index] or len(line.text) > 2 * _MOST_CHARS:
            continue
        if hashed := _HASH.fullmatch(line.text):
            yield Candidate(index, index, "hash", _plain(hashed[2]), len(hashed[1]))
        elif (mark := _underline(page, index)) is not None:
            depth = underlines.setdefault(mark, len(underlines) + 1)
            yield Candidate(index, index + 1, "underlined", _plain(line.text), min(depth, DEEPEST))
        elif (bold := _BOLD.fullmatch(line.text)) and _is_bold_heading(page, index, bold[2]):
            yield Candidate(index, index, "bold", _plain(bold[2]), DEEPEST)


def _is_bold_heading(page: Page, index: int, text: str) -> bool:
    short = page.lines[index].words <= _MOST_WORDS and not text.endswith((".", ";", ","))
    return short and "**" not in text and _open_above(page, index)


def _underline(page: Page, index: int) -> str | None:
    """Return the character that underlines a line, None where nothing does."""
    below = page.shown(index + 1)
    if below is None or page.labels[index + 1] or len(below.text) > 3 * _MOST_CHARS:
        return None
    drawn = _UNDERLINE.fullmatch(below.text)
    line = page.lines[index]
    if not drawn or _UNDERLINE.fullmatch(line.text) or line.item or not _letters(line.text):
        return None
    above = page.shown(index - 1)
    clear = above is None or not above.text or _UNDERLINE.fullmatch(above.text) or page.labels[index - 1]
    return drawn[1] if clear and line.words <= _MOST_WORDS and not line.text.endswith((".", ",", ";")) else None


def _unmarked(page: Page) -> Iterator[Candidate]:
    """Find headings by number, by capitals, or as short lines with text below them."""
    above, below = neighbours(page)
    for index, line in enumerate(page.lines):
        if not line.text or page.labels[index] or len(line.text) > _MOST_CHARS or line.words > _MOST_WORDS:
            continue
        after = below[index]
        if after < 0 or line.text.endswith((",", ";", "|")) or not _letters(line.text):
            continue
        if line.ended and not line.text.endswith("?"):
            continue
        if (one := _numbered(page, index, above[index], after)) is not None:
            yield one
        elif line.item or page.lines[after].text[0].islower():
            continue
        elif _capitals(line.text) and (_open_above(page, index) or page.lines[index - 1].item):
            yield Candidate(index, index, "capitals", line.text.rstrip(":"), 1)
        elif (_open_above(page, index) or named_exactly(line.text)) and _stands_out(page, index, after):
            yield Candidate(index, index, "plain", line.text.rstrip(": "), DEEPEST)


def _numbered(page: Page, index: int, before: int, after: int) -> Candidate | None:
    text = page.lines[index].text
    found = _NUMBERED.fullmatch(text)
    if found is None:
        words = text.split()
        named = folded(words[0]) in lexicon().numbering and len(words) >= 2 and _ordinal(words[1])
        if not named or not _open_above(page, index):
            return None
        return Candidate(index, index, "numbered", text, 1)
    number, title = found[1] or found[3], found[2] or found[4]
    if not (title[0].isupper() or not title[0].islower()) or title[0].isdigit() or not _letters(title):
        return None
    depth = number.count(".") + 1
    if depth == 1 and _one_of_a_list(page, index, before, after):
        return None
    if not _open_above(page, index) or (depth == 1 and not _open_below(page, index, after)):
        return None
    return Candidate(index, index, "numbered", text, depth)


def _ordinal(word: str) -> bool:
    bare = word.rstrip(".:–—-)")
    return bare.isdigit() or bool(re.fullmatch(r"[IVXLC]{1,6}|[A-Z]|\d+(?:\.\d+)*", bare))


def _one_of_a_list(page: Page, index: int, before: int, after: int) -> bool:
    """Say whether a like number stands on the line that shows something before or behind."""
    counted = _count(page.lines[index].text)
    if any(other >= 0 and _count(page.lines[other].text) == counted for other in (before, after)):
        return True
    # The text of an item may be wrapped: it goes on in small letters.
    return page.lines[after].text[0].islower() and after == index + 1


def _count(text: str) -> str:
    """Say what a line is counted by: `figures`, `romans`, `letters`, `parts` for 2.1, nothing where it is not."""
    found = _NUMBERED.fullmatch(text) if len(text) <= _MOST_COUNTED else None
    if found is None:
        return ""
    if found[1]:
        return "parts" if "." in found[1] else "figures"
    return "romans" if len(found[3]) > 1 or found[3] in "IVX" else "letters"


def _open_above(page: Page, index: int) -> bool:
    """Nothing that this line could be the end of stands right above it."""
    above = page.shown(index - 1)
    return above is None or not above.text or above.turns or above.ended or bool(page.labels[index - 1])


def _open_below(page: Page, index: int, after: int) -> bool:
    """A blank line, or one that is clearly longer, follows."""
    if after != index + 1 or page.labels[after]:
        return True
    line, below = page.lines[index], page.lines[after]
    return below.words >= _PROSE_WORDS and len(below.text) >= _PROSE_TIMES * len(line.text)


def _capitals(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return len(letters) >= 4 and all(char.isupper() for char in letters)


def _stands_out(page: Page, index: int, after: int) -> bool:
    """Say whether a line without a mark can only be a heading: short, alone, with text below it."""
    line = page.lines[index]
    text = line.text.rstrip(":")
    if named_exactly(text):
        return _open_below(page, index, after) or page.lines[after].words > line.words
    if line.words > _PLAIN_WORDS or len(text) > _PLAIN_CHARS or text[0].islower() or _LABELLED.match(text):
        return False
    if not (text[0].isalpha() or text[0].isdigit()) or text != line.text:
        return False
    above = page.lines[index - 1] if index else None
    if above is not None and above.text and not page.labels[index - 1] and above.words < _PROSE_WORDS:
        return False
    set_off = after != index + 1 or bool(page.labels[after])
    return _prose_below(page, after) if set_off else _open_below(page, index, after)


def _prose_below(page: Page, after: int) -> bool:
    line = page.lines[after]
    return page.labels[after] in ("table", "caption") or line.item or line.words >= _PROSE_WORDS or line.ended


def _letters(text: str) -> bool:
    """Letters outweigh everything else."""
    return 2 * sum(map(str.isalpha, text)) >= len(text.replace(" ", ""))


def _plain(text: str) -> str:
    return _LINK.sub(r"\1", text).strip("*_ :").strip()


def _levelled(found: Sequence[Candidate]) -> list[Heading]:
    """Say how deep each heading is, by how this text as a whole writes its headings."""
    styles = Counter(one.style for one in found)
    counted = Counter(_count(one.text) for one in found if one.style == "numbered")
    restarts = sum(one.style == "numbered" and bool(_FIRST.match(one.text)) for one in found)
    named_capitals = sum(one.style == "capitals" and bool(kind_of(one.text)) for one in found)
    repeated = Counter(folded(one.text) for one in found)
    headings: list[Heading] = []
    for one in found:
        level = one.depth
        if one.style == "plain":
            named = named_exactly(one.text) and repeated[folded(one.text)] == 1
            level = 1 if named or not styles["capitals"] + styles["numbered"] else DEEPEST
        elif one.style == "numbered":
            # Points below capitals or roman numerals, or counted anew in each section, are not the sections.
            below = named_capitals >= _MARKED or (counted["romans"] >= _MARKED and _count(one.text) != "romans")
            level += below or (restarts > 1 and one.depth == 1 and _count(one.text) == "figures")
            level += _count(one.text) == "letters" and counted["figures"] >= _MARKED
        headings.append(Heading(one.line, one.last, min(level, DEEPEST), one.text))
    return headings
