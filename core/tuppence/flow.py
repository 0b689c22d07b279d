"""THE flow: what happens to a request, in order. The only place where that order is written.

A generator that yields effects and does no I/O, so that sync, async, streaming, every framework and the replay
of recorded traffic all run this very code. Optimisations that break are recorded and gone round; guards that
break stop the call.
"""

from __future__ import annotations

from typing import Any

from tuppence.attempts import Attempt, Cause, Decision, Result, Verdict
from tuppence.books import Books
from tuppence.cache import Uncacheable
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
    Peek,
    Plan,
    Remember,
    Settle,
    Sleep,
    held,
    live,
)
from tuppence.errors import CallFailed, ScopeError, SpendLimitReached
from tuppence.estimates import affordable
from tuppence.failures import is_control_flow
from tuppence.policy import Policy, effective_mode
from tuppence.request import Reply, Request
from tuppence.tiers import Tier


def plan(request: Request, policy: Policy) -> Plan[Result]:
    """Take one request through the house, front to back; raise what the provider said if nothing answered."""
    call = _Call(request, policy)
    try:
        ladder = call.guard(policy.tiers)
        key = call.key()
        if key is None or not (yield from call.look_up(key)):
            yield from call.climb(call.route(ladder))
        reply = call.conclude()
        if request.streaming and reply is not None and not reply.delivered:
            yield Deliver(reply)
        yield from call.settle()
    except Abandoned as gone:
        call.give_up(gone)
        yield from call.settle()
        raise
    except GeneratorExit:
        # Nobody is left to perform a closing effect.
        raise
    except BaseException as error:
        # Ctrl-C in a check or route, too: what was bought by then is written down.
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
        decision = Decision(self.mode, policy_version=policy.version, baseline=policy.strongest.name)
        self.result = Result(call_id, None, [], decision, request.tags)
        self.books = Books(request, self.result, policy.strongest)
        self.asks = int(tried_before)
        self.lease: Lease | None = None
        self.best: tuple[float, Reply, Attempt] | None = None
        self.error: BaseException | None = None

    # -- before anything is spent

    def guard(self, ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
        """Let the guards take tiers away. They hold in every mode, and what they raise stops the call."""
        for guard in self.policy.guards:
            choice = guard(self.request, ladder)
            if choice is not None:
                ladder = choice.ladder
        return ladder

    def key(self) -> str | None:
        """Name the request in the cache; None where it may not be cached."""
        decision = self.result.decision
        cache = None if self.mode == "off" else self.policy.cache
        if cache is None:
            decision.cache = "off"
            return None
        key = cache.key(self.request, self.policy.scope)
        if isinstance(key, Uncacheable):
            decision.cache = f"not asked: {key.reason}"
            return None
        return key

    def look_up(self, key: str) -> Plan[bool]:
        """Serve an exact repeat from the cache; say whether that was the answer."""
        if self.mode == "observe":
            yield from self.peek(key)
            return False
        found = yield Lookup(key)
        if type(found) is Hit:
            self.serve(found)
            return True
        if type(found) is Lease:
            self.lease = found
            self.result.decision.cache = "miss"
        else:
            self.fault("cache", found.error)
        return False

    def peek(self, key: str) -> Plan[None]:
        """Observe: say what the cache would have served, and fill it as it would be filled."""
        found = yield Peek(key)
        if type(found) is Broken:
            self.fault("cache", found.error)
            return
        self.lease = Lease(key)
        if found is not None:
            self.books.would(f"serve from the cache (stored {found.age_s:.0f} s ago)", pico_usd=0)

    def serve(self, hit: Hit) -> None:
        self.result.decision.cache = f"hit: stored {hit.age_s:.0f} s ago by call {hit.origin}"
        self.result.reply = hit.reply
        self.books.hit(hit)

    def route(self, ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
        """Choose which tiers may try, in order."""
        decision = self.result.decision
        if self.mode == "optimise" and self.policy.route is None:
            decision.route = "cheapest first"
            return ladder
        strongest = tuple(t for t in ladder if t.answer is None)[-1:] or ladder[-1:]
        choice = self.choose(ladder) or Choice(strongest, "strongest tier: the route failed")
        if self.mode == "optimise":
            decision.route = choice.reason
            self.threshold = self.threshold if choice.threshold is None else choice.threshold
            return choice.ladder or strongest
        if self.mode == "observe" and not decision.would and choice.ladder:
            decision.would = f"start at {choice.ladder[0].name} ({choice.reason})"
            self.books.would_ask = choice.ladder[0]
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
            attempt = self.books.last
            if unchecked or outcome.delivered:
                self.accept(outcome, attempt)
                return outcome
            verdict = self.check(outcome)
            if not isinstance(verdict, Verdict):
                verdict = yield from self.consult(verdict)
            if self.passes(outcome, attempt, verdict) or not again or self.asks >= self.policy.retries.max_attempts:
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
            if isinstance(outcome, Reply):
                tier.health.succeeded()
                self.books.replied(tier, cause, outcome, request)
                return outcome
            if isinstance(outcome, Declined):
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

    def check(self, reply: Reply) -> Verdict | Plan[Verdict]:
        """Run the check. One that breaks cannot vouch for a cheap answer: it scores 0, and the next tier is asked."""
        assert self.policy.check is not None
        try:
            return self.policy.check(self.request, reply)
        except Exception as error:
            return self.broken_check(error)

    def consult(self, opinion: Plan[Verdict]) -> Plan[Verdict]:
        """Run a check's own plan; the tiers that it asks get the same guards, retries and accounting."""
        outcome: Any = None
        while True:
            try:
                effect = opinion.send(outcome)
            except StopIteration as done:
                verdict: Verdict = done.value
                return verdict
            except Exception as error:
                return self.broken_check(error)
            if type(effect) is not Ask:
                outcome = yield effect
            elif not self.may_see(effect.tier):
                outcome = Declined()
            else:
                outcome = yield from self.ask(effect.tier, effect.cause, effect.request, held)
                if type(outcome) is Reply:
                    self.books.last.outcome = "consulted"

    def may_see(self, tier: Tier) -> bool:
        """Say whether the guards let a tier that a check asks see this request: its prompt quotes it."""
        try:
            allowed = tier in self.guard((tier,))
        except ScopeError as error:
            self.books.note(f"{tier.name} not consulted: {error}")
            return False
        if not allowed:
            self.books.note(f"{tier.name} not consulted: a guard keeps the request from it")
        return allowed

    def passes(self, reply: Reply, attempt: Attempt, verdict: Verdict) -> bool:
        """Accept a checked reply, or keep it as a draft."""
        attempt.score = verdict.score
        self.result.decision.check = verdict.reason
        if verdict.score >= self.threshold:
            self.accept(reply, attempt)
            return True
        attempt.outcome = "rejected"
        if self.best is None or verdict.score >= self.best[0]:
            self.best = (verdict.score, reply, attempt)
        return False

    def accept(self, reply: Reply, attempt: Attempt) -> None:
        self.books.accepted(attempt, reply)
        self.result.reply = reply
        self.error = None

    def broken_check(self, error: Exception) -> Verdict:
        self.fault("check", error)
        return Verdict(0.0, f"the check failed: {type(error).__name__}: {error}")

    # -- after it

    def conclude(self) -> Reply | None:
        """Settle for the best answer there is."""
        if self.result.reply is None and self.best is not None and self.policy.on_exhausted == "best_draft":
            score, draft, attempt = self.best
            self.books.note(f"best draft returned (score {score:.2f}, threshold {self.threshold})")
            self.accept(draft, attempt)
        if self.result.reply is None:
            self.result.error = self.error = self.error or self.unanswered()
            self.policy.recent.failed(self.request, self.result.call_id)
        return self.result.reply

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
        """The reply, if it may be served again: no draft that failed its check. The cache looks whether it is whole."""
        reply = self.result.reply
        return None if self.best is not None and reply is self.best[1] else reply

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
