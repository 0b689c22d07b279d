"""The documents that the demo answers from: a folder of text, cut into sections and passages.

Reads what people keep documentation in (Markdown, reStructuredText, plain text, HTML, Python) and leaves the rest
alone. It must never change a file, nor follow a link out of the folder.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from tuppence.errors import ConfigError

# A passage is read by a small model on a processor at some hundred tokens a second: two of these fill a short prompt.
PASSAGE_CHARS = 480
_MAX_FILE_BYTES = 2_000_000
_MAX_FILES = 2_000
_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist", "build"})


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text under it; a Python file's sections are its functions and classes."""

    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """One file."""

    name: str
    """Path within its folder."""
    sections: tuple[Section, ...]

    @property
    def text(self) -> str:
        return "\n".join(f"{s.heading}\n{s.text}" for s in self.sections)

    @property
    def words(self) -> int:
        return len(re.findall(r"\w+", self.text))


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a section, short enough for a prompt."""

    source: str
    heading: str
    text: str


def read_folders(*folders: Path) -> tuple[Document, ...]:
    """Read every document below `folders`, by name; raise `ConfigError` where there is nothing to read."""
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder: give --docs a folder that holds documents")
    found = [document for folder in folders for document in _documents(folder)]
    if not found:
        raise ConfigError(
            f"no documents in {', '.join(map(str, folders))}: give --docs a folder with text in files ending in "
            f"{', '.join(_READERS)}"
        )
    return tuple(found[:_MAX_FILES])


def _documents(folder: Path) -> Iterator[Document]:
    for path in _files(folder):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        sections = tuple(s for s in _READERS[path.suffix.lower()](text) if s.text)
        if sections:
            yield Document(f"{folder.name}/{path.relative_to(folder).as_posix()}", sections)


def _files(folder: Path) -> list[Path]:
    files: list[Path] = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _SKIPPED_FOLDERS)
        for path in (Path(here, name) for name in sorted(names)):
            readable = path.suffix.lower() in _READERS and path.is_file() and not path.is_symlink()
            if readable and path.stat().st_size <= _MAX_FILE_BYTES:
                files.append(path)
    return files


def passages(document: Document) -> list[Passage]:
    """Cut a document at paragraphs, then at sentences, then at words, into pieces of at most `PASSAGE_CHARS`."""
    return [
        Passage(document.name, section.heading, piece)
        for section in document.sections
        for piece in _pieces(section.text)
    ]


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for unit in _units(text):
        if pieces and len(pieces[-1]) + 1 + len(unit) <= PASSAGE_CHARS:
            pieces[-1] += " " + unit
        else:
            pieces.append(unit)
    return pieces


def _units(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        whole = " ".join(paragraph.split())
        for sentence in re.split(r"(?<=[.!?。])\s+", whole):
            words = sentence
            while len(words) > PASSAGE_CHARS:
                at = words.rfind(" ", 1, PASSAGE_CHARS)
                at = at if at > 0 else PASSAGE_CHARS
                yield words[:at]
                words = words[at:].strip()
            if words:
                yield words


# -- one reader a kind of file


def _markdown(text: str) -> list[Section]:
    heading, lines, sections, fenced = "", list[str](), list[Section](), False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            continue
        title = None if fenced else re.fullmatch(r" {0,3}#{1,6}\s+(.*?)[\s#]*", line)
        if title is None:
            lines.append(line)
            continue
        sections.append(Section(heading, "\n".join(lines).strip()))
        heading, lines = _plain(title[1]), []
    return [*sections, Section(heading, "\n".join(lines).strip())]


def _plain(title: str) -> str:
    """Take Markdown's marks out of a heading."""
    return re.sub(r"[`*]|\{[^}]*\}|\[([^\]]*)\]\([^)]*\)", r"\1", title).strip()


def _restructured(text: str) -> list[Section]:
    return _markdown(re.sub(r"^(\S.*)\n([=\-~^\"'*+#])\2{2,}\s*$", r"# \1", text, flags=re.MULTILINE))


def _plain_text(text: str) -> list[Section]:
    return [Section("", text.strip())]


def _python(text: str) -> list[Section]:
    """One section for the file's own docstring, and one for each public function and class with one."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return _plain_text(text)
    sections = [Section("", ast.get_docstring(tree) or "")]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            told = ast.get_docstring(node)
            if told:
                sections.append(Section(node.name, f"{node.name}: {told}"))
    return sections if any(s.text for s in sections) else _plain_text(text)


class _Html(HTMLParser):
    """Turns a page into Markdown's headings and paragraphs."""

    _BLOCKS = frozenset({"p", "div", "li", "tr", "br", "section", "article", "pre", "table", "ul", "ol"})
    _UNSEEN = frozenset({"script", "style", "head", "nav", "template"})

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._UNSEEN:
            self._unseen += 1
        elif re.fullmatch("h[1-6]", tag):
            self.parts.append("\n\n# ")
        elif tag in self._BLOCKS:
            self.parts.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif re.fullmatch("h[1-6]", tag):
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(re.sub(r"\s+", " ", data))


def _html(text: str) -> list[Section]:
    page = _Html()
    page.feed(text)
    page.close()
    return _markdown("".join(page.parts))


_READERS: Mapping[str, Callable[[str], list[Section]]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".rst": _restructured,
    ".txt": _plain_text,
    ".html": _html,
    ".htm": _html,
    ".py": _python,
}
