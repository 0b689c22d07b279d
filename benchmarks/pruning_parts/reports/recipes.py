"""How a kind of report is written down in `kinds/*.txt`, and how that is read.

A recipe begins with `name: value` lines: `kind`, `language`, `titles`, `byline`, `formats` (one report is made for
each; `*` marks those with neither summary nor conclusion) and `filling` (lists of prose for its body). Then what may be
drawn: `@name:` one value for the whole report, out of `a | b` or a range `1.5..9.0` (`@fix=cause:` goes with what was
drawn for `cause`), and `@@name:` a list that tables and `<name>` in sentences draw from. Sections follow:

    == Title | Other title #kind       (=== for a subsection; #kind may be left out: it is the parent's)
    One sentence a line, with {one|other} wording, <name> and ranges such as <12..40>.
    ? A sentence that may be left out.
    - A bullet.
    [[name: words]] is a fact that a summary needs, ((words)) one that it does not.
    !table Caption | Column:list | Column:1.0..9.0 | rows 8..12
    !block name, !refs 10..14, !log 8..12, !glossary 6..9

An empty line ends a paragraph. A fact that is named in several sections is stated in some of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

KINDS = Path(__file__).parent / "kinds"


@dataclass(slots=True)
class Section:
    """A section of a recipe."""

    level: int
    titles: list[str]
    kind: str
    paragraphs: list[list[str]] = field(default_factory=list)


@dataclass(slots=True)
class Recipe:
    """A kind of report."""

    head: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    ties: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)


def choices(text: str) -> list[str]:
    return [one.strip() for one in text.split("|")]


def recipe_of(text: str) -> Recipe:
    """Read a recipe."""
    found = Recipe()
    for line in [*text.splitlines(), ""]:
        if line.startswith("=="):
            found.sections.append(_section(line, found.sections))
        elif found.sections:
            _add(found.sections[-1], line.strip())
        elif line.startswith("@@"):
            name, _, value = line[2:].partition(":")
            found.lists[name] = choices(value)
        elif line.startswith("@"):
            name, _, value = line[1:].partition(":")
            name, _, tied = name.partition("=")
            found.ties[name] = tied
            found.values[name] = value.strip()
        elif line:
            name, _, value = line.partition(":")
            found.head[name] = value.strip()
    return found


def _section(line: str, before: list[Section]) -> Section:
    marks, _, rest = line.partition(" ")
    titles, _, kind = rest.partition("#")
    parent = next((one.kind for one in reversed(before) if one.level == 1), "body")
    return Section(len(marks) - 1, choices(titles), kind.strip() or (parent if len(marks) > 2 else "body"))


def _add(section: Section, line: str) -> None:
    if not section.paragraphs:
        section.paragraphs.append([])
    if line:
        section.paragraphs[-1].append(line)
    elif section.paragraphs[-1]:
        section.paragraphs.append([])


@cache
def shared(language: str) -> Recipe:
    """Return what reports of one language share: blocks, names, terms."""
    return recipe_of((KINDS / f"_shared.{language}.txt").read_text(encoding="utf-8"))


def recipes() -> list[Recipe]:
    """Return all kinds, in the order of their files' names."""
    return [
        recipe_of(path.read_text(encoding="utf-8"))
        for path in sorted(KINDS.glob("*.txt"))
        if not path.name.startswith("_")
    ]
