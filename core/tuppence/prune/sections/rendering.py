"""Writes down what was kept and what was cut: kept text as it stood, with the white space it stood in, and a mark in
place of tables of figures, so that nobody takes them for missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuppence.prune.audit import Cut, TokenCounter
from tuppence.prune.sections.reading import Report
from tuppence.prune.sections.units import Unit
from tuppence.prune.sentences import Span

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n|\f")
_STUB = "[table left out]"
_LEAST_LOST = 3 * len(_STUB)
"""Characters of a table from which a mark in its place is worth its own."""

WHY: Mapping[str, str] = {
    "table": "a table of figures; keep=('table',) keeps such",
    "references": "a list of references",
    "contents": "a table of contents",
    "legal": "a disclaimer, licence or copyright notice",
    "acknowledgements": "thanks to people",
    "navigation": "a menu, a cookie banner or the like",
    "furniture": "a running head, a page number or a rule",
}
_FOR_THE_BUDGET = "worth less than what filled the budget of {} tokens"
_NAMED = "left out by name"


@dataclass(frozen=True, slots=True)
class Pieces:
    """Characters of a report with the unit that they belong to, in order."""

    spans: tuple[Span, ...]
    units: tuple[int, ...]

    @classmethod
    def of(cls, units: Sequence[Unit]) -> Pieces:
        found = sorted((span.start, span.end, index) for index, unit in enumerate(units) for span in unit.pieces)
        return cls(tuple(Span(start, end) for start, end, _ in found), tuple(index for _, _, index in found))

    def __iter__(self) -> Iterator[tuple[Span, int]]:
        return zip(self.spans, self.units, strict=True)


@dataclass(slots=True)
class _Run:
    """Kept pieces with nothing cut between them."""

    span: Span
    first: int
    last: int
    """Its last unit."""
    lost: int = 0
    """Characters of tables of figures that were cut behind it, within a section of which something was kept."""


def written(text: str, units: Sequence[Unit], pieces: Pieces, kept: frozenset[int]) -> tuple[str, tuple[Span, ...]]:
    """Join what was kept; returns the text, and which characters of the input stand in it, in order."""
    runs = _runs(units, pieces, kept)
    parts: list[str] = []
    for order, run in enumerate(runs):
        if order:
            parts.append(_gap(text, units, runs[order - 1], run))
        parts.append(run.span.of(text))
        within = order + 1 < len(runs) and units[runs[order + 1].first].block == units[run.last].block
        if within:
            # A mark between two rows would end the table for a reader.
            run.lost = 0
        if run.lost >= _LEAST_LOST:
            parts += ["\n", _STUB]
    return "".join(parts), tuple(run.span for run in runs)


def _runs(units: Sequence[Unit], pieces: Pieces, kept: frozenset[int]) -> list[_Run]:
    alive = {units[index].section for index in kept}
    runs: list[_Run] = []
    touching = False
    for span, index in pieces:
        if index not in kept:
            touching = False
            if runs and units[index].kind == "table" and units[index].section in alive:
                runs[-1].lost += span.end - span.start
        elif touching:
            runs[-1].span, runs[-1].last = Span(runs[-1].span.start, span.end), index
        else:
            runs.append(_Run(span, index, index))
            touching = True
    return runs


def _gap(text: str, units: Sequence[Unit], before: _Run, after: _Run) -> str:
    """Return the white space between two runs: as much as they stood apart, but no more than a blank line."""
    one, other = units[before.last], units[after.first]
    between = text[before.span.end : after.span.start]
    if before.last == after.first or (one.block == other.block and "row" not in (one.form, other.form)):
        apart = between[:1].isspace() or between[-1:].isspace()
        return ("\n" if before.lost >= _LEAST_LOST else " ") if apart else ""
    return "\n\n" if _BLANK_LINE.search(between) else "\n"


def audited(
    report: Report, units: Sequence[Unit], pieces: Pieces, kept: frozenset[int], dropped: Mapping[int, str],
    budget: int, count: TokenCounter,
) -> tuple[Cut, ...]:  # fmt: skip
    """List what was cut, neighbours of one kind and section together; `dropped` says which kinds never had a chance."""
    alive = {units[index].section for index in kept}
    gone = {units[index].section for index in range(len(units)) if index not in dropped} - alive
    found: list[tuple[int, int, str, str, int]] = []
    joins = False
    for span, index in pieces:
        if index in kept:
            joins = False
            continue
        section = units[index].section
        kind = dropped.get(index) or ("section" if section in gone else units[index].form)
        why = WHY.get(kind, _NAMED) if index in dropped else _FOR_THE_BUDGET.format(budget)
        if joins and found[-1][2:] == (kind, why, section):
            found[-1] = (found[-1][0], span.end, kind, why, section)
        else:
            found.append((span.start, span.end, kind, why, section))
        joins = True
    text = report.page.text
    return tuple(
        Cut(kind, report.sections[section].heading, why, count(text[start:end]), text[start:end], (start, end))
        for start, end, kind, why, section in found
    )
