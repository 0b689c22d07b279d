"""From a recipe to one report's elements and facts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pruning_parts.reports.drawing import Draws
from pruning_parts.reports.model import Bullets, Element, Fact, Heading, Lines, Paragraph, Table
from pruning_parts.reports.planning import FACT, planned
from pruning_parts.reports.recipes import Recipe, Section, choices, shared

_BEGINNING = re.compile(r"^((?:\[\[\w+: |\(\()?)(\w)")
_OFTEN = 0.6
"""How often a sentence marked `?` is there."""
_CELLS = 2
"""Facts taken from each table."""
_NOWHERE = -1
"""The number of sections that are shared by all kinds: what they say is never left out."""


class Writer:
    """Writes one report."""

    def __init__(self, recipe: Recipe, name: str, *, with_summary: bool) -> None:
        self._draws = Draws(recipe, name)
        self._sections, self._skipped = planned(recipe, self._draws, with_summary=with_summary)
        self._wordings: dict[tuple[str, bool], list[tuple[str, str]]] = {}
        self._tables = 0
        self.elements: list[Element] = list(self._elements())
        self.title = _capital(self._draws.one_of("titles"))
        self.byline = self._draws.one_of("byline")

    @property
    def facts(self) -> list[Fact]:
        found = []
        for (_, relevant), said in self._wordings.items():
            texts, kinds = (tuple(dict.fromkeys(one)) for one in zip(*said, strict=True))
            found.append(Fact(texts, relevant, kinds))
        return found

    def _elements(self) -> Iterator[Element]:
        for number, section in enumerate(self._sections):
            title = self._draws.filled(self._draws.random.choice(section.titles))
            yield Heading(section.level, _capital(title), section.kind)
            for paragraph in section.paragraphs:
                yield from self._paragraph(section, number, paragraph)

    def _paragraph(self, section: Section, number: int, lines: list[str]) -> Iterator[Element]:
        said: list[str] = []
        for line in lines:
            if line.startswith("!"):
                yield from _prose(said)
                said = []
                yield from self._directive(line[1:])
            elif one := self._sentence(section, number, line):
                said.append(one)
        yield from _prose(said)

    def _sentence(self, section: Section, number: int, line: str) -> str:
        """Write one sentence and note its facts; empty where it is left out."""
        if line.startswith("? "):
            if self._draws.random.random() > _OFTEN:
                return ""
            line = line[2:]
        names = [m[1] for m in FACT.finditer(line) if m[1]]
        if names and all((name, number) in self._skipped for name in names):
            return ""
        bullet = "- " if line.startswith("- ") else ""
        said = self._draws.filled(line.removeprefix("- "))
        said = _BEGINNING.sub(lambda match: match[1] + match[2].upper(), said)
        for match in FACT.finditer(said):
            words = match[2] or match[3]
            self._note(match[1] or words, words, section.kind, relevant=match[1] is not None)
        return bullet + FACT.sub(lambda match: match[2] or match[3], said)

    def _note(self, name: str, words: str, kind: str, *, relevant: bool) -> None:
        self._wordings.setdefault((name, relevant), []).append((words, kind))

    def _directive(self, line: str) -> Iterator[Element]:
        word, _, rest = line.partition(" ")
        if word == "table":
            yield self._table(rest)
        elif word == "block":
            yield from self._block(rest)
        else:
            write = {"refs": self._reference, "log": self._log, "glossary": lambda _: self._draws.next_of("glossary")}
            lines = [write[word](at) for at in range(self._draws.count(rest))]
            yield Lines(tuple(sorted(lines) if word == "glossary" else lines))

    def _block(self, name: str) -> Iterator[Element]:
        """Take a block that reports of a language share, or after `*` so many sentences of a list."""
        if "*" in name:
            pool, _, count = name.partition("*")
            drawn = [self._draws.spare(pool) for _ in range(self._draws.count(count))]
            yield from _prose([self._draws.filled(one) for one in drawn if one])
            return
        for section in shared(self._draws.language).sections:
            if name in section.titles:
                for lines in section.paragraphs:
                    yield from self._paragraph(section, _NOWHERE, lines)

    def _table(self, spec: str) -> Table:
        caption, *columns, rows = choices(spec)
        header, kinds = zip(*(column.split(":", 1) for column in columns), strict=True)
        self._tables += 1
        made = [
            tuple(self._cell(kind, at) for kind in kinds) for at in range(self._draws.count(rows.removeprefix("rows ")))
        ]
        for row in self._draws.random.sample(made, min(_CELLS, len(made))):
            self._note(f"table {self._tables} {row[-1]}", row[-1], "table", relevant=False)
        return Table(self._draws.filled(caption), header, tuple(made))

    def _cell(self, kind: str, at: int) -> str:
        return f"{kind[1:]}{at + 1:02d}" if kind.startswith("#") else self._draws.filled(f"<{kind}>")

    def _reference(self, at: int) -> str:
        draws, number = self._draws, self._draws.random
        page = number.randint(1, 900)
        author, initial = draws.next_of("surname"), number.choice("ABCDEFGHJKLMNPRST")
        work, journal = draws.next_of("work"), draws.next_of("journal")
        volume, last = number.randint(3, 88), page + number.randint(4, 22)
        who = f"{author}, {initial}." if draws.language == "en" else f"{author} {initial}.:"
        return f"[{at + 1}] {who} {work}. {journal} {volume}, {page}-{last}."

    def _log(self, at: int) -> str:
        number = self._draws.random
        second = 7 * at + number.randint(0, 6)
        level = number.choice(("INFO ", "INFO ", "WARN ", "ERROR", "DEBUG"))
        when = f"03:{second // 60 + 12:02d}:{second % 60:02d}.{number.randint(0, 999):03d}"
        return f"{when} {level} {self._draws.filled('<logline>')}"


def _prose(said: list[str]) -> Iterator[Element]:
    """Make a paragraph of the sentences and a list of the bullets, in this order."""
    sentences = tuple(one for one in said if not one.startswith("- "))
    bullets = tuple(one.removeprefix("- ") for one in said if one.startswith("- "))
    if sentences:
        yield Paragraph(sentences)
    if bullets:
        yield Bullets(bullets)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
