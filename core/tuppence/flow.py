"""THE flow: what happens to a request, in order. The only place where that order is written.

A generator that yields effects and does no I/O, so that sync, async, streaming, every framework and the replay
of recorded traffic all run this very code. Optimisations that break are recorded and gone round; guards that
break stop the call.
"""

from __future__ import annotations

from typing import Any

from tuppence.attempts import Attempt, Cause, Decision, Result, Verdict
from tuppence.books import Books
from tuppence.cache import Uncacheable, worth_keeping
from tuppence.effects import (
    Abandoned,
    Ask,
    Broken,
    Choice,
    Declined,
    Deliver,
    Failed,
    Gate,
    Hit,
    Lease,
    Lookup,
    Plan,
    Remember,
    Settle,
    Sleep,
    held,
    live,
)
from tuppence.errors import CallFailed, SpendLimitReached
from tuppence.estimates import affordable
from tuppence.failures import is_control_flow
from tuppence.policy import Policy, effective_mode
from tuppence.request import Reply, Request
from tuppence.tiers import Tier


def plan(request: Request, policy: Policy) -> Plan[Result]:
    """Take one request through the house, front to back; raise what the provider said if nothing answered."""
    call = _Call(request, policy)
    try:
        ladder = call.guard()
        if not (yield from call.look_up()):
            yield from call.climb(call.route(ladder))
        yield from call.conclude()
    except Abandoned as gone:
        call.give_up(gone)
        yield from call.settle()
        raise
    except Exception as error:
        call.result.reply, call.result.error = None, error
        yield from call.settle()
        raise
    return call.finish()


class _Call:
    """One logical call under way."""

    __slots__ = ("asks", "best", "books", "error", "lease", "mode", "policy", "request", "result", "threshold")

    def __init__(self, request: Request, policy: Policy) -> None:
        call_id, tried_before = policy.recent.identify(request)
        self.request = request
        self.policy = policy
        self.mode = effective_mode(policy)
        self.threshold = policy.threshold
        self.result = Result(call_id, None, [], Decision(self.mode, policy_version=policy.version), request.tags)
        self.books = Books(request, self.result, policy.strongest)
        self.asks = int(tried_before)
        self.lease: Lease | None = None
        self.best: tuple[float, Reply, Attempt] | None = None
        self.error: BaseException | None = None

    # -- before anything is spent

    def guard(self) -> tuple[Tier, ...]:
        """Let the guards take tiers away. They hold in every mode, and what they raise stops the call."""
        ladder = self.policy.tiers
        for guard in self.policy.guards:
            choice = guard(self.request, ladder)
            if choice is not None:
                ladder = choice.ladder
        return ladder

    def look_up(self) -> Plan[bool]:
        """Serve an exact repeat from the cache; say whether that was the answer."""
        decision = self.result.decision
        cache = None if self.mode == "off" else self.policy.cache
        if cache is None:
            decision.cache = "off"
            return False
        key = cache.key(self.request, self.policy.scope)
        if type(key) is Uncacheable:
            decision.cache = f"not asked: {key.reason}"
            return False
        found = yield Lookup(str(key))
        if type(found) is Lease:
            self.lease = found
            decision.cache = "miss"
        elif type(found) is Broken:
            self.fault("cache", found.error)
        elif self.mode == "observe":
            decision.would = f"serve from the cache (stored {found.age_s:.0f} s ago)"
        else:
            yield from self.serve(found)
            return True
        return False

    def serve(self, hit: Hit) -> Plan[None]:
        self.result.decision.cache = f"hit: stored {hit.age_s:.0f} s ago by call {hit.origin}"
        self.result.reply = hit.reply
        self.books.hit(hit)
        if self.request.streaming:
            yield Deliver(hit.reply)

    def route(self, ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
        """Choose which tiers may try, in order."""
        decision = self.result.decision
        strongest = tuple(t for t in ladder if t.answer is None)[-1:] or ladder[-1:]
        choice = self.choose(ladder) or Choice(strongest, "strongest tier: the route failed")
        if self.mode == "optimise":
            decision.route = choice.reason
            self.threshold = self.threshold if choice.threshold is None else choice.threshold
            return choice.ladder or strongest
        if self.mode == "observe" and not decision.would:
            decision.would = f"start at {choice.ladder[0].name} ({choice.reason})"
        decision.route = f"strongest tier: mode is {self.mode}"
        return strongest

    def choose(self, ladder: tuple[Tier, ...]) -> Choice | None:
        """Ask the route; None if it broke."""
        if self.policy.route is None or self.mode == "off":
            return Choice(ladder, "cheapest first")
        try:
            return self.policy.route(self.request, ladder) or Choice(ladder, "cheapest first: no route applies")
        except Exception as error:
            self.fault("route", error)
            return None

    # -- asking

    def climb(self, ladder: tuple[Tier, ...]) -> Plan[None]:
        """Ask tier after tier until an answer is good enough."""
        able = self.able(ladder)
        cause: Cause = "retry" if self.asks else "draft"
        for position, tier in enumerate(able, start=1):
            if not self.can_afford(tier):
                return
            outcome = yield from self.attempt(tier, cause, last=position == len(able))
            if self.result.reply is not None:
                return
            if type(outcome) is Failed:
                self.error = outcome.error
                if outcome.delivered:
                    return
                cause = "fallback"
            elif type(outcome) is Reply:
                self.error = None
                cause = "escalation"

    def able(self, ladder: tuple[Tier, ...]) -> list[Tier]:
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

    def can_afford(self, tier: Tier) -> bool:
        limit = self.policy.max_pico_per_call
        if limit is None or affordable(tier, self.request, limit=limit, spent=self.result.pico_usd):
            return True
        allowed = f"max_usd_per_call (${self.policy.max_usd_per_call})"
        self.books.note(f"stopped before {tier.name}: it could pass {allowed}")
        self.error = self.error or SpendLimitReached(
            f"asking {tier.name!r} could pass {allowed}: raise the limit, lower max_tokens, or shorten the prompt"
        )
        return False

    def attempt(self, tier: Tier, cause: Cause, *, last: bool) -> Plan[Reply | Failed | Declined]:
        """Ask one tier, check what it says, and accept it if it is good enough or nobody is left to ask."""
        again = self.policy.retries.validation if last else 0
        unchecked = self.mode != "optimise" or self.policy.check is None or (last and not again)
        gate = live if unchecked else self.gate()
        while True:
            outcome = yield from self.ask(tier, cause, self.request, gate)
            if type(outcome) is not Reply:
                return outcome
            if unchecked or outcome.delivered:
                yield from self.accept(outcome, self.books.last)
                return outcome
            if (yield from self.good(outcome)) or not again or self.asks >= self.policy.retries.max_attempts:
                return outcome
            again -= 1
            cause = "validation_retry"

    def gate(self) -> Gate:
        """Let a stream through as soon as its check can no longer reject it."""
        opens, request = getattr(self.policy.check, "opens", None), self.request
        return held if opens is None else lambda text: bool(opens(request, text))

    def ask(self, tier: Tier, cause: Cause, request: Request, gate: Gate) -> Plan[Reply | Failed | Declined]:
        """Ask one tier, with retries; every provider call becomes an attempt."""
        edits = tier.edits(request)
        retries = 0
        while True:
            self.asks += 1
            outcome: Reply | Failed | Declined = yield Ask(tier, request, edits, cause, gate)
            if type(outcome) is Reply:
                tier.health.succeeded()
                self.books.replied(tier, cause, outcome, request)
                return outcome
            if type(outcome) is Declined:
                self.books.note(f"{tier.name} declined")
                return outcome
            self.books.failed(tier, cause, outcome, request)
            if outcome.kind not in ("bad_request", "context_length"):
                tier.health.failed(self.books.now)
            jitter = (hash((self.result.call_id, retries)) & 0xFFFF) / 0x10000
            wait_s = self.policy.retries.wait_s(outcome, retries=retries, attempts=self.asks, jitter=jitter)
            if wait_s is None:
                return outcome
            yield Sleep(wait_s)
            self.books.now += wait_s
            retries += 1
            cause = "retry"

    def good(self, reply: Reply) -> Plan[bool]:
        """Check a held reply; accept it or keep it as a draft."""
        attempt = self.books.last
        verdict = yield from self.verdict(reply)
        attempt.score = verdict.score
        self.result.decision.check = verdict.reason
        if verdict.score >= self.threshold:
            yield from self.accept(reply, attempt)
            return True
        attempt.outcome = "rejected"
        if self.best is None or verdict.score >= self.best[0]:
            self.best = (verdict.score, reply, attempt)
        return False

    def verdict(self, reply: Reply) -> Plan[Verdict]:
        """Run the check. One that breaks cannot vouch for a cheap answer: it scores 0, and the next tier is asked."""
        assert self.policy.check is not None
        try:
            verdict = self.policy.check(self.request, reply)
            return verdict if type(verdict) is Verdict else (yield from self.consult(verdict))  # type: ignore[arg-type]
        except Exception as error:
            self.fault("check", error)
            return Verdict(0.0, f"the check failed: {type(error).__name__}: {error}")

    def consult(self, opinion: Plan[Verdict]) -> Plan[Verdict]:
        """Run a check's own plan; the tiers that it asks get the same retries and accounting."""
        outcome: Any = None
        while True:
            try:
                effect = opinion.send(outcome)
            except StopIteration as done:
                verdict: Verdict = done.value
                return verdict
            if type(effect) is not Ask:
                outcome = yield effect
                continue
            outcome = yield from self.ask(effect.tier, effect.cause, effect.request, held)
            if type(outcome) is Reply:
                self.books.last.outcome = "consulted"

    def accept(self, reply: Reply, attempt: Attempt) -> Plan[None]:
        self.books.accepted(attempt, reply)
        self.result.reply = reply
        self.error = None
        if self.request.streaming and not reply.delivered:
            yield Deliver(reply)

    # -- after it

    def conclude(self) -> Plan[None]:
        """Settle for the best there is, remember it if it is worth it, and write the call down."""
        if self.result.reply is None and self.best is not None and self.policy.on_exhausted == "best_draft":
            score, draft, attempt = self.best
            self.books.note(f"best draft returned (score {score:.2f}, threshold {self.threshold})")
            yield from self.accept(draft, attempt)
        if self.result.reply is None:
            self.result.error = self.error = self.error or self.unanswered()
            self.policy.recent.failed(self.request, self.result.call_id)
        yield from self.settle()

    def settle(self) -> Plan[None]:
        """Close the lease and write the call down: the closing effects, on every way out."""
        if self.lease is not None:
            lease, self.lease = self.lease, None
            outcome = yield Remember(lease, self.lasting(), self.result.call_id)
            if type(outcome) is Broken:
                self.books.fault("cache", outcome.error)
        if self.result.attempts:
            self.teach()
            yield Settle(self.result)

    def teach(self) -> None:
        """Tell a route that learns how the call ended."""
        learn = getattr(self.policy.route, "learn", None)
        if learn is None:
            return
        try:
            learn(self.request, self.result)
        except Exception as error:
            self.books.fault("route", error)

    def lasting(self) -> Reply | None:
        """The reply, if it may be served again: whole, and no draft that failed its check."""
        reply, cache = self.result.reply, self.policy.cache
        if reply is None or cache is None or (self.best is not None and reply is self.best[1]):
            return None
        return reply if worth_keeping(reply, tool_turns=cache.tool_turns) else None

    def give_up(self, gone: Abandoned) -> None:
        """Bill what was in flight when the caller went by a flagged estimate."""
        if gone.ask is not None:
            self.books.abandoned(gone.ask, gone.text, gone.latency_ms)
        self.result.error = gone.cause

    def finish(self) -> Result:
        """Return the result, or raise what went wrong with the history of the call in its notes."""
        if self.result.reply is not None:
            return self.result
        assert self.error is not None
        for a in self.result.attempts:
            self.error.add_note(f"tuppence: {a.tier} ({a.cause}) {a.outcome}: {a.error or f'score {a.score}'}")
        raise self.error

    def unanswered(self) -> CallFailed:
        if self.best is not None:
            return CallFailed(
                f"no answer reached the threshold {self.threshold} (best score {self.best[0]:.2f}) and on_exhausted is "
                "'error': lower the threshold, add a stronger tier, or set on_exhausted to 'best_draft'"
            )
        return CallFailed(
            f"no tier answered ({self.result.decision.route}): all declined or were skipped; "
            f"add to {[t.name for t in self.policy.tiers]} a tier that can do what the request needs"
        )

    def fault(self, part: str, error: Exception) -> None:
        if is_control_flow(error):
            raise error
        self.books.fault(part, error)
