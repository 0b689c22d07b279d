"""Long names said once: a user's own table of abbreviations, with a legend, only where that pays in tokens.

Nothing is abbreviated that could not be spelt out again: a short form that the text uses already is left alone, and so
are fenced blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tuppence.errors import ConfigError
from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, TokenCounter, counter_for, untouched
from tuppence.prune.payloads.fences import fences

_OPENING = "Abbreviations: "
_CLOSING = ".\n\n"


@dataclass(frozen=True, slots=True)
class Abbreviated:
    """A text in which long names are short."""

    text: str
    """With its legend in front."""
    used: Mapping[str, str]
    """Long forms to short ones: those of the table that paid."""
    audit: Audit

    @property
    def legend(self) -> str:
        """What explains the short forms; empty where none is used."""
        return _legend(self.used)

    def expanded(self, text: str | None = None) -> str:
        """Spell the short forms out in this text, without its legend, or in another, such as an answer."""
        given = self.text.removeprefix(self.legend) if text is None else text
        return _swapped(given, {short: long for long, short in self.used.items()}) if self.used else given


def abbreviated(text: str, table: Mapping[str, str], *, model: str = DEFAULT_MODEL) -> Abbreviated:
    """Write long forms short, by a table from long to short; an entry is used only where it saves more than it costs.

    Forms are matched as whole words, as they are spelt. Raises `ConfigError` for a table that could not be undone.
    """
    _check(table)
    count = counter_for(model)
    used, kept = _paying(text, table, count)
    shorter = _legend(used) + _swapped(text, used) if used else text
    found = Abbreviated(shorter, used, untouched(count(text), "; ".join(kept) or "no abbreviation pays here"))
    if not used or found.expanded() != text:
        return Abbreviated(text, {}, found.audit)
    before, after = count(text), count(shorter)
    cuts = tuple(
        Cut("name", "prompt", f"written {short}, {_times(text, long)} times", _gain(text, long, short, count))
        for long, short in used.items()
    )
    return Abbreviated(shorter, used, Audit(before, after, cuts, "; ".join(kept)))


def _paying(text: str, table: Mapping[str, str], count: TokenCounter) -> tuple[dict[str, str], list[str]]:
    """Return the entries that save tokens together with their legend, and why the others are not used."""
    used: dict[str, str] = {}
    kept: list[str] = []
    least = count(text)
    for long, short in sorted(table.items(), key=lambda entry: (-len(entry[0]), entry[0])):
        if not _times(text, long):
            continue
        if _word(short).search(text):
            kept.append(f"{short!r} stands in the text already, so {long!r} stays")
            continue
        tried = {**used, long: short}
        tokens = count(_legend(tried) + _swapped(text, tried))
        if tokens < least:
            used, least = tried, tokens
        else:
            kept.append(f"{short!r} for {long!r} does not pay for its legend")
    return used, kept


def _gain(text: str, long: str, short: str, count: TokenCounter) -> int:
    return count(text) - count(_swapped(text, {long: short}))


def _swapped(text: str, table: Mapping[str, str]) -> str:
    """Replace whole words, the longest first, outside of fences."""
    words = re.compile("|".join(_word(word).pattern for word in sorted(table, key=len, reverse=True)))
    pieces, at = [], 0
    for fence in fences(text):
        pieces += [words.sub(lambda found: table[found[0]], text[at : fence.start]), text[fence.start : fence.end]]
        at = fence.end
    return "".join([*pieces, words.sub(lambda found: table[found[0]], text[at:])])


def _times(text: str, word: str) -> int:
    return len(_word(word).findall(text))


def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


def _legend(used: Mapping[str, str]) -> str:
    return f"{_OPENING}{'; '.join(f'{short} = {long}' for long, short in used.items())}{_CLOSING}" if used else ""


def _check(table: Mapping[str, str]) -> None:
    shorts = list(table.values())
    for long, short in table.items():
        if not long.strip() or not short.strip() or len(short) >= len(long):
            raise ConfigError(f"{long!r} is abbreviated to {short!r}: the short form must be there, and be shorter")
        if shorts.count(short) > 1:
            raise ConfigError(f"{short!r} stands for more than one name, such as {long!r}: give each its own")
        if any(_word(short).search(other) for other in table):
            raise ConfigError(f"{short!r} is part of a name in the table: take another short form for {long!r}")
