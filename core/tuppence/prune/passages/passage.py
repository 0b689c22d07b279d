"""What goes into a passage pruner and what comes out, in words of no framework.

A kept passage says where each of its pieces stood, so that a citation can be followed to the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.prune.audit import Audit
from tuppence.prune.sentences import Span


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved text."""

    text: str
    id: str = ""
    title: str = ""
    """Its header: sent above it, counted with it, and read for what the passage is about."""
    score: float | None = None
    """The retriever's or reranker's: handed on, and otherwise only read by `RankedByScore`."""


@dataclass(frozen=True, slots=True)
class KeptPassage:
    """What is left of one passage."""

    index: int
    """Its place among the passages that were given, from 0."""
    text: str
    """The kept sentences, joined by the white space that stood between them, or by a space or a line break where
    something was left out."""
    spans: tuple[Span, ...]
    """Where the kept pieces stood in the original text; sentences that follow each other are one piece."""
    id: str = ""
    title: str = ""
    score: float | None = None

    @property
    def sent(self) -> str:
        """The passage as it is counted: its title on a line of its own, then its text."""
        return as_sent(self.title, self.text)


@dataclass(frozen=True, slots=True)
class PrunedPassages:
    """The passages of which something was kept, in their original order."""

    passages: tuple[KeptPassage, ...]
    audit: Audit


def as_sent(title: str, text: str) -> str:
    """Write a passage as it goes into a prompt."""
    return f"{title}\n{text}" if title else text


def untouched_passages(passages: Sequence[Passage]) -> tuple[KeptPassage, ...]:
    """Keep everything."""
    return tuple(
        KeptPassage(index, one.text, (Span(0, len(one.text)),) if one.text else (), one.id, one.title, one.score)
        for index, one in enumerate(passages)
    )


def shortened(index: int, passage: Passage, spans: Sequence[Span]) -> KeptPassage:
    """Keep the sentences at `spans`, which are in order and do not overlap."""
    pieces: list[Span] = []
    parts: list[str] = []
    for span in spans:
        gap = passage.text[pieces[-1].end : span.start] if pieces else ""
        if pieces and not gap.strip():
            pieces[-1] = Span(pieces[-1].start, span.end)
        else:
            pieces.append(span)
            gap = ("\n" if "\n" in gap else " ") if parts else ""
        parts += [gap, span.of(passage.text)]
    return KeptPassage(index, "".join(parts), tuple(pieces), passage.id, passage.title, passage.score)
