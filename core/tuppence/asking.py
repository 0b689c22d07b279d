"""Asking one tier for one call: retries, what it is sent beside the request, and every provider call in the books.

Like the flow, generators that do no I/O. Whoever asks a tier asks here, with the caller's own question and a judge's
alike, so that no ask goes by the guards or is left out of the books.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar
from zlib import crc32

from tuppence.affording import means_of
from tuppence.amending import Amended
from tuppence.attempts import Cause
from tuppence.books import Books
from tuppence.cache.prefix import PrefixPlanner
from tuppence.effects import Ask, Consult, Declined, Effect, Failed, Gate, Plan, Sleep, Undecided, held
from tuppence.errors import RequestError, ScopeError
from tuppence.limiting import limiting
from tuppence.marking import marking
from tuppence.policy import Mode, Policy
from tuppence.request import Reply, Request, ToolsEdit
from tuppence.tiers import Tier

R = TypeVar("R")


def guarded(request: Request, policy: Policy, ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Let the guards take tiers away. They hold in every mode, and what they raise stops the call."""
    for guard in policy.guards:
        choice = guard(request, ladder)
        if choice is not None:
            ladder = choice.ladder
    return ladder


class Asking:
    """The provider calls of one logical call."""

    __slots__ = ("asks", "books", "means", "mode", "planner", "policy", "tools")

    def __init__(self, policy: Policy, books: Books, mode: Mode, asks: int) -> None:
        self.policy = policy
        self.books = books
        self.mode = mode
        self.means = means_of(policy, books)
        self.planner: PrefixPlanner | None = policy.prefix if mode == "optimise" else None
        self.tools: ToolsEdit | None = None
        """Writes the caller's tools shorter."""
        self.asks = asks
        """Provider calls of this logical call so far, a framework's own tries included."""

    @property
    def exhausted(self) -> bool:
        """Say whether the call has made all the provider calls that it may."""
        return self.asks >= self.policy.retries.max_attempts

    def ask(
        self, tier: Tier, cause: Cause, request: Request, gate: Gate, *, spills: bool = False
    ) -> Plan[Reply | Failed | Declined]:
        """Ask one tier, with retries; every provider call becomes an attempt. `spills`: if full, it is left at once."""
        amended = self._amended(tier, request, gate)
        retries = 0
        outcome: Reply | Failed | Declined = Declined()
        while True:
            if self.means is not None and not (yield from self.means.cover(tier, request)):
                return outcome
            self.asks += 1
            outcome = yield Ask(tier, request, amended.edits, cause, gate)
            if isinstance(outcome, Reply):
                tier.health.succeeded()
                self.books.replied(tier, cause, outcome, request)
                if amended.spoilt(outcome) and not self.exhausted:
                    self.books.last.outcome = "rejected"
                    cause = "retry"
                    continue
                return outcome
            if isinstance(outcome, Declined):
                self.books.note(f"{tier.name} declined")
                return outcome
            self.books.failed(tier, cause, outcome, request)
            if not self.exhausted and amended.blames(outcome):
                cause = "retry"
                continue
            full = outcome.kind == "full" and tier.spills_over
            if full and spills:
                self.books.note(f"{tier.name} is full: it turned the call away; spilled over")
                return outcome
            if not full and outcome.kind not in ("bad_request", "context_length"):
                tier.health.failed(self.books.now)
            jitter = (crc32(f"{self.books.result.call_id}/{retries}".encode()) & 0xFFFF) / 0x10000
            wait_s = self.policy.retries.wait_s(outcome, retries=retries, attempts=self.asks, jitter=jitter)
            if wait_s is None:
                return outcome
            yield Sleep(wait_s)
            self.books.now += wait_s
            retries += 1
            cause = "retry"

    def _amended(self, tier: Tier, request: Request, gate: Gate) -> Amended:
        """Say what a tier is sent otherwise; a judge's question, not being the caller's, gets its additions only."""
        edits = tier.edits(request)
        if self.mode != "optimise" or request is not self.books.request:
            return Amended(edits)
        if self.tools is not None:
            edits = replace(edits, tools=self.tools)
        if self.planner is None and self.policy.limits is None:
            return Amended(edits)
        marks = None if self.planner is None else marking(tier, self.planner, self.books)
        limits = limiting(self.policy.limits, tier, gate, self.books)
        return Amended(edits, [one for one in (marks, limits) if one is not None])

    def conduct(self, plan: Plan[R], *, threshold: float | None = None) -> Plan[R]:
        """Run a check's or a shaper's own plan; the tiers that it asks get the same guards, retries and accounting.

        `threshold` is what a check's score is held against; without one nothing is decided yet.
        """
        outcome: Any = None
        while True:
            try:
                effect = plan.send(outcome)
            except StopIteration as done:
                result: R = done.value
                return result
            if isinstance(effect, Undecided):
                outcome = threshold is None or effect.low < threshold <= effect.high
            else:
                outcome = yield from self._step(effect)

    def _step(self, effect: Effect[Any]) -> Plan[Any]:
        """Plan what such a plan asks for; raise `RequestError` where it names no tier, or asks past the policy."""
        if isinstance(effect, Consult):
            return self._opinion(self.policy.tier(effect.tier), effect)
        if isinstance(effect, Ask):
            # Performed as it stands, it would pass by the guards and the books.
            raise RequestError(
                f"the check yielded Ask for tier {effect.tier.name!r}: yield Consult({effect.tier.name!r}, ...), and "
                "give the policy that tier as one of its tiers or judges"
            )
        return iter(effect)

    def _opinion(self, tier: Tier, effect: Consult) -> Plan[Reply | Failed | Declined]:
        """Ask a tier on behalf of a check or shaper, if the guards let it see the request."""
        if not self._may_see(tier):
            return Declined()
        outcome = yield from self.ask(tier, effect.cause, effect.request, held)
        if type(outcome) is Reply:
            self.books.last.outcome = "consulted"
        return outcome

    def _may_see(self, tier: Tier) -> bool:
        """Say whether the guards let a tier that a check asks see this request: its prompt quotes it."""
        try:
            allowed = tier in guarded(self.books.request, self.policy, (tier,))
        except (RequestError, ScopeError) as error:
            self.books.note(f"{tier.name} not consulted: {error}")
            return False
        if not allowed:
            self.books.note(f"{tier.name} not consulted: a guard keeps the request from it")
        return allowed
