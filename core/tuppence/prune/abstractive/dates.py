"""Dates of a text, written alike, so that `12 March 2024` and `2024-03-12` are the same.

English month names and figures. `03/04/2024` is two dates, by place: it is read as its figures say and compared as
such.
"""

from __future__ import annotations

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        r"\b(?P<year>\d{4})-(?P<number>\d{2})-(?P<day>\d{2})(?!\d)",
        r"\b(?P<figures>\d{1,2}[/.]\d{1,2}[/.]\d{4})\b",
        rf"\b{_DAY}(?: of)? {_MONTH}(?:,? {_YEAR})?\b",
        rf"\b{_MONTH} {_DAY}(?:(?:,| of)? {_YEAR})?\b(?![:\d])",
        rf"\b{_MONTH},? {_YEAR}\b",
    )
]


def dates(text: str) -> tuple[list[str], str]:
    """Return the dates as `year-month-day`, `?` for what is not said, and the text with blanks in their places."""
    found: list[tuple[int, str]] = []
    for form in _FORMS:
        for match in form.finditer(text):
            found.append((match.start(), _written(match.groupdict())))
        text = form.sub(lambda match: " " * len(match[0]), text)
    return [date for _, date in sorted(found)], text


def _written(parts: dict[str, str | None]) -> str:
    if parts.get("figures"):
        return str(parts["figures"]).replace(".", "/")
    name = parts.get("month")
    month = _MONTHS.index(name[:3].casefold()) + 1 if name else int(parts.get("number") or 0)
    day = parts.get("day")
    return f"{parts.get('year') or '?'}-{month:02}-{int(day):02}" if day else f"{parts.get('year') or '?'}-{month:02}-?"
