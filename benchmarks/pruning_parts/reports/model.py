"""What a report of the corpus is made of: facts, and elements that a format writes down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the report says, in the words that must stand in what is left of it."""

    texts: tuple[str, ...]
    """Its wordings in this report; any one of them will do."""
    summary_relevant: bool
    """Whether who asks for the gist needs it; table cells and details of appendices are not."""
    where: tuple[str, ...]
    """Kinds of the sections that state it: summary, conclusion, findings, body, appendix, table ..."""

    @property
    def text(self) -> str:
        return self.texts[0]

    @property
    def in_body_only(self) -> bool:
        return not {"summary", "conclusion"} & set(self.where)

    def survives(self, text: str) -> bool:
        """Say whether one wording stands in `text`, white space aside."""
        return any(one in " ".join(text.split()) for one in self.texts)


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that stay as they are: log extracts, reference lists."""

    lines: tuple[str, ...]


Element = Heading | Paragraph | Bullets | Table | Lines


@dataclass(frozen=True, slots=True)
class Report:
    """One report as a program would get it."""

    id: str
    kind: str
    form: str
    language: str
    text: str
    facts: tuple[Fact, ...]
