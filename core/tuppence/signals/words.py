"""Words, numbers and names of a text, in a form that two texts can be compared by. Judges nothing.

Chinese and Japanese, written without spaces, are cut into pairs of characters, which needs no dictionary.
"""

from __future__ import annotations

import re
import unicodedata

_CJK = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_CJK_CHAR = re.compile(f"[{_CJK}]")
_CJK_RUN = re.compile(f"([{_CJK}]+)")
_LETTERS = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"[^\W\d_][\w'’-]*")
_NUMBER = re.compile(r"(?:(?<![\w.,)\]])[-−])?\d+(?:[.,'’]\d+)*")
_GROUPING_SPACES = {0x00A0: "'", 0x202F: "'"}
_GROUPED = re.compile(r"(\d{1,3})((?:[.,'’]\d{3})+)(?:[.,](\d{1,2}|\d{4,}))?")
_SENTENCE_END = '.!?:;。！？|*#>"“(-–—•\n'


def count_words(text: str) -> int:
    """Count words, taking two Chinese or Japanese characters for one word."""
    if text.isascii():
        return len(text.split())
    rest, characters = _CJK_CHAR.subn(" ", text)
    return len(rest.split()) + (characters + 1) // 2


def words(text: str) -> list[str]:
    """List the words in order, case-folded (NFKC), without digits; Chinese and Japanese as character pairs."""
    found = _LETTERS.findall(unicodedata.normalize("NFKC", text).casefold())
    if text.isascii():
        return found
    return [piece for run in found for piece in _pieces(run)]


def _pieces(run: str) -> list[str]:
    parts: list[str] = []
    for part in _CJK_RUN.split(run):
        if part and _CJK_CHAR.match(part):
            parts += [part[i : i + 2] for i in range(len(part) - 1)] or [part]
        elif part:
            parts.append(part)
    return parts


def numbers(text: str) -> list[str]:
    """List the numbers in order, written alike: `1,234.50`, `1 234,5` (no-break space) and `1234.5` are the same.

    `1.234` and `1,234` are both read as 1234, since a text rarely says which of the two it means.
    """
    # NFKC would make plain spaces of those that group digits.
    grouped = text.translate(_GROUPING_SPACES)
    return [_plain(found) for found in _NUMBER.findall(unicodedata.normalize("NFKC", grouped))]


def _plain(number: str) -> str:
    sign = "-" if number[0] in "-−" else ""
    digits = number.lstrip("-−")
    grouped = _GROUPED.fullmatch(digits)
    if grouped:
        whole = grouped[1] + "".join(c for c in grouped[2] if c.isdigit())
        digits = f"{whole}.{grouped[3]}" if grouped[3] else whole
    else:
        digits = re.sub(r"[,'’]", ".", digits)
    if digits.count(".") == 1:
        digits = digits.rstrip("0").rstrip(".")
    digits = re.sub(r"\A0+(?=\d)", "", digits)
    return digits if digits == "0" else sign + digits


def names(text: str) -> list[str]:
    """List what is capitalised inside a sentence, and all acronyms, case-folded; German nouns are among them."""
    found: list[str] = []
    for token in _TOKEN.finditer(text):
        word = token.group()
        if not word[0].isupper():
            continue
        acronym = len(word) > 1 and word.isupper()
        before = text[max(0, token.start() - 3) : token.start()]
        inside = bool(before.strip(" ")) and before.rstrip(" ")[-1] not in _SENTENCE_END
        if acronym or (inside and len(word) > 1):
            found.append(word.casefold())
    return found
