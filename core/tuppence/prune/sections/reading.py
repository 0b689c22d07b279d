"""Reads a text as a report: sections with what kind each is, and within them blocks of prose, tables and the rest.
A kind that would be left out is believed only where what stands in the section bears its heading out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tuppence.prune.sections.ballast import cites, disclaims, mark_navigation
from tuppence.prune.sections.blocks import Block, gather
from tuppence.prune.sections.contents import mark_contents
from tuppence.prune.sections.furniture import mark_furniture, mark_rules
from tuppence.prune.sections.headings import Heading, mark_headings
from tuppence.prune.sections.lexicon import kind_of, named_exactly
from tuppence.prune.sections.lines import Page, read_lines
from tuppence.prune.sections.tables import mark_tables
from tuppence.prune.sentences import Span

_WHOLE = frozenset(("summary", "conclusion", "recommendations", "appendix"))
"""Kinds that hold for everything below their heading, whatever that is called."""
_HANDED_ON = _WHOLE | {"findings", "discussion", "background", "method", "references", "legal"}
"""Kinds that hold for a section below them whose own heading says nothing."""
_MOST_HANDED_ON = 0.6
"""Share of a text above which a heading is its title, and no section."""


@dataclass(frozen=True, slots=True)
class Section:
    """One heading and what stands below it, up to the next heading of any depth."""

    level: int
    """1 is the highest; 0 is what stands before the first heading."""
    heading: str
    """As it stands, without Markdown; empty before the first one."""
    span: Span
    """From its heading to the next one's; the sections of a text cover it."""
    kind: str
    """`summary`, `conclusion`, `recommendations`, `findings`, `discussion`, `background`, `method`, `appendix`,
    `references`, `contents`, `legal`, `acknowledgements`; `body` where its heading says nothing, `front` before it."""


@dataclass(frozen=True, slots=True)
class Report:
    """A text that has been read."""

    page: Page
    sections: tuple[Section, ...]
    blocks: tuple[tuple[Block, ...], ...]
    """By section; its heading is the first where it has one."""
    parents: tuple[int, ...]
    """The section that each stands below, -1 for none."""

    @property
    def headed(self) -> bool:
        """More headings than a title were found."""
        return sum(section.level > 0 for section in self.sections) >= 2


def read_sections(text: str) -> list[Section]:
    """List the sections of `text` in order, each with the kind that its heading and what it holds make it."""
    return list(read_report(text).sections)


def read_report(text: str) -> Report:
    """Find what a text is made of. Takes time in proportion to its length."""
    page = read_lines(text)
    mark_furniture(page)
    mark_navigation(page)
    mark_contents(page)
    tables = mark_tables(page)
    headings = mark_headings(page)
    mark_rules(page)
    sections = _cut(text, page, headings)
    parents = _parents(sections)
    blocks = _by_section(gather(page, tables, headings), sections)
    kinds = _kinds(sections, parents, len(text))
    report = Report(page, tuple(replace(s, kind=k) for s, k in zip(sections, kinds, strict=True)), blocks, parents)
    borne_out = tuple(replace(s, kind=_borne_out(report, i)) for i, s in enumerate(report.sections))
    return replace(report, sections=borne_out)


def _cut(text: str, page: Page, headings: Sequence[Heading]) -> list[Section]:
    """Cut a text at its headings; what stands before the first one is a section too."""
    starts = [page.lines[one.line].start for one in headings]
    first = starts[0] if starts else len(text)
    found: list[Section] = []
    if text[:first].strip():
        found.append(Section(0, "", Span(0, first), "front" if starts else "body"))
    elif starts:
        starts[0] = 0
    spans = [Span(start, end) for start, end in pairwise([*starts, len(text)])]
    return found + [Section(one.level, one.text, span, "body") for one, span in zip(headings, spans, strict=True)]


def _parents(sections: Sequence[Section]) -> tuple[int, ...]:
    parents: list[int] = []
    above: list[int] = []
    for index, section in enumerate(sections):
        while above and sections[above[-1]].level >= section.level:
            above.pop()
        parents.append(above[-1] if above else -1)
        if section.level:
            above.append(index)
    return tuple(parents)


def _kinds(sections: Sequence[Section], parents: Sequence[int], chars: int) -> list[str]:
    """Name each section by its heading, else by the one that it stands below."""
    below = [section.span.end - section.span.start for section in sections]
    for index in reversed(range(len(sections))):
        if parents[index] >= 0:
            below[parents[index]] += below[index]
    kinds: list[str] = []
    for section, parent in zip(sections, parents, strict=True):
        own = kind_of(section.heading) if section.level else section.kind
        above = kinds[parent] if parent >= 0 and below[parent] <= _MOST_HANDED_ON * chars else ""
        if above in _WHOLE and own not in _WHOLE:
            own = above
        kinds.append(own or (above if above in _HANDED_ON else "") or "body")
    title = next((i for i, section in enumerate(sections) if section.level), -1)
    if title >= 0 and below[title] > _MOST_HANDED_ON * chars and not named_exactly(sections[title].heading):
        kinds[title] = "body"
    return kinds


def _by_section(blocks: Sequence[Block], sections: Sequence[Section]) -> tuple[tuple[Block, ...], ...]:
    groups: list[list[Block]] = [[]] if sections and not sections[0].level else []
    for block in blocks:
        if block.form == "heading":
            groups.append([])
        groups[-1].append(block)
    return tuple(map(tuple, groups))


def _borne_out(report: Report, index: int) -> str:
    """Return the kind of a section, `body` where it claims one that what stands in it does not bear out."""
    kind = report.sections[index].kind
    body = [one for one in report.blocks[index] if one.form in ("prose", "item")]
    text = "\n".join(one.shown(report.page) for one in body)
    if kind == "references":
        return kind if cites(text) else "body"
    if kind == "legal":
        return kind if disclaims(text) else "body"
    if kind == "contents":
        return kind if any(one.form == "contents" for one in report.blocks[index]) or not body else "body"
    return kind
