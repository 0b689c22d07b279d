"""A question and its passages, read once: sentences, terms and token counts that everything after works with.

Each sentence's tokens are counted once. Reading judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuppence.prune.audit import TokenCounter
from tuppence.prune.lexical import terms
from tuppence.prune.passages.passage import Passage
from tuppence.prune.sentences import Span, sentences

_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True, eq=False)
class Sentence:
    """One sentence of one passage."""

    number: int
    """Its place among all sentences, from 0."""
    source: int
    """Its passage's place."""
    place: int
    """Its place in its passage, from 0."""
    span: Span
    text: str = field(repr=False)
    terms: list[str] = field(repr=False)
    words: list[str] = field(repr=False)
    """All its words, small ones too, in lower case."""
    tokens: int
    """With the space before it."""
    distinct: frozenset[str] = field(init=False, repr=False)
    """Its terms, each once."""

    def __post_init__(self) -> None:
        self.distinct = frozenset(self.terms)


@dataclass(slots=True, eq=False)
class Source:
    """One passage, cut into sentences."""

    number: int
    passage: Passage
    sentences: list[Sentence]
    title_terms: list[str]
    header_tokens: int
    """What its title costs as soon as one sentence is kept."""
    distinct: frozenset[str] = field(init=False, repr=False)
    """The terms of its title and text, each once."""

    def __post_init__(self) -> None:
        self.distinct = frozenset(self.title_terms).union(*(one.distinct for one in self.sentences))

    @property
    def terms(self) -> list[str]:
        return [*self.title_terms, *(term for one in self.sentences for term in one.terms)]


@dataclass(slots=True, eq=False)
class Material:
    """Everything that was read."""

    question: str
    sources: list[Source]
    sentences: list[Sentence]


def plain_words(text: str) -> list[str]:
    """List all words, small ones too, as titles and names are compared by."""
    return _WORD.findall(text.lower().replace("'", "").replace("’", ""))


def read_material(question: str, passages: Sequence[Passage], count: TokenCounter) -> Material:
    """Read passages for a question; `count` gives a text's tokens."""
    read = Material(question, [], [])
    for number, passage in enumerate(passages):
        found: list[Sentence] = []
        for place, span in enumerate(sentences(passage.text)):
            text = span.of(passage.text)
            at = len(read.sentences) + place
            found.append(Sentence(at, number, place, span, text, terms(text), plain_words(text), count(f" {text}")))
        header = count(f"{passage.title}\n") if passage.title else 0
        read.sources.append(Source(number, passage, found, terms(passage.title) if passage.title else [], header))
        read.sentences += found
    return read
