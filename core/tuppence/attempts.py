"""What was tried, why, and at what price: the facts that the ledger, the report and the user's metadata all
read.

An `Attempt` is one provider call (or one answer that needed none). The cost of a logical call is the sum of its
attempts.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass, field
from typing import Any, Literal

from tuppence.prices import CacheMoney, PicoUSD, usd
from tuppence.request import Finish, Reply, Tags
from tuppence.usage import Usage

Cause = Literal[
    "draft", "retry", "validation_retry", "escalation", "fallback", "spill_over", "agreement", "judge", "condense",
    "hit", "observed",
]  # fmt: skip
"""Why an attempt was made. `spill_over`: the tier before was full. `condense` shortens a text to be sent; `observed` is
a model that tuppence only watched."""
Outcome = Literal["accepted", "rejected", "failed", "abandoned", "declined", "consulted", "hit", "observed"]
CostStatus = Literal["exact", "estimated", "unpriced"]
JUDGED = "judged"
"""Mode of what judges of live traffic cost, booked under the calls that they judged."""


@dataclass(frozen=True, slots=True)
class Levers:
    """What an answer would have cost more without each of these, in the order in which they are taken away.

    The first two are estimates: nobody knows what a model would have made of the longer prompt, or said unlimited.
    """

    prune: PicoUSD = 0
    """The tokens that were left out of the prompt, at the baseline's price for input."""
    output: PicoUSD = 0
    """The tokens that the model was spared from writing, at the answering tier's price for output."""
    batch: PicoUSD = 0
    """The same tokens at the answering tier's standard price, less what they cost in a discounted lane."""
    self_host: PicoUSD = 0
    """The same tokens at a provider that serves the model, less what they cost on machines of one's own."""


@dataclass(slots=True)
class Attempt:
    """One try, written once it has ended; only `outcome` and `score` follow later, when it has been checked.

    Not frozen: a frozen dataclass of this width costs 2 microseconds to make, half of the whole flow.
    """

    tier: str
    model: str
    cause: Cause
    outcome: Outcome
    usage: Usage
    pico_usd: PicoUSD | None
    """None where the price is unknown: never zero in its place."""
    status: CostStatus
    price_version: str
    started_at: float
    """Unix seconds."""
    latency_ms: float
    score: float | None = None
    """What the check gave, in [0, 1]."""
    error: str | None = None
    baseline_pico: PicoUSD | None = None
    """What the baseline tier alone would have cost; on the attempt that answered, None elsewhere."""
    would_pico: PicoUSD | None = None
    """Observe mode, on the attempt that answered: an estimate of what the first choice would have cost."""
    finish: Finish | None = None
    """Why the model stopped, where the provider said; None also where there was no answer."""
    prefix: CacheMoney | None = None
    """What the provider's prefix cache did to the price; None where it did nothing, or where that is not known."""
    levers: Levers | None = None
    """On the attempt that answered: savings beside those of the cache and the route; None where there are none."""


@dataclass(slots=True)
class Decision:
    """Why the call went as it did, in words a person can act on."""

    mode: str
    route: str = ""
    cache: str = ""
    shape: str = ""
    """What was left out of the prompt and why, or why nothing was; nothing of the prompt itself."""
    pruned_tokens: int = 0
    """Input tokens of one ask that were left out, as the shapers count them."""
    spared_output_tokens: int = 0
    """Output tokens that the answer was spared, as whoever shortened it counts them."""
    again: bool = False
    """A further try of a logical call that was settled before, such as a framework's own retry."""
    check: str = ""
    would: str = ""
    """Observe mode: what would have been done."""
    prefix: str = ""
    """What was asked of the provider's prefix cache, by tier, and why; and which part of the prompt had changed."""
    drift: str = ""
    """What had changed in the prompt's prefix, with up to 40 characters of it: not for logs, and not in a summary."""
    faults: list[str] = field(default_factory=list)
    """Optimisations that broke and were gone round."""
    lane: str = ""
    """Of a call that may wait: which tiers answered by batch, which at once, and why."""
    missed: str = ""
    """Why the cache did not answer, in a few fixed words: nothing of the prompt, so that it can be counted."""
    fell_short: bool = False
    """No answer passed its check, and the best draft was returned."""
    policy_version: str = ""
    baseline: str = ""
    """Name of the tier that savings are measured against."""
    certificate: str = ""
    """Id of the certificate that the policy's check comes from."""
    outside: str = ""
    """In which ways the policy runs outside that certificate; empty where its promise holds."""


@dataclass(slots=True)
class Result:
    """A settled logical call."""

    call_id: str
    reply: Reply | None
    attempts: list[Attempt]
    decision: Decision
    tags: Tags
    error: BaseException | None = None

    @property
    def pico_usd(self) -> PicoUSD:
        """Sum of the priced attempts."""
        return sum(a.pico_usd or 0 for a in self.attempts)

    @property
    def unpriced(self) -> bool:
        return any(a.pico_usd is None for a in self.attempts)

    @property
    def tier(self) -> str | None:
        """Name of the tier that answered, `cache` for a hit, None where nothing did."""
        for attempt in reversed(self.attempts):
            if attempt.outcome in ("accepted", "hit"):
                return attempt.tier
        return None

    def summary(self) -> dict[str, Any]:
        """Describe the call in plain JSON, no prompt and no answer; `usd` is exact decimal text of what is priced."""
        decision = self.decision
        told: dict[str, Any] = {
            "call_id": self.call_id, "tier": self.tier, "attempts": len(self.attempts),
            "usd": f"{usd(self.pico_usd):f}", "cache": decision.cache, "route": decision.route,
        }  # fmt: skip
        if self.unpriced:
            told["unpriced"] = True
        if decision.shape:
            told["shape"] = decision.shape
        if decision.check:
            told["check"] = decision.check
        if decision.lane:
            told["lane"] = decision.lane
        if decision.prefix:
            told["prefix"] = decision.prefix
        if decision.would:
            told["would"] = decision.would
        if decision.outside:
            told["outside_certificate"] = decision.outside
        if decision.faults:
            told["faults"] = list(decision.faults)
        return told


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check thinks of a reply; whether it is enough is the policy's threshold to say."""

    score: float
    """In [0, 1]; 1 is certainly good enough."""
    reason: str
    straight_above: float = math.inf
    """Under a threshold above this one the strongest tier is asked next, and none between: none is worth its price."""


_process = ""
_counter = itertools.count()


def _new_process() -> None:
    global _process
    _process = os.urandom(10).hex()


_new_process()
os.register_at_fork(after_in_child=_new_process)


def new_call_id() -> str:
    """Make an id unique across processes and forks: 80 random bits a process, then a counter."""
    return f"{_process}-{next(_counter):x}"
