"""Notice that a prefix no longer matches what a scope sent before, and say what changed.

Providers say only that nothing was read. Here the first piece that changed is named, with the place. Texts are kept as
keyed hashes of short pieces, and as the few short spans that look like dates, times, numbers or ids, since those are
what changes; both stay in this process, for a bounded number of scopes. Nothing here may be logged or stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tuppence.cache.prefix.rules import SegmentName
from tuppence.cache.prefix.segments import Prompt, canonical

# Where a change is looked for: to this many characters, in texts up to this long.
_PIECE_CHARS = 64
_SEEN_CHARS = 131_072
_SPANS = 64
_EXCERPT_CHARS = 40
# A scope may send a few prompts in turn (an A/B test): each is compared with the most similar of these.
_SNAPSHOTS = 4
_NAMED: Mapping[SegmentName, str] = {"tools": "the tools", "system": "the system prompt", "documents": "the documents"}
# A date, a time, an id in hexadecimal digits, a number: the longest first. All have a digit, which is what is searched.
_VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d)?[\w.:+-]{0,16})?|\d{1,2}:\d\d(?::\d\d)?"
    r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{12,40}(?![0-9A-Za-z])|\d+(?:[.,]\d+)*"
)
_DIGIT = re.compile(r"\d")
_HEX_BEFORE = re.compile(r"[0-9A-Fa-f-]*\Z")
_key = os.urandom(16)


@dataclass(frozen=True, slots=True)
class Drift:
    """Where a prompt left the prefix that its scope sent before."""

    segment: SegmentName
    character: int
    """Within the segment's text: of the changed span, or of the changed piece of 64 characters."""
    before: str
    """Empty where it was not a date, a number or an id."""
    after: str
    """What stands there now; at most 40 characters."""
    advice: str

    @property
    def place(self) -> str:
        """Say where the change is and what to do, without a word of the prompt."""
        return self._told("")

    def __str__(self) -> str:
        return self._told(f": {self.before!r} -> {self.after!r}" if self.before else "")

    def _told(self, what: str) -> str:
        return f"{_NAMED[self.segment]} changed at character {self.character}{what}: {self.advice}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of one segment."""

    digest: bytes
    order_free: bytes
    """Of the tools, whatever their order and that of their keys; empty for texts."""
    pieces: tuple[bytes, ...]
    spans: tuple[tuple[int, str], ...]


_Snapshot = Mapping[SegmentName, _Seen]


class _Scope:
    __slots__ = ("repeated", "snapshots")

    def __init__(self) -> None:
        self.snapshots: deque[_Snapshot] = deque(maxlen=_SNAPSHOTS)
        self.repeated: set[SegmentName] = set()


class DriftDetector:
    """Compare each prompt of a scope with those before it. Safe for many threads."""

    __slots__ = ("_limit", "_lock", "_scopes")

    def __init__(self, *, max_scopes: int = 1000) -> None:
        self._limit = max_scopes
        self._lock = threading.Lock()
        self._scopes: OrderedDict[tuple[str, ...], _Scope] = OrderedDict()

    def see(self, scope: tuple[str, ...], prompt: Prompt) -> Drift | None:
        """Take in a prompt; return what changed against the most similar one before it, or None.

        Tools and instructions are expected to repeat. Documents are once they have: before, every question may bring
        its own. Turns are not looked at: a conversation that goes on changes them.
        """
        texts = _texts(prompt)
        with self._lock:
            known = self._scopes.setdefault(scope, _Scope())
            self._scopes.move_to_end(scope)
            if len(self._scopes) > self._limit:
                self._scopes.popitem(last=False)
            earlier = list(known.snapshots)
        snapshot = {name: _kept(name, text, earlier) for name, text in texts.items()}
        with self._lock:
            closest = max(reversed(earlier), key=lambda one: _alike(one, snapshot), default=None)
            watched: set[SegmentName] = {"tools", "system", *known.repeated}
            if closest is not None:
                known.repeated |= {name for name, seen in snapshot.items() if _same(closest.get(name), seen)}
            if snapshot not in earlier:
                known.snapshots.append(snapshot)
        return None if closest is None else _drift(closest, snapshot, texts, watched)


def _texts(prompt: Prompt) -> dict[SegmentName, str]:
    texts: dict[SegmentName, str] = {}
    for one in prompt.segments:
        if one.name in _NAMED:
            texts[one.name] = f"{texts[one.name]}\n{one.text}" if one.name in texts else one.text
    return texts


def _kept(name: SegmentName, text: str, earlier: Sequence[_Snapshot]) -> _Seen:
    """Return what is kept of a text, as it was made when the text was seen first."""
    digest = _hash(text)
    known = (one[name] for one in earlier if name in one and one[name].digest == digest)
    return next(known, None) or _seen(name, text, digest)


def _seen(name: SegmentName, text: str, digest: bytes) -> _Seen:
    shown = text[:_SEEN_CHARS]
    pieces = tuple(_hash(shown[at : at + _PIECE_CHARS]) for at in range(0, len(shown), _PIECE_CHARS))
    return _Seen(digest, _order_free(text) if name == "tools" else b"", pieces, tuple(islice(_spans(shown), _SPANS)))


def _spans(text: str) -> Iterator[tuple[int, str]]:
    end = 0
    for digit in _DIGIT.finditer(text):
        at = digit.start()
        if at < end:
            continue
        before = _HEX_BEFORE.search(text[max(end, at - _EXCERPT_CHARS) : at])
        start = at - len(before.group()) if before else at
        found = _VOLATILE.match(text, start)
        if found is None or found.end() <= at:
            found = _VOLATILE.match(text, at)
        if found is not None:
            end = found.end()
            yield found.start(), found.group()[:_EXCERPT_CHARS]


def _order_free(tools: str) -> bytes:
    return _hash(canonical(sorted(json.loads(tools), key=canonical)))


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=_key).digest()


def _same(before: _Seen | None, after: _Seen) -> bool:
    return before is not None and before.digest == after.digest


def _alike(before: _Snapshot, after: _Snapshot) -> int:
    """Count the pieces that two prompts begin with alike, in the order in which they are rendered."""
    count = 0
    for name in _NAMED:
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            if one is not other:
                return count
            continue
        count += _first_difference(one, other)
        if one.digest != other.digest:
            return count
    return count


def _first_difference(one: _Seen, other: _Seen) -> int:
    for number, (a, b) in enumerate(zip(one.pieces, other.pieces, strict=False)):
        if a != b:
            return number
    return min(len(one.pieces), len(other.pieces))


def _drift(
    before: _Snapshot, after: _Snapshot, texts: Mapping[SegmentName, str], watched: set[SegmentName]
) -> Drift | None:
    for name in _NAMED:
        one, other = before.get(name), after.get(name)
        if (one is None and other is None) or name not in watched:
            continue
        if one is None or other is None:
            advice = f"{'left out' if other is None else 'added'} in this call: send the same in all of this kind"
            return Drift(name, 0, "", _excerpt(texts.get(name, ""), 0), advice)
        if one.digest != other.digest:
            return _changed(name, one, other, texts[name])
    return None


def _changed(name: SegmentName, before: _Seen, after: _Seen, text: str) -> Drift:
    start = _first_difference(before, after) * _PIECE_CHARS
    if name == "tools" and before.order_free == after.order_free:
        return Drift(name, start, "", _excerpt(text, start), "only the order differs: sort the tools and their keys")
    old = dict(before.spans)
    for at, span in after.spans:
        if start - len(span) < at < start + _PIECE_CHARS and old.get(at, span) != span:
            return Drift(name, at, old[at], span, f"move the {_kind(span)} after the last breakpoint")
    advice = "move what changes after the last breakpoint, or send it always alike"
    return Drift(name, start, "", _excerpt(text, start), advice)


def _excerpt(text: str, start: int) -> str:
    return text[start : start + _EXCERPT_CHARS]


def _kind(span: str) -> str:
    if re.match(r"\d{4}-\d\d-\d\d", span):
        return "date"
    if ":" in span:
        return "time"
    return "number" if re.fullmatch(r"[\d.,]+", span) else "id"
