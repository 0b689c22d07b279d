"""Tells by its words what nobody reads a report for: references, disclaimers, licence texts, cookie banners and menus.
Under a heading that announces them little is asked; anywhere else a block must hold what hardly anything else does.
"""

from __future__ import annotations

import re

from tuppence.prune.sections.lexicon import folded, lexicon, phrases_in
from tuppence.prune.sections.lines import Line, Page

NAVIGATION = "navigation"
_CITED = re.compile(r"\b(?:19|20)\d\d[a-z]?\b|doi\.org|\bdoi:|\bet al\b|https?://|\bpp?\.\s?\d|\bvol\.", re.IGNORECASE)
_WORDS_A_CITATION = 25
"""Words to one year, DOI, address or page range in a list of references: most entries of 25 words have two or three."""
_SIGNS = (
    re.compile(r"^(?:\[\d{1,3}\]|\d{1,3}\.)\s"),
    re.compile(r"\b(?:19|20)\d\d[a-z]?\b"),
    re.compile(r"doi\.org|\bdoi:|https?://|\bISBN\b|\barXiv\b", re.IGNORECASE),
    re.compile(r"\bet al\b|\b[A-Z][\w'’-]+,? (?:[A-Z]\.[ ,-]?){1,3}|\b[A-Z][\w'’-]+ [A-Z]{1,2}[,.]"),
    re.compile(r"\bpp?\.\s?\d|\bvol\.|\d+\s?\(\d+\)|\d+:\s?e?\d+[–-]\d+", re.IGNORECASE),
)
_SURE_SIGNS = 4
_ENTRY_CHARS = 600
_WORDS_A_LEGAL_PHRASE = 40
_LEGAL_WORDS = 150
"""A longer block outside a legal section holds more than its notice."""
_BANNER_WORDS = 60
_ITEM_WORDS = 4
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_MENU_APART = re.compile(r"[|·•/›»>\n\t]+|\s{2,}")
_MENU_ITEMS = 3
_MENU_SHARE = 0.7


def mark_navigation(page: Page) -> None:
    """Label menus, one word to a line, and banners that stand alone: either would be taken for headings."""
    words = lexicon().navigation_words
    run: list[int] = []
    for index in [i for i, line in enumerate(page.lines) if line.text and not page.labels[i]]:
        line = page.lines[index]
        if line.words <= _ITEM_WORDS and folded(_LINK.sub(r"\1", line.text)) in words:
            run.append(index)
            continue
        _label_menu(page, run)
        run = []
        if line.words <= _BANNER_WORDS and _alone(page, index) and is_navigation(line.text):
            page.labels[index] = NAVIGATION
    _label_menu(page, run)


def _label_menu(page: Page, run: list[int]) -> None:
    if len(run) >= _MENU_ITEMS:
        for index in run:
            page.labels[index] = NAVIGATION


def _alone(page: Page, index: int) -> bool:
    beside = (page.shown(index - 1), page.shown(index + 1))
    return all(line is None or not line.text or _short(line) for line in beside)


def _short(line: Line) -> bool:
    return line.words <= _ITEM_WORDS


def cites(text: str) -> bool:
    """Say whether a text is a list of references, given that its heading says so."""
    return len(_CITED.findall(text)) * _WORDS_A_CITATION >= text.count(" ") + 1


def is_reference(text: str) -> bool:
    """Say whether a block is one entry of a list of references, whatever it stands under."""
    return len(text) < _ENTRY_CHARS and sum(sign.search(text) is not None for sign in _SIGNS) >= _SURE_SIGNS


def disclaims(text: str) -> bool:
    """Say whether a text is there for lawyers, given that its heading says so."""
    lowered, known = _flat(text), lexicon()
    told = phrases_in(lowered, known.legal_typical) + phrases_in(lowered, known.legal_weak)
    return bool(phrases_in(lowered, known.legal_strong)) or told >= max(2.0, _words(lowered) / _WORDS_A_LEGAL_PHRASE)


def is_notice(text: str) -> bool:
    """Say whether a block is a disclaimer, copyright or licence notice, whatever it stands under."""
    lowered, known = _flat(text), lexicon()
    if _words(lowered) > _LEGAL_WORDS:
        return False
    strong, typical = phrases_in(lowered, known.legal_strong), phrases_in(lowered, known.legal_typical)
    return strong + typical >= 2 or (strong == 1 and _words(lowered) <= _WORDS_A_LEGAL_PHRASE)


def is_navigation(text: str) -> bool:
    """Say whether a block is a menu, a cookie banner or what else a web page has around its text."""
    lowered, known = _flat(text), lexicon()
    if _words(lowered) > _BANNER_WORDS:
        return False
    if phrases_in(lowered, known.navigation_strong):
        return True
    items = [folded(part) for part in _MENU_APART.split(text) if part.strip()]
    return len(items) >= _MENU_ITEMS and sum(item in known.navigation_words for item in items) >= _MENU_SHARE * len(
        items
    )


def _flat(text: str) -> str:
    return " ".join(text.lower().split())


def _words(flat: str) -> int:
    return flat.count(" ") + 1
