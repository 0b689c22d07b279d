"""JSON within a message's text, made compact where it stands; everything else stays byte for byte.

Meant for tool outputs when they first appear: the same text always becomes the same text, and doing it twice changes
nothing more, so that a conversation's bytes stay stable. It looks at the spelling only: numbers keep their digits, and
keys that stand twice stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tuppence.prune.audit import DEFAULT_MODEL, counter_for
from tuppence.prune.payloads.fences import Fence, fences
from tuppence.prune.payloads.values import compact

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[ \t\n\r]+', re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_JSON_LANGUAGES = frozenset({"json", "geojson", "jsonl", "ndjson", "json-ld", "jsonld"})
_MOST_TRIED = 5_000_000
"""Characters of things that begin like JSON and are not, about a tenth of a second: then the text is left as it is."""
_COUNTED_AS_ONE = 64
"""Characters before a fault: the decoder counts lines in so many while it reads one (measured). Left out, a long text
with many faults takes minutes."""


@dataclass(frozen=True, slots=True)
class JsonSpan:
    """JSON in a text, and its compact form."""

    start: int
    end: int
    compact: str


def compact_in_text(text: str, *, model: str = DEFAULT_MODEL) -> str:
    """Return a text with its JSON made compact; as it was where that would not save a token of `model`'s.

    JSON is a whole message, a fenced block of JSON, or an object (or an array that holds one) anywhere in prose. What
    stands in another fenced block or in backticks is left alone.
    """
    spans = json_spans(text)
    if not spans:
        return text
    shorter = replaced(text, spans)
    count = counter_for(model)
    return shorter if count(shorter) < count(text) else text


def compacted(text: str) -> str:
    """Return JSON text without its whitespace, letters of every script unescaped; what is no JSON, as it was."""
    try:
        json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return text
    return _spelt(text)


def json_spans(text: str) -> list[JsonSpan]:
    """Find the JSON in a text that can be written shorter, in order."""
    search = _Search(text)
    try:
        found = list(search.everywhere())
    except _TriedEnough:
        return []
    spans = [JsonSpan(start, end, _spelt(text[start:end])) for start, end in found]
    return [span for span in spans if len(span.compact) < span.end - span.start]


def replaced(text: str, spans: list[JsonSpan]) -> str:
    """Put the compact form of every span in its place."""
    pieces, at = [], 0
    for span in spans:
        pieces += [text[at : span.start], span.compact]
        at = span.end
    return "".join([*pieces, text[at:]])


class _TriedEnough(Exception):
    """The text is full of what looks like JSON and is none."""


class _Search:
    """One text, and how much of it was tried in vain."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tried = 0
        self.decoder = json.JSONDecoder(parse_constant=_no_json)

    def everywhere(self) -> Iterator[tuple[int, int]]:
        whole = self._whole(0, len(self.text))
        if whole is not None:
            yield whole
            return
        at = 0
        for fence in fences(self.text):
            yield from self._embedded(at, fence.start)
            yield from self._fenced(fence)
            at = fence.end
        yield from self._embedded(at, len(self.text))

    def _whole(self, start: int, end: int) -> tuple[int, int] | None:
        """Return where one object or array stands alone."""
        inside = self.text[start:end]
        first, last = start + len(inside) - len(inside.lstrip()), start + len(inside.rstrip())
        if self.text[first : first + 1] not in ("{", "["):
            return None
        found = self._value(first)
        return (first, last) if found is not None and found[1] == last else None

    def _fenced(self, fence: Fence) -> Iterator[tuple[int, int]]:
        whole = self._whole(fence.start, fence.end) if fence.language in ("", *_JSON_LANGUAGES) else None
        if whole is not None:
            yield whole
        elif fence.language in _JSON_LANGUAGES:
            yield from self._embedded(fence.start, fence.end)

    def _embedded(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        at = start
        while (opening := _OPENING.search(self.text, at, end)) is not None:
            first = opening.start()
            found = self._value(first)
            if found is None or found[1] > end:
                at = first + 1
                continue
            value, at = found
            if _holds_object(value) and self.text[first - 1 : first] != "`":
                yield first, at

    def _value(self, start: int) -> tuple[Any, int] | None:
        try:
            return self.decoder.raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            self.tried += error.pos - start + error.pos // _COUNTED_AS_ONE
        except (ValueError, RecursionError):
            self.tried += len(self.text) - start
        if self.tried > _MOST_TRIED:
            raise _TriedEnough
        return None


def _spelt(text: str) -> str:
    return _PIECE.sub(lambda piece: _unescaped(piece[0]) if piece[0].startswith('"') else "", text)


def _unescaped(literal: str) -> str:
    return compact(json.loads(literal)) if "\\u" in literal else literal


def _holds_object(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value)
    return isinstance(value, list) and any(_holds_object(one) for one in value)


def _no_json(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
