"""The output limits of a policy: what past answers say about the next one, learned further while the program runs.

Safe for many threads. A plan is made anew only after so many further answers, so that a call pays for a look-up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from tuppence.estimates import input_tokens
from tuppence.prune.output.lengths import OutputLengths, PastAnswer
from tuppence.prune.output.plan import OutputPlan, output_edits
from tuppence.request import Edits, Reply, Request
from tuppence.tiers import Tier

_REPLAN_AFTER = 50
"""Further answers of a task and model. A plan takes milliseconds, and a rank of hundreds moves slowly."""


class OutputLimits:
    """Limits that follow the answers of each task and model."""

    __slots__ = ("_due", "_lengths", "_lock", "_plans")

    def __init__(self, past: Iterable[PastAnswer] = (), *, lengths: OutputLengths | None = None) -> None:
        """Begin with past answers, oldest first; without any, limits come as calls do.

        No line is added to questions unless `lengths` says so: what it does to answers is for the user to judge.
        """
        self._lengths = OutputLengths(brevity=None) if lengths is None else lengths
        self._lengths.learn(past)
        self._lock = threading.Lock()
        self._plans: dict[tuple[str, str], OutputPlan] = {}
        self._due: dict[tuple[str, str], int] = {}

    def __reduce__(self) -> tuple[Callable[..., OutputLimits], tuple[tuple[PastAnswer, ...], OutputLengths]]:
        """Travel with what was learned: lengths and task names, nothing of any text."""
        return _restored, ((), self._lengths)

    def plan(self, request: Request, tier: Tier) -> OutputPlan:
        """Return what is known of a tier's answers to requests like this one."""
        key = _key(request, tier)
        with self._lock:
            known = self._plans.get(key)
            if known is None or self._due.get(key, 0) <= 0:
                known = self._plans[key] = self._planned(key, request, tier)
                self._due[key] = _REPLAN_AFTER
            return known

    def _planned(self, key: tuple[str, str], request: Request, tier: Tier) -> OutputPlan:
        """Plan anew; what a retry would cost is told by the prompt of the call that happens to be under way."""
        rate = None if tier.rate is None else tier.rate.at(request.received_at)
        return self._lengths.plan(*key, rate=rate, input_tokens=0 if rate is None else input_tokens(tier, request))

    def edits(self, request: Request, tier: Tier) -> Edits:
        """Write the limits into one ask of a tier, as both frameworks spell them; SDK seams spell them anew."""
        plan, own = self.plan(request, tier), tier.max_output_tokens
        if own is not None and plan.max_tokens is not None and plan.max_tokens >= own:
            plan = replace(plan, max_tokens=None)
        return output_edits(plan, request)

    def learn(self, request: Request, tier: Tier, reply: Reply) -> None:
        """Take in how long an answer was, and how it ended."""
        if reply.usage is None or reply.usage_is_estimate:
            return
        key = _key(request, tier)
        with self._lock:
            self._lengths.learn([(*key, reply.usage.output, reply.usage.reasoning, reply.finish)])
            self._due[key] = self._due.get(key, 0) - 1


def _restored(past: tuple[PastAnswer, ...], lengths: OutputLengths) -> OutputLimits:
    return OutputLimits(past, lengths=lengths)


def _key(request: Request, tier: Tier) -> tuple[str, str]:
    tags = request.tags
    return tags.get("task") or tags.get("endpoint") or "", tier.model or tier.name
