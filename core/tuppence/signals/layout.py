"""See tables and code in a text, by their layout. Never parses either."""

from __future__ import annotations

import re

_RULE_ROW = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*\|[-:| \t]*$", re.MULTILINE)
_PIPE_ROWS = re.compile(r"(?:^[^\n|]*\|[^\n|]*\|[^\n]*(?:\n|\Z)){3}", re.MULTILINE)
_TAB_ROWS = re.compile(r"(?:^[^\n\t]+\t[^\n]*(?:\n|\Z)){3}", re.MULTILINE)
_COMMA_ROWS = re.compile(r"(?:^[^\n,]{1,60},[^\n,]{0,60},[^\n]{0,500}[^\n.,!?:](?:\n|\Z)){3}", re.MULTILINE)
_CODE = re.compile(
    r"^[ \t]*(?:```|~~~|def \w+\(|class \w+[(:{]|async def |import \w+|from [\w.]+ import |#include\b|"
    r"func \w+\(|function \w*\(|(?:public|private|static) [\w<>\[\] ]+\(|(?:const|let|var) \w+ ?=|fn \w+|"
    r"Traceback \(most|[^\n]{1,200}[;{]$|</?\w+[^>\n]{0,200}>$)"
    r"|\bSELECT\b[^;\n]{1,300}\bFROM\b",
    re.MULTILINE,
)


def has_table(text: str) -> bool:
    """Say whether `text` holds a table: Markdown, HTML, or three rows in a line of tabs, pipes or commas."""
    if "|" in text and (_RULE_ROW.search(text) or _PIPE_ROWS.search(text)):
        return True
    if "\t" in text and _TAB_ROWS.search(text):
        return True
    return "<table" in text.lower() or ("," in text and _COMMA_ROWS.search(text) is not None)


def has_code(text: str) -> bool:
    """Say whether `text` holds code: a fence, or a line that looks like a common language, SQL or markup."""
    return _CODE.search(text) is not None
