"""Cuts a text into whole sentences by their characters, so that what is kept stands as it stood.

Rules alone, for prose, lists, headings, tables and code; nothing but white space lies between two sentences, and none
is ever changed. It must stay linear in the length of the text, whatever that holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NEVER_LAST = frozenset(
    """mr mrs ms dr prof rev fr st sen rep gov gen col maj capt cpt lt sgt cmdr adm hon pres supt mt ft vs viz cf fig
    figs eq eqs sec ch vol vols pp pg ed eds op cit ca approx est art arts e.g i.e al jan feb mar apr jun jul aug sep
    sept oct nov dec bzw z.b d.h sog hr fr dra sra sta mme mlle resp incl excl no nos nr""".split()
)
"""Abbreviations that something follows: a title its name, a month its day."""
_SELDOM_LAST = frozenset(
    "inc ltd co corp bros jr sr etc a.m p.m am pm ph.d m.d b.a m.a b.c a.d usw u.s u.k u.n".split()
)
"""Abbreviations that end a sentence now and then; so do initials. A word that opens sentences must follow."""
_OPENERS = frozenset(
    """the a an this that these those it its he she they his her their we our you i in on at as by for from of to with
    after before during when while where since until although though because if but and or so yet however there here
    then also both some many most all no not one two each several other such what who how why today later according
    der die das ein eine er sie es le la les un une il elle el los las""".split()
)
_CLOSERS = "\"'”’»)\\]}›*_"
_TERMINATOR = re.compile(rf"(?:[.!?…]+|[؟۔।॥።])(?:[{_CLOSERS}]|\[\d+\])*(?=\s)|[。！？｡]+[{_CLOSERS}」』）】》〉]*")
_FENCE = re.compile(r"[ \t]*(```|~~~)")
_ITEM = re.compile(r"[ \t]*(?:[-*+•·–‣◦▪#>|]|\(?(?:\d{1,3}|[A-Za-z]|[ivx]{1,5})[.)][ \t])")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]")
_RULE_ROW = re.compile(r"[ \t]*\|?[ \t:|-]*-{2,}[ \t:|-]*\|?[ \t]*")
_LAST_WORD = re.compile(r"[^\W_](?:[\w.]*[^\W_])?\Z")
_FIRST_WORD = re.compile(r"[^\W_]+")
_LONGEST_ABBREVIATION = 12
_WRAPPED_CHARS = 55
"""A shorter line that a capital follows was broken on purpose: a heading, an item. Mail and plain text are wrapped at
65 to 80, a column of a PDF at 55 or so."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text, by its characters."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the piece itself."""
        return text[self.start : self.end]


def sentences(text: str) -> list[Span]:
    """Cut `text` into its sentences, in order; nothing but white space lies before, between and behind them.

    A heading, an item of a list and a row of a table are one each, so is a fenced block of code. A text of white space
    has none.
    """
    # Where nothing is capital, a small letter says nothing of where a sentence begins.
    cased = text.lower() != text
    found: list[Span] = []
    for block in _blocks(text):
        whole = text.startswith("|", block.start) or _FENCE.match(text, block.start, block.end)
        found += [block] if whole else _cut(text, block, cased)
    return found


def _blocks(text: str) -> Iterator[Span]:
    """Join lines that were only wrapped; a fenced block stays whole."""
    start = end = -1
    fence, before = "", ""
    for line in _lines(text):
        shown = line.of(text)
        opening = _FENCE.match(shown)
        if fence:
            end, fence, before = line.end, "" if opening and opening[1] == fence else fence, ""
            continue
        if start >= 0 and not (before and not opening and _wrapped(before, shown)):
            yield _trimmed(text, start, end)
            start = -1
        before, fence = "" if opening else shown.strip(), opening[1] if opening else ""
        if before or opening:
            start = line.start if start < 0 else start
            end = line.end
    if start >= 0:
        yield _trimmed(text, start, end)


def _lines(text: str) -> Iterator[Span]:
    at = 0
    for line in text.splitlines(keepends=True):
        yield Span(at, at + len(line))
        at += len(line)


def _wrapped(before: str, line: str) -> bool:
    """Say whether `line` goes on where the line before it broke off."""
    after = line.strip()
    if not after:
        return False
    if before.startswith("|") and _RULE_ROW.fullmatch(after):
        return True
    if before.startswith(("#", "|")) or _ITEM.match(line) or before.endswith((":", "。", "！", "？")):
        return False
    if "\t" in before or "\t" in after or _RULE_ROW.fullmatch(before):
        return False
    return after[0].islower() or len(before) >= _WRAPPED_CHARS


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return Span(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip()))


def _cut(text: str, block: Span, cased: bool) -> Iterator[Span]:
    start = block.start
    for mark in _TERMINATOR.finditer(text, block.start, block.end):
        if mark.end() >= block.end or not _ends(text, start, mark, block.end, cased):
            continue
        yield _trimmed(text, start, mark.end())
        start = mark.end()
    rest = _trimmed(text, start, block.end)
    if rest.start < rest.end:
        yield rest


def _ends(text: str, start: int, mark: re.Match[str], limit: int, cased: bool) -> bool:
    """Say whether a sentence that began at `start` ends with `mark`."""
    if mark[0][0] not in ".!?…":
        # Japanese goes on behind a quotation: 「はい。」と言った。
        return not (mark[0][-1] in "」』" and "\u3041" <= text[mark.end()] <= "\u309f")
    following = _FIRST_WORD.search(text, mark.end(), min(limit, mark.end() + 40))
    if cased and following and following[0][0].islower() and not text[mark.end() : following.start()].strip():
        return False
    if mark[0][0] != "." or mark[0].startswith(".."):
        return True
    told = text[max(start, mark.start() - _LONGEST_ABBREVIATION) : mark.start()]
    found = _LAST_WORD.search(told)
    if found is None:
        return True
    if _LIST_NUMBER.fullmatch(text[start : mark.start() + 1].strip()):
        return False
    return not _abbreviated(found[0], following[0] if following else "")


def _abbreviated(word: str, following: str) -> bool:
    lower = word.lower()
    if lower in _NEVER_LAST:
        # "No." and "ed." are words too: those that a sentence ends with stand before an opener.
        return len(lower) > 2 or following.lower() not in _OPENERS
    initial = len(word) == 1 and word.isupper() and word != "I"
    dotted = len(word) > 2 and all(len(part) == 1 for part in word.split("."))
    return (initial or dotted or lower in _SELDOM_LAST) and following.lower() not in _OPENERS
