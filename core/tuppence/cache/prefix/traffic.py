"""What was seen of one scope's prompts: how often a prefix comes again, and how soon.

Keeps digests, times and counts in this process, never a text, for a bounded number of scopes. It must never mix two
scopes: what one tenant sends says nothing of what another's cache holds.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tuppence.cache.prefix.rules import SegmentName
from tuppence.cache.prefix.segments import Prompt, Segment

# The last so many requests of a scope count: traffic changes within a day.
_REMEMBERED = 64
# Prefixes remembered for a scope: as many conversations under way at once.
_PREFIXES = 512


@dataclass(frozen=True, slots=True)
class Sighting:
    """One request's prefix up to one cut, against what had been sent before."""

    gap_s: int | None
    """Whole seconds, rounded up, since an earlier request with the same prefix began; None where there was none."""
    share: Fraction = Fraction(1)
    """How much of what this cut adds to the one before an earlier request had sent already: below 1 where turns have
    been added since."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was observed of one scope, by the kind of segment at which a prefix ends."""

    sightings: Mapping[SegmentName, tuple[Sighting, ...]] = field(default_factory=dict)

    def warm(self, name: SegmentName, within_s: int) -> Fraction:
        """Return the share of requests whose prefix had been sent less than `within_s` seconds before.

        A use begins an entry's lifetime anew, so this is the share of requests that would find it. 0 where nothing
        was seen.
        """
        seen = self.sightings.get(name, ())
        found = sum(1 for one in seen if one.gap_s is not None and one.gap_s < within_s)
        return Fraction(found, len(seen)) if seen else Fraction(0)

    def share(self, name: SegmentName, within_s: int) -> Fraction:
        """Return how much of what the cut adds such a request had in common, on average; 1 where none was seen."""
        found = [one.share for one in self.sightings.get(name, ()) if one.gap_s is not None and one.gap_s < within_s]
        return sum(found, Fraction(0)) / len(found) if found else Fraction(1)

    @property
    def requests(self) -> int:
        """How many requests were seen."""
        return max((len(seen) for seen in self.sightings.values()), default=0)


NOTHING_SEEN = Traffic()


class _Scope:
    """What one scope has sent."""

    __slots__ = ("prefixes", "sightings")

    def __init__(self) -> None:
        self.prefixes: OrderedDict[tuple[SegmentName, str], float] = OrderedDict()
        self.sightings: dict[SegmentName, deque[Sighting]] = {}

    def see(self, prompt: Prompt, at: float) -> None:
        before = 0
        for cut in prompt.cuts:
            sighting = self._sighting(prompt, cut, before, at)
            self.sightings.setdefault(cut.name, deque(maxlen=_REMEMBERED)).append(sighting)
            before = cut.upto_tokens
        for cut in prompt.cuts:
            key = (cut.name, cut.digest)
            self.prefixes[key] = max(at, self.prefixes.get(key, at))
            self.prefixes.move_to_end(key)
        while len(self.prefixes) > _PREFIXES:
            self.prefixes.popitem(last=False)

    def _sighting(self, prompt: Prompt, cut: Segment, before: int, at: float) -> Sighting:
        """Find the longest prefix within this kind of segment at which an earlier request had its cut."""
        pieces = [one for one in prompt.segments if one.name == cut.name]
        for piece in reversed(pieces):
            sent_at = self.prefixes.get((cut.name, piece.digest))
            if sent_at is not None:
                added = cut.upto_tokens - before
                share = Fraction(piece.upto_tokens - before, added) if added else Fraction(1)
                return Sighting(max(0, math.ceil(at - sent_at)), share)
        return Sighting(None)


class Sightings:
    """Watch the prompts of many scopes. Safe for many threads."""

    __slots__ = ("_limit", "_lock", "_scopes")

    def __init__(self, *, max_scopes: int = 1000) -> None:
        self._limit = max_scopes
        self._lock = threading.Lock()
        self._scopes: OrderedDict[tuple[str, ...], _Scope] = OrderedDict()

    def see(self, scope: tuple[str, ...], prompt: Prompt, at: float) -> Traffic:
        """Take in a request that begins `at` (Unix seconds); return what had been seen of the scope before it.

        A scope is one cache and one kind of traffic: tenant, endpoint or task, and model. Beyond `max_scopes` the one
        unused for longest is forgotten.
        """
        with self._lock:
            known = self._scopes.setdefault(scope, _Scope())
            self._scopes.move_to_end(scope)
            if len(self._scopes) > self._limit:
                self._scopes.popitem(last=False)
            traffic = Traffic({name: tuple(seen) for name, seen in known.sightings.items()})
            known.see(prompt, at)
            return traffic
