"""Puts the units of a report in the order in which they fill a budget: what was asked for by question, by kind or by
name, then the rest by worth; and names those that have no chance whatever room there is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tuppence.prune.sections.lexicon import folded, unnumbered
from tuppence.prune.sections.reading import Report
from tuppence.prune.sections.units import Unit
from tuppence.prune.sections.worth import asked, weigh, with_question

KEPT = ("summary", "conclusion", "recommendations")
"""Kinds of section kept whole as long as they fit."""
DROPPED = ("table", "references", "contents", "legal", "acknowledgements", "navigation", "furniture")
"""Kinds of section and block left out whatever room there is."""
KINDS = frozenset((*KEPT, *DROPPED, "findings", "discussion", "background", "method", "appendix", "body", "front"))

_ANSWERS = 0.5
"""Match with the question, beside the best one's, from which a unit comes before the summary."""
_MOST_ANSWERS = 20
"""Units that may come before the summary: more share a common word, and answer nothing."""
_TITLE_WORDS = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """Kinds and headings that somebody named."""

    kinds: frozenset[str]
    headings: frozenset[str]

    @classmethod
    def of(cls, names: Collection[str]) -> Wanted:
        headings = frozenset(_bare(name) for name in names if name not in KINDS)
        return cls(frozenset(names) & KINDS, headings)

    def sections(self, report: Report) -> frozenset[int]:
        """Return the sections with one of the headings, and all below them."""
        found: set[int] = set()
        for index, (section, parent) in enumerate(zip(report.sections, report.parents, strict=True)):
            if parent in found or _bare(section.heading) in self.headings:
                found.add(index)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Ranking:
    """An order of units, and what is not in it."""

    order: tuple[int, ...]
    """The most urgent first."""
    dropped: dict[int, str]
    """Unit -> the kind that it was left out for, `section` where its heading was named."""


def rank(report: Report, units: list[Unit], keep: Wanted, drop: Wanted, question: str) -> Ranking:
    """Order the units that may be kept; without terms of its own in the report, a question changes nothing."""
    texts = [unit.of(report.page.text) for unit in units]
    headings = [section.heading for section in report.sections]
    scores = weigh(texts, units, headings)
    match = asked(texts, units, headings, question) if question.strip() else [0.0] * len(units)
    named, unwanted = keep.sections(report), drop.sections(report)
    best = sorted((i for i in range(len(units)) if match[i] >= _ANSWERS), key=lambda i: (-match[i], i))
    answers = frozenset(best[:_MOST_ANSWERS])
    dropped: dict[int, str] = {}
    urgent: dict[int, int] = {}
    for index, unit in enumerate(units):
        if unit.section in unwanted:
            dropped[index] = "section"
        elif unit.kind in drop.kinds and unit.section not in named and not (unit.kind == "table" and index in answers):
            dropped[index] = unit.kind
        elif unit.form != "heading":
            # A heading stands only where something below it does.
            wanted = unit.kind in keep.kinds or unit.section in named
            urgent[index] = 0 if index in answers else 1 if wanted else 2
    joint = with_question(scores, match)
    order = sorted(urgent, key=lambda index: (urgent[index], -joint[index], index))
    return Ranking((*_title(units, texts, dropped), *order) if order else (), dropped)


def _title(units: list[Unit], texts: list[str], dropped: dict[int, str]) -> tuple[int, ...]:
    """The first heading, or a line before it, says what the text is."""
    first = next((i for i in range(len(units)) if i not in dropped and units[i].form in ("heading", "sentence")), -1)
    titled = first >= 0 and (units[first].form == "heading" or texts[first].count(" ") < _TITLE_WORDS)
    return (first,) if titled else ()


def _bare(heading: str) -> str:
    return folded(unnumbered(heading))
