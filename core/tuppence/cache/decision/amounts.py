"""Numbers, amounts, clock times and dates of a question, written alike: "two weeks" and "14 days" are one amount,
"7 pm" and "19:00" one time. What it takes for an amount it takes out of the words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tuppence.cache.decision.tokens import Token
from tuppence.cache.decision.word_lists import Tongue, WordLists

_CURRENCY = frozenset("$€£¥₹")
_GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_ROMAN = {
    "II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIII": 13, "XIV": 14,
    "XV": 15, "XVI": 16,
}  # fmt: skip
_NEAR_A_MONTH = frozenset("in of by since until from during early mid late before after till".split())
_RELATIVE = {"previous": "last", "past": "last", "coming": "next", "current": "this"}
_BEFORE_A_UNIT = frozenset("a per every each one".split())


class Amount(NamedTuple):
    """A number, with what it counts."""

    value: str
    """Comparable: in the unit that its kind is measured by, or as it was written where it counts no unit."""
    kind: str
    """What it measures, such as `time`; empty for a plain number."""
    shown: str
    soft: bool = False
    """"One" and "first" often say nothing: they differ from another number, not from none."""


@dataclass(slots=True)
class Scan:
    """What was found so far."""

    amounts: list[Amount] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)
    rest: list[Token] = field(default_factory=list)


def scan_amounts(tokens: Sequence[Token], lists: WordLists, tongue: Tongue) -> Scan:
    """Part `tokens` into amounts, moments (weekdays, months, relative days) and the words that are left."""
    scan = Scan()
    i = 0
    while i < len(tokens):
        token = tokens[i]
        taken = 0
        if token.word[0].isdigit() or token.word[0] in "-$€£¥₹":
            taken = _digits(tokens, i, scan, lists)
        elif token.word in tongue.numerals or token.word in lists.scales:
            taken = _spelled(tokens, i, scan, lists, tongue)
        elif (rank := lists.ranks.get(token.word)) and not (
            token.word == "second" and i and tokens[i - 1].word in _BEFORE_A_UNIT
        ):
            scan.amounts.append(Amount(str(rank), "", token.word, token.word == "first"))
            taken = 1
        elif (number := _ROMAN.get(token.surface)) and i:
            scan.amounts.append(Amount(str(number), "", token.surface))
            taken = 1
        elif token.word in lists.moment_words:
            taken = _moment(tokens, i, scan, lists)
        if not taken:
            scan.rest.append(token)
        i += taken or 1
    return scan


def _digits(tokens: Sequence[Token], i: int, scan: Scan, lists: WordLists) -> int:
    kind, taken = "", 0
    if tokens[i].word in _CURRENCY:
        kind, taken = lists.units[tokens[i].word][0], 1
        if i + 1 >= len(tokens) or not tokens[i + 1].word[0].isdigit():
            return 0
    literal = tokens[i + taken].word
    taken += 1
    after = tokens[i + taken] if i + taken < len(tokens) else None
    if not kind and (time := _clock(literal, after)):
        scan.amounts.append(Amount(time[0], "clock", _shown(tokens, i, taken + time[1])))
        return taken + time[1]
    value = literal.replace(",", "") if _GROUPED.fullmatch(literal) else literal.replace(",", ".")
    if after and after.glued and after.word in ("st", "nd", "rd", "th"):
        taken += 1
    return _with_unit(tokens, i, taken, value, kind, scan, lists)


def _clock(literal: str, after: Token | None) -> tuple[str, int] | None:
    """Return minutes since midnight and how many tokens follow that belong to it."""
    found = _CLOCK.fullmatch(literal)
    half = after.word if after and after.word in ("am", "pm") else ""
    if not found and not (half and literal.isdigit() and 1 <= int(literal) <= 12):
        return None
    hours, minutes = (int(found[1]), int(found[2])) if found else (int(literal), 0)
    if half:
        hours = hours % 12 + (12 if half == "pm" else 0)
    return str(hours * 60 + minutes), 1 if half else 0


def _spelled(tokens: Sequence[Token], i: int, scan: Scan, lists: WordLists, tongue: Tongue) -> int:
    """Read "two hundred and fifty thousand" as far as it goes."""
    total, current, taken = 0, 0, 0
    while i + taken < len(tokens):
        word = tokens[i + taken].word
        following = tokens[i + taken + 1].word if i + taken + 1 < len(tokens) else ""
        if (number := tongue.numerals.get(word)) is not None:
            if word == "dozen":
                current = max(current, 1) * number
            elif current and not (current % 100 == 0 or (current % 100 >= 20 and not current % 10 and number < 10)):
                break
            else:
                current += number
        elif (scale := lists.scales.get(word)) is not None and (current or taken == 0):
            current = max(current, 1) * scale
            if scale >= 1000:
                total, current = total + current, 0
        elif not (word == "and" and total + current >= 100 and following in tongue.numerals):
            break
        taken += 1
    word = tokens[i].word
    value = total + current
    before = len(scan.amounts)
    taken = _with_unit(tokens, i, taken, str(value), "", scan, lists)
    found = scan.amounts[before]
    if word == "one" and value == 1 and not found.kind:
        scan.amounts[before] = found._replace(soft=True)
    return taken


def _with_unit(tokens: Sequence[Token], i: int, taken: int, value: str, kind: str, scan: Scan, lists: WordLists) -> int:
    """Add the amount that starts at `i`, with the scale and the unit that may follow it; return the tokens it took."""
    factor = 1.0
    after = tokens[i + taken] if i + taken < len(tokens) else None
    if after and (scale := lists.scales.get(after.word) or (1000 if after.glued and after.word == "k" else 0)):
        factor, taken = float(scale), taken + 1
        after = tokens[i + taken] if i + taken < len(tokens) else None
    unit = None if after is None else _unit(after, lists)
    if unit:
        kind, taken = unit[0], taken + 1
        factor *= unit[1]
    if kind or factor != 1.0:
        try:
            value = f"{float(value) * factor:.9g}"
        except ValueError:
            # A version such as 1.2.3 has no unit.
            kind = kind or "version"
    scan.amounts.append(Amount(value, kind, _shown(tokens, i, taken)))
    return taken


def _unit(token: Token, lists: WordLists) -> tuple[str, float] | None:
    word = token.word
    return (
        lists.units.get(word)
        or (lists.units.get(word[:-1]) if word.endswith("s") else None)
        or (lists.short_units.get(word) if len(word) == 1 and word != "k" else None)
    )


def _moment(tokens: Sequence[Token], i: int, scan: Scan, lists: WordLists) -> int:
    word = tokens[i].word
    following = tokens[i + 1] if i + 1 < len(tokens) else None
    if word in lists.relative_days:
        scan.moments.append(word)
        return 1
    if word in lists.relative_words and following:
        span = lists.weekdays.get(following.word) or lists.months.get(following.word)
        span = span or (following.word if following.word in lists.relative_spans else None)
        if span:
            scan.moments.append(f"{_RELATIVE.get(word, word)} {span}")
            return 2
    if word in lists.weekdays and (len(word) > 5 or tokens[i].capital):
        scan.moments.append(lists.weekdays[word])
        return 1
    if month := lists.months.get(word):
        beside = i > 0 and (tokens[i - 1].word in _NEAR_A_MONTH or tokens[i - 1].word[0].isdigit())
        beside = beside or (following is not None and following.word[0].isdigit())
        if beside or word not in lists.ambiguous_months:
            scan.moments.append(month)
            return 1
    return 0


def _shown(tokens: Sequence[Token], i: int, taken: int) -> str:
    return " ".join(token.surface or token.word for token in tokens[i : i + taken])
