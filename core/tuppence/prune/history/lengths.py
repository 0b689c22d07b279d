"""How many further calls a conversation will make, judged by those that have ended: counts, never a text."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

PRIOR_CALLS = Fraction(1)
"""Further calls assumed where nothing was seen, and the weight of one conversation: cautious, since an edit that is not
made costs nothing more, and one that is made too early does."""
LONGEST = 1000
"""Longer conversations count as this long."""


class Lengths:
    """How long the conversations were that have ended. Safe for many threads."""

    __slots__ = ("_counts", "_lock")

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts = Counter(dict(counts or {}))
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Lengths], tuple[dict[int, int]]]:
        """Travel with the counts."""
        return Lengths, (self.told(),)

    def ended(self, calls: int) -> None:
        """Take in a conversation that made so many calls."""
        with self._lock:
            self._counts[min(calls, LONGEST)] += 1

    def further(self, calls: int) -> Fraction:
        """Return the calls to be expected after the one numbered `calls`.

        The mean of what conversations that came this far still made, with one made-up conversation of `PRIOR_CALLS`
        more among them.
        """
        with self._lock:
            reached = [(length, count) for length, count in self._counts.items() if length >= calls]
        more = sum((length - calls) * count for length, count in reached)
        return (PRIOR_CALLS + more) / (1 + sum(count for _, count in reached))

    def told(self) -> dict[int, int]:
        """Return the counts, by length."""
        with self._lock:
            return dict(sorted(self._counts.items()))
