"""How a tool's result is written when it first appears: shorter, and without loss.

A function of that one text alone, so its bytes never change from call to call: it is made before any cache holds the
message, and costs nothing at any price.
"""

from __future__ import annotations

import json

from tuppence.prune.audit import TokenCounter, counter_for
from tuppence.prune.history.tallying import digest_of
from tuppence.prune.history.view import TextWriter
from tuppence.prune.payloads import ENCODINGS, compact_in_text, parsed, shortest

# A few megabytes of tool results as they are sent.
_MOST_KNOWN = 1000


def fewest_tokens(text: str) -> str:
    """Write a text that is JSON in the spelling that has the fewest tokens, and make JSON inside of others compact.

    Tables say their names once, as JSON, CSV, YAML or an outline; `payloads.LEGEND` tells a model how that is read. A
    number whose digits would change keeps the text in JSON.
    """
    compact = compact_in_text(text)
    try:
        value = json.loads(text, parse_float=_same_float, parse_int=_same_int)
        return min(compact, shortest(parsed(text), encodings=ENCODINGS).text, key=counter_for()) if value else compact
    except (ValueError, RecursionError):
        return compact


def _same_float(digits: str) -> float:
    number = float(digits)
    if repr(number) != digits:
        raise ValueError(f"{digits} would become {number!r}")
    return number


def _same_int(digits: str) -> int:
    number = int(digits)
    if str(number) != digits:
        raise ValueError(f"{digits} would become {number}")
    return number


class Arrivals:
    """Writes tool results as they are sent, each worked out once for as long as it keeps coming. For many threads."""

    __slots__ = ("_count", "_known", "_write")

    def __init__(self, write: TextWriter | None, count: TokenCounter) -> None:
        self._write = write
        self._count = count
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Return the text as it is sent: never longer in tokens, and unchanged where writing it breaks."""
        if self._write is None:
            return text
        key = digest_of(text)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = self._shorter(text, self._write)
        return known

    def _shorter(self, text: str, write: TextWriter) -> str:
        try:
            written = write(text)
        except Exception:  # noqa: BLE001 - a result may hold anything, and the writer may be the user's own
            return text
        return written if written and self._count(written) < self._count(text) else text
