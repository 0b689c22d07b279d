"""The planner that a program keeps: it watches the prompts that go by and plans each call's use of the prefix cache.

One traffic record and one drift detector for all tiers, in this process. It asks nobody and changes no request: its
plan's edits are for the seam to make.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tuppence.cache.prefix.drift import Drift, DriftDetector
from tuppence.cache.prefix.plan import PrefixPlan, plan_prefix
from tuppence.cache.prefix.rules import rule_for
from tuppence.cache.prefix.segments import prompt_of
from tuppence.cache.prefix.traffic import Sightings
from tuppence.request import Request
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class Planned:
    """A call's plan, and what had changed in its prefix."""

    plan: PrefixPlan
    drift: Drift | None


class PrefixPlanner:
    """Plan calls one after the other. Safe for many threads."""

    __slots__ = ("_drifts", "_sightings")

    def __init__(self, *, max_scopes: int = 1000) -> None:
        self._sightings = Sightings(max_scopes=max_scopes)
        self._drifts = DriftDetector(max_scopes=max_scopes)

    def plan(self, request: Request, tier: Tier, *, documents: Collection[int] = ()) -> Planned:
        """Plan one call of `tier`, which counts as traffic from then on; call it once for each attempt.

        A scope is a tenant's calls to one endpoint (or task) on one model. `documents` are the indices of messages
        that hold reference texts.
        """
        tags = request.tags
        model = tier.model or tier.name
        scope = (tags.get("tenant", ""), tags.get("endpoint", ""), tags.get("task", ""), model)
        prompt = prompt_of(request, model, documents=documents)
        traffic = self._sightings.see(scope, prompt, request.received_at)
        rule = rule_for(model, provider=tier.provider, at=request.received_at)
        rate = None if tier.rate is None else tier.rate.at(request.received_at)
        return Planned(plan_prefix(prompt, rule, rate, traffic), self._drifts.see(scope, prompt))
