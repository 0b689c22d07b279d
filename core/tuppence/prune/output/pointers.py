"""Reads answers that point at numbered sources, and gives back what they point at: the sources' own characters, and
never a word of the model's. A wrong number is an error, or is left out and named, as the caller chooses; it is never
taken for another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tuppence.prune.audit import TokenCounter, counter_for
from tuppence.prune.output.errors import AnswerError
from tuppence.prune.output.numbered import NumberedSources
from tuppence.prune.output.saving import OutputSaving

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_UNCLOSED = re.compile(r"\[\s*[\"']?[0-9][^\[\]]*\Z")
_POINTER = re.compile(r"(?P<source>[0-9]{1,9})(?::(?P<piece>[0-9]{1,9}))?(?:[-–](?P<last>[0-9]{1,9}))?")
_SHOWN_CHARS = 40
_SHOWN_FAULTS = 10
"""What is sent back to a model must not be as long as the answer of one that ran in a loop."""

_Place = tuple[int, int]
"""A source and a piece of it, both counted from 0."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch of one source."""

    source: int
    """Number of the source, from 1."""
    start: int
    end: int
    """Its characters in the source."""
    text: str


@dataclass(frozen=True, slots=True)
class Expanded:
    """What an answer points at."""

    answer: str
    """As the model wrote it."""
    quotes: tuple[Quote, ...]
    """In the order of the answer; none where it says that no source has it."""
    dropped: tuple[str, ...] = field(default=(), kw_only=True)
    """What was wrong and left out, pointer by pointer with the reason."""

    @property
    def text(self) -> str:
        return "\n".join(quote.text for quote in self.quotes)

    def __str__(self) -> str:
        return self.text

    def saving(self, sources: NumberedSources, *, counter: TokenCounter | None = None) -> OutputSaving:
        """Count what was saved against a model that repeats the text, with the numbers and the instructions as cost."""
        count = counter or counter_for()
        plain = "\n\n".join(sources.texts)
        return OutputSaving(
            output_before=count(self.text),
            output_after=count(self.answer),
            prompt_before=count(plain),
            prompt_after=count(sources.rendered) + count(sources.instructions),
        )


def expand(sources: NumberedSources, answer: str) -> Expanded:
    """Return what `answer` points at; words around the pointers are passed over.

    Raises `AnswerError`, with what is wrong in it, where the answer has no pointer, or one to a source or a place
    that is not there, that ends before it begins, that was cut off, or that gives again what another gave.
    """
    places, faults = _read(sources, answer)
    if faults:
        more = [f"and {len(faults) - _SHOWN_FAULTS} more"] if len(faults) > _SHOWN_FAULTS else []
        raise AnswerError(f"{'; '.join([*faults[:_SHOWN_FAULTS], *more])}. {_there(sources)}")
    return Expanded(answer, tuple(_quotes(sources, places)))


def salvage(sources: NumberedSources, answer: str) -> Expanded:
    """Return what `answer` points at, without what is wrong in it: that is named in `dropped`. Never raises."""
    places, faults = _read(sources, answer)
    return Expanded(answer, tuple(_quotes(sources, places)), dropped=tuple(faults))


def _read(sources: NumberedSources, answer: str) -> tuple[list[list[_Place]], list[str]]:
    """Return the places of each right pointer, none of them twice, and what is wrong with the others."""
    found: list[list[_Place]] = []
    faults: list[str] = []
    seen: set[_Place] = set()
    names = list(_names(answer))
    for name in names:
        places, fault = _places(sources, name)
        fresh = [place for place in places if place not in seen]
        if len(fresh) < len(places):
            fault = "is given already"
        if fault:
            faults.append(f"[{_short(name)}] {fault}")
        if fresh:
            found.append(fresh)
        seen.update(fresh)
    cut = _UNCLOSED.search(answer)
    if cut:
        faults.append(f"{_short(cut[0])} is not closed")
    elif not names and not any(not inside.strip() for inside in _BRACKETS.findall(answer)):
        faults.append("the answer points at nothing: write numbers in square brackets, or [] for none")
    return found, faults


def _names(answer: str) -> Iterator[str]:
    """Find what is meant for a pointer: what stands in brackets and begins with a digit; a bare number is an answer."""
    for inside in _BRACKETS.findall(answer):
        names = [name.strip().strip("\"'").strip() for name in re.split("[,;]", inside)]
        if names[0][:1].isdigit():
            yield from names


def _places(sources: NumberedSources, name: str) -> tuple[list[_Place], str]:
    """Return the places that a pointer names, or none and what is wrong with it."""
    read = _POINTER.fullmatch(name)
    if read is None:
        return [], "is no pointer"
    source, last = int(read["source"]), int(read["last"] or 0)
    if not 1 <= source <= len(sources.texts):
        return [], f"names source {source}, which is not there"
    if read["piece"] is None:
        return _whole(sources, source, last if read["last"] else source)
    if sources.unit == "source":
        return [], "names a part of a source, and sources have no numbered parts"
    piece, count = int(read["piece"]), len(sources.pieces[source - 1])
    last = last if read["last"] else piece
    if last < piece:
        return [], "ends before it begins"
    if piece < 1 or last > count:
        return [], f"names {sources.unit}s that are not there: source {source} has {count}"
    return [(source - 1, place) for place in range(piece - 1, last)], ""


def _whole(sources: NumberedSources, first: int, last: int) -> tuple[list[_Place], str]:
    if last < first:
        return [], "ends before it begins"
    if last > len(sources.texts):
        return [], f"names source {last}, which is not there"
    places = [(source, place) for source in range(first - 1, last) for place in range(len(sources.pieces[source]))]
    return places, "" if places else "names a source without text"


def _quotes(sources: NumberedSources, found: Iterable[list[_Place]]) -> Iterator[Quote]:
    """Cut the text of each pointer out, neighbours in one stretch."""
    for places in found:
        start = 0
        for at in range(1, len(places) + 1):
            if at == len(places) or places[at] != (places[at - 1][0], places[at - 1][1] + 1):
                source, spans = places[start][0], sources.pieces[places[start][0]]
                begin, end = spans[places[start][1]].start, spans[places[at - 1][1]].end
                yield Quote(source + 1, begin, end, sources.texts[source][begin:end])
                start = at


def _there(sources: NumberedSources) -> str:
    return f"There are sources 1 to {len(sources.texts)}." if sources.texts else "There are no sources."


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}..."
