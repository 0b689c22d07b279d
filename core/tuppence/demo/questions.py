"""What the demo asks: questions made of the documents themselves, so that any folder will do.

Made by rule, without a model: the same folder gives the same questions. Answers are never written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from tuppence.demo.documents import Document, Section

# Numbers are the questions that need reading, "a" and "b" those that a plain function can answer. Three of eight calls
# repeat one: what a cache saves depends on that share, and the summary says so.
_ORDER = (0, "a", 1, 0, 2, "b", 1, 0)
_READING = 3
_MIN_SECTION_CHARS = 160


@dataclass(frozen=True, slots=True)
class Question:
    """One call of the chain."""

    text: str
    repeated: bool
    """The very same question was asked before."""


def questions(documents: Sequence[Document]) -> tuple[Question, ...]:
    """Return the calls of one run, in order."""
    reading = [question for question, _ in zip(_about(documents), range(_READING), strict=False)]
    texts: dict[int | str, str] = {"a": "How many documents are there?", "b": "Which document is the longest?"}
    texts |= dict(enumerate(reading))
    asked: set[str] = set()
    calls: list[Question] = []
    for slot in _ORDER:
        if slot in texts:
            calls.append(Question(texts[slot], texts[slot] in asked))
            asked.add(texts[slot])
    return tuple(calls)


def _about(documents: Sequence[Document]) -> Iterator[str]:
    """Ask about a section of each document in turn, then about each one's next section."""
    seen: set[str] = set()
    for row in zip_longest(*([*_asked(d)] for d in documents)):
        for question in row:
            if question is not None and question not in seen:
                seen.add(question)
                yield question


def _asked(document: Document) -> Iterator[str]:
    python = document.name.endswith(".py")
    told = [s for s in document.sections if len(s.text) >= _MIN_SECTION_CHARS]
    for section in told or document.sections:
        yield _question(section, document.name, python=python)


def _question(section: Section, name: str, *, python: bool) -> str:
    heading = section.heading.rstrip(".:")
    if not heading:
        return f"What is {name} about?"
    if python:
        return f"What is {heading} for?"
    if heading.endswith("?"):
        return heading
    return f'What is said about "{heading}"?'
