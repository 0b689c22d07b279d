"""The forms in which reports reach a program: Markdown, reStructuredText, text out of PDF, of web pages, of Word.

A form must say every sentence in full, though it may break lines where it likes.
"""

from __future__ import annotations

from collections.abc import Callable

from pruning_parts.reports.layout import CONTENTS, Draft, aligned, numbers_of, wrapped
from pruning_parts.reports.model import Bullets, Heading, Lines, Paragraph, Table
from pruning_parts.reports.pages import pdf

_MENU = ("Menu", "Home", "About us", "Publications", "News", "Contact", "Search")
_FOOT = (
    "Was this page useful?  Yes  No", "", "Related publications", "Annual work programme", "Complaints procedure",
)  # fmt: skip
_LEGAL = ("Privacy | Cookies | Accessibility | Terms of use", "Follow us")
_SMALL = frozenset("a an and at by for from in of on or the to with".split())


def _piped(table: Table) -> list[str]:
    rows = [f"| {' | '.join(row)} |" for row in table.rows]
    return [f"| {' | '.join(table.header)} |", f"|{'---|' * len(table.header)}", *rows]


def _simple(table: Table) -> list[str]:
    """Write reStructuredText's simple table."""
    lines = aligned(table)
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    return [rule, lines[0], rule, *lines[1:], rule]


def _separated(table: Table, by: str) -> list[str]:
    return [by.join(row) for row in (table.header, *table.rows)]


def _quoted(table: Table) -> list[str]:
    """Write a table as CSV would be, as spreadsheets that were pasted are."""
    return [",".join(f'"{cell}"' if "," in cell else cell for cell in row) for row in (table.header, *table.rows)]


def markdown(draft: Draft) -> str:
    """Write ATX headings and pipe tables, with a list of contents."""
    out = [f"# {draft.title}", "", f"*{draft.byline}*", "", f"## {CONTENTS[draft.language]}", ""]
    for heading in draft.headings():
        anchor = heading.title.lower().replace(" ", "-")
        out.append(f"{'  ' * (heading.level - 1)}- [{heading.title}](#{anchor})")
    for one, caption in draft.captioned():
        match one:
            case Heading():
                out += ["", f"{'#' * (one.level + 1)} {one.title}", ""]
            case Paragraph():
                out += [" ".join(one.sentences), ""]
            case Bullets():
                out += [*(f"- {item}" for item in one.items), ""]
            case Table():
                out += [f"**{caption}**", "", *_piped(one), ""]
            case Lines():
                out += ["```", *one.lines, "```", ""] if ":" in one.lines[0][:4] else [*one.lines, ""]
    return "\n".join(out)


def setext(draft: Draft) -> str:
    """Write underlined headings, lines of 88 characters, tables as CSV."""
    out = [draft.title, "=" * len(draft.title), "", draft.byline, ""]
    for one, caption in draft.captioned():
        match one:
            case Heading():
                out += ["", one.title, ("=" if one.level == 1 else "-") * len(one.title), ""]
            case Paragraph():
                out += [*wrapped(" ".join(one.sentences), 88), ""]
            case Bullets():
                out += [line for item in one.items for line in wrapped(item, 88, "* ", "  ")] + [""]
            case Table():
                out += [caption, "", *_quoted(one), ""]
            case Lines():
                out += [*one.lines, ""]
    return "\n".join(out)


def rst(draft: Draft) -> str:
    """Write reStructuredText with a contents directive, simple tables and a literal block."""
    rule = "#" * len(draft.title)
    out = [rule, draft.title, rule, "", f":Reference: {draft.byline}", "", ".. contents::", "   :depth: 2", ""]
    for one, caption in draft.captioned():
        match one:
            case Heading():
                out += ["", one.title, ("*" if one.level == 1 else "~") * len(one.title), ""]
            case Paragraph():
                out += [*wrapped(" ".join(one.sentences), 79), ""]
            case Bullets():
                out += [line for item in one.items for line in wrapped(item, 79, "* ", "  ")] + [""]
            case Table():
                out += [f".. table:: {caption}", "", *(f"   {line}" for line in _simple(one)), ""]
            case Lines():
                out += ["::", "", *(f"   {line}" for line in one.lines), ""]
    return "\n".join(out)


def capitals(draft: Draft) -> str:
    """Write headings in capitals, lines of 72 characters, aligned tables."""
    out = [draft.title.upper(), draft.byline, "-" * 72, ""]
    for one, caption in draft.captioned():
        match one:
            case Heading():
                out += ["", one.title.upper() if one.level == 1 else _titled(one.title), ""]
            case Paragraph():
                out += [*wrapped(" ".join(one.sentences), 72), ""]
            case Bullets():
                out += [line for item in one.items for line in wrapped(item, 72, "  o ", "    ")] + [""]
            case Table():
                out += [caption, "", *aligned(one, "   "), ""]
            case Lines():
                out += [*one.lines, ""]
    return "\n".join(out)


def _titled(text: str) -> str:
    words = text.split()
    return " ".join(word if at and word in _SMALL else word[:1].upper() + word[1:] for at, word in enumerate(words))


def roman(draft: Draft) -> str:
    """Write a memorandum: I., A., bullets by letters, tabs in tables."""
    out = [draft.title, draft.byline, ""]
    top = sub = 0
    for one, caption in draft.captioned():
        match one:
            case Heading():
                top, sub = (top + 1, 0) if one.level == 1 else (top, sub + 1)
                mark = f"{_roman(top)}." if one.level == 1 else f"{chr(64 + sub)}."
                out += ["", f"{mark} {one.title.upper() if one.level == 1 else one.title}", ""]
            case Paragraph():
                out += [" ".join(one.sentences), ""]
            case Bullets():
                out += [f"({chr(97 + at % 26)}) {item}" for at, item in enumerate(one.items)] + [""]
            case Table():
                out += [caption, *_separated(one, "\t"), ""]
            case Lines():
                out += [*one.lines, ""]
    return "\n".join(out)


def _roman(number: int) -> str:
    found = ""
    for value, letters in ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        found += letters * (number // value)
        number %= value
    return found


def word(draft: Draft) -> str:
    """Write what is left of a word processor's file: numbered headings, no blank lines, tabs."""
    numbered = list(zip(numbers_of(draft.headings()), draft.headings(), strict=True))
    numbers = iter(number for number, _ in numbered)
    out = [draft.title, draft.byline, CONTENTS[draft.language]]
    out += [f"{number}\t{one.title}\t{2 + at}" for at, (number, one) in enumerate(numbered)]
    for one, caption in draft.captioned():
        match one:
            case Heading():
                out += ["", f"{next(numbers)} {one.title}"]
            case Paragraph():
                out += [" ".join(one.sentences)]
            case Bullets():
                out += [f"•\t{item}" for item in one.items]
            case Table():
                out += [caption, *_separated(one, "\t")]
            case Lines():
                out += [*one.lines]
    return "\n".join(out)


def web(draft: Draft) -> str:
    """Write a web page as text: menus, bare headings, share buttons, a footer."""
    home = draft.byline.split(",")[0]
    out = ["Skip to main content", "", *_MENU, "", f"Home > Publications > {draft.title}", ""]
    out += [draft.title, "", draft.byline, "", "Share  Print  Save as PDF", ""]
    for one, caption in draft.captioned():
        match one:
            case Heading():
                out += ["", _titled(one.title), ""] + (["Back to top", ""] if one.kind == "appendix" else [])
            case Paragraph():
                out += [" ".join(one.sentences), ""]
            case Bullets():
                out += [f"  * {item}" for item in one.items] + [""]
            case Table():
                out += [caption, "", *_separated(one, " | "), ""]
            case Lines():
                out += [*one.lines, ""]
    return "\n".join([*out, *_FOOT, "", f"© {home}. All rights reserved.", *_LEGAL])


FORMS: dict[str, Callable[[Draft], str]] = {
    "markdown": markdown, "setext": setext, "rst": rst, "capitals": capitals, "roman": roman, "word": word, "web": web,
    "pdf": pdf,
}  # fmt: skip
