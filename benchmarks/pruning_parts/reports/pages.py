"""Text out of a PDF: pages with running heads, page numbers and form feeds, broken lines, dotted contents."""

from __future__ import annotations

from collections.abc import Sequence

from pruning_parts.reports.layout import CONTENTS, Draft, aligned, numbers_of, wrapped
from pruning_parts.reports.model import Bullets, Heading, Lines, Paragraph, Table

_PAGE_LINES = 52
_PAGE = {"en": "Page", "de": "Seite", "fr": "Page", "es": "Página"}


def pdf(draft: Draft) -> str:
    """Write text out of a PDF: pages with running heads, numbers and form feeds, dotted contents, numbered headings."""
    numbered = list(zip(numbers_of(draft.headings()), draft.headings(), strict=True))
    numbers = iter(number for number, _ in numbered)
    pages = _Pages(draft)
    for at, (number, one) in enumerate(numbered):
        label = f"{number} {one.title} "
        pages.add([f"{'   ' * (one.level - 1)}{label}{'.' * (78 - len(label) - 3 * one.level)} {3 + at * 2 // 3}"])
    for element, caption in draft.captioned():
        match element:
            case Heading():
                pages.add(["", f"{next(numbers)}  {element.title}", ""], below=5)
            case Paragraph():
                pages.flow(element.sentences)
            case Bullets():
                for item in element.items:
                    pages.add(wrapped(item, 84, "  • ", "    "))
            case Table():
                pages.add(["", caption], below=4)
                for line in aligned(element, "    "):
                    pages.add([line])
            case Lines():
                for line in element.lines:
                    pages.add(wrapped(line, 84, "", "    "))
    return pages.text()


class _Pages:
    """Pages that fill up; a page ends at the end of a sentence, so that no sentence is torn by a running head."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._pages: list[list[str]] = [[draft.title, draft.byline, "", CONTENTS[draft.language], ""]]

    def add(self, lines: Sequence[str], below: int = 0) -> None:
        """Add lines, on the next page if they, and as many below them, have no room."""
        if len(self._pages[-1]) + len(lines) + below > _PAGE_LINES:
            self._pages.append([])
        self._pages[-1] += lines

    def flow(self, sentences: Sequence[str]) -> None:
        """Add a paragraph, which may go on upon the next page."""
        begun: list[str] = []
        for sentence in sentences:
            if len(self._pages[-1]) + len(wrapped(" ".join([*begun, sentence]), 84)) > _PAGE_LINES:
                self._pages[-1] += wrapped(" ".join(begun), 84)
                self._pages.append([])
                begun = []
            begun.append(sentence)
        self._pages[-1] += [*wrapped(" ".join(begun), 84), ""]

    def text(self) -> str:
        return "\f".join(self._page(at, lines) for at, lines in enumerate(self._pages))

    def _page(self, at: int, lines: Sequence[str]) -> str:
        """Write one page; those on the left say how many there are."""
        foot = f"{_PAGE[self._draft.language]} {at + 1} of {len(self._pages)}" if at % 2 else f"{at + 1}"
        return "\n".join([*([self._head(), ""] if at else []), *lines, "", foot, ""])

    def _head(self) -> str:
        return f"{self._draft.title[:58]}{' ' * 6}{self._draft.byline[:40]}"
