"""Up the ladder: ask tier after tier until an answer is good enough. The cascade's own order of steps.

Like the flow that starts it, a generator that does no I/O. Every provider call becomes an attempt in the books, and
no draft that a check rejected is ever handed on as an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar
from zlib import crc32

from tuppence.attempts import Attempt, Cause, Verdict
from tuppence.books import Books, go_round
from tuppence.cache.prefix import PrefixPlanner
from tuppence.effects import Ask, Consult, Declined, Effect, Failed, Gate, Plan, Sleep, held, live
from tuppence.errors import CallFailed, RequestError, ScopeError, SpendLimitReached
from tuppence.estimates import affordable
from tuppence.marking import marking
from tuppence.policy import Mode, Policy
from tuppence.request import Edits, Reply, Request, ToolsEdit
from tuppence.tiers import Tier

R = TypeVar("R")


def guarded(request: Request, policy: Policy, ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Let the guards take tiers away. They hold in every mode, and what they raise stops the call."""
    for guard in policy.guards:
        choice = guard(request, ladder)
        if choice is not None:
            ladder = choice.ladder
    return ladder


class Climb:
    """One logical call on its way up the ladder."""

    __slots__ = (
        "again", "asks", "best", "books", "drafts", "error", "mode", "planner", "policy", "reply", "request",
        "threshold", "tools",
    )  # fmt: skip

    def __init__(self, request: Request, policy: Policy, books: Books, mode: Mode, asks: int) -> None:
        self.request = request
        """As it is sent."""
        self.tools: ToolsEdit | None = None
        """Writes the caller's tools shorter."""
        self.policy = policy
        self.books = books
        self.mode = mode
        self.planner: PrefixPlanner | None = policy.prefix if mode == "optimise" else None
        self.threshold = policy.threshold
        self.again = asks > 0
        """A framework has tried this call before."""
        self.asks = asks
        """Provider calls of this logical call so far, a framework's own tries included."""
        self.reply: Reply | None = None
        self.best: tuple[float, Reply, Attempt] | None = None
        """The rejected draft with the highest score."""
        self.drafts: tuple[Reply, ...] = ()
        """All replies that were rejected, in order."""
        self.error: BaseException | None = None
        """Why there is no answer yet."""

    def up(self, ladder: tuple[Tier, ...]) -> Plan[None]:
        """Ask tier after tier until an answer is good enough."""
        able = self._able(ladder)
        if self.planner is not None and len(able) > 1:
            able = self._worth_asking(able, self.planner)
        cause: Cause = "retry" if self.again else "draft"
        for position, tier in enumerate(able, start=1):
            if not self._can_afford(tier):
                return
            outcome = yield from self._attempt(tier, cause, last=position == len(able))
            if self.reply is not None:
                return
            if type(outcome) is Failed:
                self.error = outcome.error
                if outcome.delivered:
                    return
                cause = "fallback"
            elif type(outcome) is Reply:
                self.error = None
                cause = "escalation"

    def conclude(self) -> Reply | None:
        """Settle for the best answer there is; with none, `error` says why."""
        if self.reply is None and self.best is not None and self.policy.on_exhausted == "best_draft":
            score, draft, attempt = self.best
            self.books.note(f"best draft returned (score {score:.2f}, threshold {self.threshold})")
            self._accept(draft, attempt)
            self.books.decision.fell_short = True
        if self.reply is None and self.error is None:
            self.error = self._unanswered()
        return self.reply

    def settled_for_less(self) -> bool:
        """Say whether the answer is a draft that its check rejected."""
        return self.best is not None and self.reply is self.best[1]

    # -- which tiers

    def _able(self, ladder: tuple[Tier, ...]) -> list[Tier]:
        """Leave out tiers that cannot do what the request needs, or are resting while others are not."""
        able, rested = [], []
        for tier in ladder:
            lacks = tier.lacks(self.request)
            if lacks is not None:
                self.books.note(f"{tier.name} skipped: it cannot do {lacks}")
                continue
            able.append(tier)
            if tier.health.allows(self.books.now):
                rested.append(tier)
            else:
                self.books.note(f"{tier.name} skipped: it rests after failures")
        return rested or able[-1:]

    def _worth_asking(self, able: list[Tier], planner: PrefixPlanner) -> list[Tier]:
        """Leave out tiers that cost no less than one above them whose provider holds the prompt's beginning."""
        try:
            spared = planner.spared(self.request, [tier for tier in able if self._within_limit(tier)], self.books.now)
        except Exception as error:
            go_round(self.books, "prefix", error)
            return able
        for name, reason in spared.items():
            self.books.note(f"{name} passed over: {reason}")
        return [tier for tier in able if tier.name not in spared] if spared else able

    def _within_limit(self, tier: Tier) -> bool:
        limit, spent = self.policy.max_pico_per_call, self.books.result.pico_usd
        return limit is None or affordable(tier, self.request, limit=limit, spent=spent, at=self.books.now)

    def _can_afford(self, tier: Tier) -> bool:
        if self._within_limit(tier):
            return True
        allowed = f"max_usd_per_call (${self.policy.max_usd_per_call})"
        self.books.note(f"stopped before {tier.name}: it could pass {allowed}")
        self.error = self.error or SpendLimitReached(
            f"asking {tier.name!r} could pass {allowed}: raise the limit, lower max_tokens, or shorten the prompt"
        )
        return False

    # -- one tier

    def _attempt(self, tier: Tier, cause: Cause, *, last: bool) -> Plan[Reply | Failed | Declined]:
        """Ask one tier, check what it says, and accept it if it is good enough or nobody is left to ask."""
        again = self.policy.retries.validation if last else 0
        unchecked = self.mode != "optimise" or self.policy.check is None or (last and not again)
        gate = live if unchecked else self._gate()
        while True:
            outcome = yield from self._ask(tier, cause, self.request, gate)
            if type(outcome) is not Reply:
                return outcome
            attempt = self.books.last
            outcome.tier, outcome.earlier = tier.name, self.drafts
            if unchecked or outcome.delivered:
                self._accept(outcome, attempt)
                return outcome
            verdict = self._check(outcome)
            if not isinstance(verdict, Verdict):
                verdict = yield from self.consult(verdict)
            if self._passes(outcome, attempt, verdict) or not again or self.asks >= self.policy.retries.max_attempts:
                return outcome
            again -= 1
            cause = "validation_retry"

    def _gate(self) -> Gate:
        """Let a stream through as soon as its check can no longer reject it."""
        opens, request = getattr(self.policy.check, "opens", None), self.request
        return held if opens is None else lambda text: bool(opens(request, text))

    def _ask(self, tier: Tier, cause: Cause, request: Request, gate: Gate) -> Plan[Reply | Failed | Declined]:
        """Ask one tier, with retries; every provider call becomes an attempt."""
        edits = self._edits(tier, request)
        # Only what the caller asks is planned: a judge's question shares no beginning with it.
        planner = self.planner if request is self.request else None
        marked = None if planner is None else marking(tier, planner, self.books)
        retries = 0
        while True:
            self.asks += 1
            sent = edits if marked is None else marked.joined(edits)
            outcome: Reply | Failed | Declined = yield Ask(tier, request, sent, cause, gate)
            if isinstance(outcome, Reply):
                tier.health.succeeded()
                self.books.replied(tier, cause, outcome, request)
                if marked is not None:
                    marked.answered(outcome)
                return outcome
            if isinstance(outcome, Declined):
                self.books.note(f"{tier.name} declined")
                return outcome
            self.books.failed(tier, cause, outcome, request)
            if marked is not None and self.asks < self.policy.retries.max_attempts and marked.blames(outcome):
                cause = "retry"
                continue
            if outcome.kind not in ("bad_request", "context_length"):
                tier.health.failed(self.books.now)
            jitter = (crc32(f"{self.books.result.call_id}/{retries}".encode()) & 0xFFFF) / 0x10000
            wait_s = self.policy.retries.wait_s(outcome, retries=retries, attempts=self.asks, jitter=jitter)
            if wait_s is None:
                return outcome
            yield Sleep(wait_s)
            self.books.now += wait_s
            retries += 1
            cause = "retry"

    def _edits(self, tier: Tier, request: Request) -> Edits:
        """Say what this tier is sent otherwise than the others; the caller's tools are written shorter for all."""
        edits = tier.edits(request)
        return edits if self.tools is None or request is not self.request else replace(edits, tools=self.tools)

    # -- its answer

    def _check(self, reply: Reply) -> Verdict | Plan[Verdict]:
        """Run the check. One that breaks cannot vouch for a cheap answer: it scores 0, and the next tier is asked."""
        assert self.policy.check is not None
        try:
            return self.policy.check(self.request, reply)
        except Exception as error:
            return self._broken_check(error)

    def consult(self, opinion: Plan[Verdict]) -> Plan[Verdict]:
        """Run a check's own plan; what breaks in it scores 0."""
        try:
            return (yield from self.conduct(opinion))
        except Exception as error:
            return self._broken_check(error)

    def conduct(self, plan: Plan[R]) -> Plan[R]:
        """Run a check's or a shaper's own plan; the tiers that it asks get the same guards, retries and accounting."""
        outcome: Any = None
        while True:
            try:
                effect = plan.send(outcome)
            except StopIteration as done:
                result: R = done.value
                return result
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
        outcome = yield from self._ask(tier, effect.cause, effect.request, held)
        if type(outcome) is Reply:
            self.books.last.outcome = "consulted"
        return outcome

    def _may_see(self, tier: Tier) -> bool:
        """Say whether the guards let a tier that a check asks see this request: its prompt quotes it."""
        try:
            allowed = tier in guarded(self.request, self.policy, (tier,))
        except (RequestError, ScopeError) as error:
            self.books.note(f"{tier.name} not consulted: {error}")
            return False
        if not allowed:
            self.books.note(f"{tier.name} not consulted: a guard keeps the request from it")
        return allowed

    def _passes(self, reply: Reply, attempt: Attempt, verdict: Verdict) -> bool:
        """Accept a checked reply, or keep it as a draft."""
        attempt.score = verdict.score
        self.books.decision.check = verdict.reason
        if verdict.score >= self.threshold:
            self._accept(reply, attempt)
            return True
        attempt.outcome = "rejected"
        self.drafts = (*self.drafts, reply)
        if self.best is None or verdict.score >= self.best[0]:
            self.best = (verdict.score, reply, attempt)
        return False

    def _accept(self, reply: Reply, attempt: Attempt) -> None:
        self.books.accepted(attempt, reply)
        self.reply = reply
        self.error = None

    def _broken_check(self, error: Exception) -> Verdict:
        go_round(self.books, "check", error)
        return Verdict(0.0, f"the check failed: {type(error).__name__}: {error}")

    def _unanswered(self) -> CallFailed:
        if self.best is not None:
            return CallFailed(
                f"no answer reached the threshold {self.threshold} (best score {self.best[0]:.2f}) and on_exhausted is "
                "'error': lower the threshold, add a stronger tier, or set on_exhausted to 'best_draft'"
            )
        return CallFailed(
            f"no tier answered ({self.books.decision.route}): all declined or were skipped; "
            f"add to {[t.name for t in self.policy.tiers]} a tier that can do what the request needs"
        )
