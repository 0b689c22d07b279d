"""Which threshold keeps the share of wrong hits below what was promised, learned from audits of the user's own traffic.

An audit is a near question that the model answered all the same, so that what would have been served can be compared
with what was said. It must never promise on too little evidence: then the answer is "not yet", and how many more.

The test is a betting e-process, valid at any time, however often it is looked at: under "more than `max_wrong_share` of
the hits are wrong" the wealth below is a non-negative supermartingale that starts at 1 and passes 1/d with probability
at most d (Ville). I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86
(2024). Several thresholds are tested, so each must pass `len(GRID)` / delta (Bonferroni).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from tuppence.errors import CacheError, ConfigError
from tuppence.forks import make_fork_safe

GRID = (0.99, 0.97, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Probabilities at which serving may begin. Below one half a wrong answer would be the likelier one."""
FEW_AUDITS = 50
"""A domain with fewer audits of its own borrows the evidence of all domains together."""

# Shares of the largest bet that cannot ruin: a mixture over them needs no tuning, at the cost of log(5) in evidence.
_BETS = (0.2, 0.4, 0.6, 0.8, 0.95)


@dataclass(frozen=True, slots=True)
class Audit:
    """What would have been served, compared with what the model said."""

    domain: str
    probability: float
    """What the decision gave the hit."""
    same: bool
    """Whether the cached answer would have done."""
    at: float
    """Unix seconds."""
    question: str = ""
    served: str = ""
    """The stored question whose answer would have been served; both are kept only where examples are."""


class AuditLog(Protocol):
    """Keeps audits, maybe those of many processes; whatever it raises is recorded."""

    def add(self, audit: Audit, /) -> None:
        """Keep an audit; it survives a kill -9, where the log outlives the process at all, when this returns."""
        ...

    def read(self, after: int = 0, /) -> Sequence[Audit]:
        """Return all audits but the first `after`, oldest first."""
        ...


class MemoryAudits:
    """Audits of this process."""

    def __init__(self) -> None:
        self._audits: list[Audit] = []

    def add(self, audit: Audit) -> None:
        self._audits.append(audit)

    def read(self, after: int = 0) -> Sequence[Audit]:
        return tuple(self._audits[after:])


@dataclass(slots=True)
class Tally:
    """Audits at or above each threshold of `GRID`, and the wrong ones among them."""

    audits: list[int] = field(default_factory=lambda: [0] * len(GRID))
    wrong: list[int] = field(default_factory=lambda: [0] * len(GRID))
    lowest: int | None = None
    """Place in `GRID` of the threshold that they allow, once `known`."""
    known: bool = False

    def add(self, audit: Audit) -> None:
        self.lowest, self.known = None, False
        for at, threshold in enumerate(GRID):
            if audit.probability >= threshold:
                self.audits[at] += 1
                self.wrong[at] += not audit.same


@dataclass(frozen=True, slots=True)
class Finding:
    """What the audits of one domain say."""

    domain: str
    threshold: float | None
    """The lowest one that keeps the promise; None while there is not enough evidence for any."""
    audits: int
    """At or above the threshold; without one, at or above the most promising."""
    wrong: int
    interval: tuple[float, float]
    """95 % Wilson interval of the share of wrong hits at that threshold."""
    more_needed: int
    """Audits without a wrong one that would be enough for a threshold; 0 once there is one."""
    pooled: bool
    """The evidence is that of all domains together."""


class Calibration:
    """Learn the threshold of each domain: `Calibration(max_wrong_share=0.02)`.

    While a domain has none, nothing is served there; every near question is then asked anyway and audited for nothing.
    Once it has one, `audit_share` of the hits goes on being asked, and the threshold is withdrawn or lowered as
    evidence comes in. `delta` is the probability with which the promise may fail, for each domain.

    A `log` that processes or machines share teaches all of them: each takes in what the others have added whenever it
    adds an audit of its own.
    """

    def __init__(
        self, *, max_wrong_share: float = 0.02, delta: float = 0.05, audit_share: float = 0.05,
        log: AuditLog | None = None,
    ) -> None:  # fmt: skip
        for name, value in (("max_wrong_share", max_wrong_share), ("delta", delta), ("audit_share", audit_share)):
            if not 0.0 < value < 1.0:
                raise ConfigError(f"{name} is {value}: it is a share between 0 and 1")
        self.max_wrong_share = max_wrong_share
        self.delta = delta
        self.audit_share = audit_share
        self._log = MemoryAudits() if log is None else log
        self._domains: dict[str, Tally] = {}
        self._all = Tally()
        self._read = 0
        self._begin()
        make_fork_safe(self)
        # A Redis that is away fails no program: nothing is served before there is an audit, and then it is asked again.
        with suppress(CacheError):
            self._follow()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        # Apart from the other: who asks for a threshold never waits for a disk or a network.
        self._following = threading.Lock()

    def add(self, audit: Audit) -> None:
        """Keep an audit, and take in what has been added to the log by now; raises what the log raises."""
        try:
            self._log.add(audit)
        except Exception:
            # What cannot be kept still counts here: a threshold must fall though the log is away. One whose keeping
            # timed out may turn up in the log and count twice.
            with self._lock:
                self._count(audit)
            raise
        self._follow()

    def threshold(self, domain: str) -> float:
        """Return the probability from which hits are served in `domain`; infinite while there is no evidence."""
        with self._lock:
            at = self._lowest(self._evidence(domain)[0])
        return math.inf if at is None else GRID[at]

    def finding(self, domain: str) -> Finding:
        """Say what the audits of `domain` allow, or how many more are needed."""
        with self._lock:
            tally, pooled = self._evidence(domain)
            at = self._lowest(tally)
            shown = self._most_promising(tally) if at is None else at
            audits, wrong = tally.audits[shown], tally.wrong[shown]
        return Finding(
            domain, None if at is None else GRID[at], audits, wrong, wilson(wrong, audits),
            self._missing(audits, wrong) if at is None else 0, pooled,
        )  # fmt: skip

    def findings(self) -> list[Finding]:
        """Return the finding of every domain that has audits."""
        with self._lock:
            domains = sorted(self._domains)
        return [self.finding(domain) for domain in domains]

    def audits(self) -> Sequence[Audit]:
        return self._log.read()

    def _follow(self) -> None:
        with self._following:
            new = self._log.read(self._read)
            with self._lock:
                for audit in new:
                    self._count(audit)
                self._read += len(new)

    def _count(self, audit: Audit) -> None:
        self._domains.setdefault(audit.domain, Tally()).add(audit)
        self._all.add(audit)

    def _evidence(self, domain: str) -> tuple[Tally, bool]:
        """Return the audits that decide for `domain`, and whether they are those of all domains."""
        own = self._domains.get(domain) or Tally()
        pooled = own.audits[-1] < FEW_AUDITS <= self._all.audits[-1]
        return (self._all, True) if pooled else (own, False)

    def _lowest(self, tally: Tally) -> int | None:
        """Return the place in `GRID` of the lowest threshold that keeps the promise and has audits of its own."""
        if not tally.known:
            for at in range(len(GRID)):
                more = tally.audits[at] - (tally.audits[at - 1] if at else 0)
                if more and self._holds(tally.audits[at], tally.wrong[at]):
                    tally.lowest = at
            tally.known = True
        return tally.lowest

    def _most_promising(self, tally: Tally) -> int:
        return min(range(len(GRID)), key=lambda at: self._missing(tally.audits[at], tally.wrong[at]))

    def _holds(self, audits: int, wrong: int) -> bool:
        return log_wealth(audits, wrong, self.max_wrong_share) >= self._enough

    @property
    def _enough(self) -> float:
        return math.log(len(GRID) / self.delta)

    def _missing(self, audits: int, wrong: int) -> int:
        """Count the audits without a wrong one that would be enough."""
        low, high = 0, 1
        while not self._holds(audits + high, wrong):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._holds(audits + middle, wrong) else (middle, high)
        return high

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._begin()


def log_wealth(audits: int, wrong: int, promised: float) -> float:
    """Return the logarithm of what betting against "more than `promised` are wrong" has made of 1.

    A mixture over fixed bets b of (1 + b promised)^right x (1 - b (1 - promised))^wrong: it depends on counts alone.
    """
    if not audits:
        return 0.0
    largest = 1 / (1 - promised)
    logs = [(audits - wrong) * math.log1p(share * largest * promised) + wrong * math.log1p(-share) for share in _BETS]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(one - top) for one in logs) / len(logs))


def wilson(wrong: int, audits: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson score interval of a share; E. B. Wilson, JASA 22 (1927) 209, by default at 95 %."""
    if not audits:
        return 0.0, 1.0
    share = wrong / audits
    middle = share + z * z / (2 * audits)
    spread = z * math.sqrt(share * (1 - share) / audits + z * z / (4 * audits * audits))
    scale = 1 + z * z / audits
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
