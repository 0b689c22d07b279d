"""What became of the rows under one policy: plain counts and exact money, kept row by row."""

from __future__ import annotations

from collections import Counter

from tuppence.evidence.replay.latencies import Latencies
from tuppence.evidence.replay.playing import Played

# A row without one of many models is told by that model's name; names beyond these are told together.
_MAX_NAMES = 50
_OTHERS = "others"
_LATENCIES_AT_ONCE = 4_096


class Counts:
    """Counts of one policy. Those of calls are over the rows that all compared policies can be replayed on."""

    __slots__ = (
        "_waiting", "attempts", "calls", "escalated", "estimated", "fell_short", "latencies", "missing", "pico_usd",
        "textless", "tiers", "unanswered", "ungraded", "unpriced",
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls = self.attempts = self.escalated = self.fell_short = self.unanswered = 0
        self.ungraded = self.unpriced = self.estimated = self.textless = 0
        self.pico_usd = 0
        self.tiers: Counter[str] = Counter()
        """Who answered."""
        self.missing: Counter[str] = Counter()
        """What rows lacked, so that they could not be replayed."""
        self.latencies = Latencies()
        self._waiting: list[float] = []

    def left_out(self, played: Played) -> bool:
        """Count a row that this policy cannot be replayed on, if it is one."""
        if played.missing:
            known = played.missing in self.missing or len(self.missing) < _MAX_NAMES
            self.missing[played.missing if known else _OTHERS] += 1
            return True
        if played.pico_usd is None:
            self.unpriced += 1
            return True
        return False

    def add(self, played: Played) -> None:
        """Count a row that was replayed."""
        self.calls += 1
        self.pico_usd += played.pico_usd or 0
        self.ungraded += played.score is None
        self.textless += played.textless
        if played.latency_ms is not None:
            self._waiting.append(played.latency_ms)
            if len(self._waiting) >= _LATENCIES_AT_ONCE:
                self._measure()
        result = played.result
        if result is None:
            self.unanswered += 1
            return
        self.attempts += len(result.attempts)
        self.fell_short += result.decision.fell_short
        causes = [attempt.cause for attempt in result.attempts]
        self.escalated += "escalation" in causes
        self.estimated += any(attempt.status == "estimated" for attempt in result.attempts)
        if result.reply is None or result.tier is None:
            self.unanswered += 1
        else:
            self.tiers[result.tier] += 1

    def latency_ms(self, share: float) -> float | None:
        """Return the latency that `share` of the calls stayed within; None where none was timed."""
        self._measure()
        return self.latencies.quantile(share)

    def _measure(self) -> None:
        self.latencies.add(self._waiting)
        self._waiting.clear()
