"""The books of one call under way: every provider call becomes an attempt, priced the moment it ends."""

from __future__ import annotations

from tuppence.attempts import Attempt, Cause, CostStatus, Decision, Levers, Outcome, Result
from tuppence.effects import Ask, Failed, Hit
from tuppence.estimates import estimated_usage
from tuppence.failures import is_control_flow
from tuppence.levers import levers, spares, undiscounted
from tuppence.prices import PicoUSD, cache_money, timed
from tuppence.request import Reply, Request
from tuppence.tiers import Tier
from tuppence.usage import Usage

NO_USAGE = Usage()


class Books:
    """Attempts and decision of one logical call."""

    __slots__ = ("baseline", "now", "replies", "request", "result", "would_ask", "would_pico")

    def __init__(self, request: Request, result: Result, baseline: Tier) -> None:
        self.request = request
        self.result = result
        self.baseline = baseline
        self.now = request.received_at
        """Unix seconds by the call's own clock: when it came in, plus what its provider calls and waits took."""
        self.replies: list[Reply | None] | None = None
        """What each attempt brought, where somebody records it: no draft is kept for nobody."""
        self.would_ask: Tier | None = None
        """Observe mode: the tier that would have been asked first."""
        self.would_pico: PicoUSD | None = None

    @property
    def last(self) -> Attempt:
        return self.result.attempts[-1]

    @property
    def decision(self) -> Decision:
        return self.result.decision

    def replied(self, tier: Tier, cause: Cause, reply: Reply, request: Request) -> None:
        """Write an answer down. It counts as abandoned until somebody concludes otherwise."""
        self.now += reply.latency_ms / 1000
        usage = reply.usage
        if usage is None and tier.answer is not None:
            usage = NO_USAGE
        elif usage is None:
            usage = estimated_usage(tier, request, reply.text)
            reply.usage_is_estimate = True
        status: CostStatus = "estimated" if reply.usage_is_estimate else "exact"
        # On the reply too: a later hit spares this compute.
        reply.usage = usage = timed(tier.rate, usage, reply.latency_ms)
        self._bill(tier, cause, "abandoned", usage, status, reply.latency_ms, reply.model)
        self.last.finish = reply.finish
        self._keep(reply)

    def failed(self, tier: Tier, cause: Cause, failure: Failed, request: Request) -> None:
        """Write a failure down: providers do not bill what they refuse; what they began uncounted is estimated."""
        self.now += failure.latency_ms / 1000
        usage = failure.usage if tier.answer is None else None
        status: CostStatus = "exact"
        if usage is None and tier.answer is None and (failure.begun or failure.text):
            usage = estimated_usage(tier, request, failure.text)
            status = "estimated"
        usage = timed(tier.rate, usage or NO_USAGE, failure.latency_ms)
        self._bill(tier, cause, "failed", usage, status, failure.latency_ms, None)
        self.last.error = f"{type(failure.error).__name__}: {failure.error}"[:200]
        self._keep(Reply(failure.text) if failure.text else None)

    def abandoned(self, ask: Ask, text: str, latency_ms: float) -> None:
        """Write down a call that was in flight when its caller went: a flagged estimate."""
        self.now += latency_ms / 1000
        if ask.tier.answer is None:
            usage = timed(ask.tier.rate, estimated_usage(ask.tier, ask.request, text), latency_ms)
            self._bill(ask.tier, ask.cause, "abandoned", usage, "estimated", latency_ms, None)
            self._keep(Reply(text) if text else None)

    def hit(self, hit: Hit, *, tier: str) -> None:
        """Write a cached answer down: it costs nothing, and spares what the baseline would have cost."""
        usage, rate = hit.reply.usage, self.baseline.rate
        self.result.attempts.append(
            Attempt(
                tier=tier, model=hit.reply.model or "", cause="hit", outcome="hit", usage=NO_USAGE, pico_usd=0,
                status="exact", price_version="", started_at=self.now, latency_ms=0.0,
                baseline_pico=None if usage is None or rate is None else rate.at(self.now).cost(usage),
            )
        )  # fmt: skip
        self._keep(hit.reply)

    def accepted(self, tier: Tier, attempt: Attempt, reply: Reply) -> None:
        """Take an answer for the call's: what it would have cost otherwise is written beside it."""
        attempt.outcome = "accepted"
        if self.decision.pruned_tokens or self.decision.spared_output_tokens or spares(tier, attempt.usage):
            attempt.levers = self._levers(tier, attempt)
        attempt.baseline_pico = self._price_at(self.baseline, attempt, reply)
        if self.would_ask is not None:
            self.would_pico = self._price_at(self.would_ask, attempt, reply)
        attempt.would_pico = self.would_pico

    def _levers(self, tier: Tier, attempt: Attempt) -> Levers | None:
        """Price what the answer was spared; None where its own price, or the baseline's, is unknown."""
        rate, measure, ended = tier.rate, self.baseline.rate, attempt.started_at + attempt.latency_ms / 1000
        if rate is None or measure is None or attempt.pico_usd is None:
            return None
        return levers(
            attempt.usage, attempt.pico_usd, rate.at(ended), measure.at(ended),
            reference=None if tier.reference is None else tier.reference.at(ended),
            pruned=self.decision.pruned_tokens, spared=self.decision.spared_output_tokens,
        )  # fmt: skip

    def would(self, what: str, *, pico_usd: PicoUSD) -> None:
        """Observe mode: write down what would have been done, and what it would have cost."""
        self.decision.would = what
        self.would_ask, self.would_pico = None, pico_usd

    def note(self, line: str) -> None:
        """Add to the decision's account of which tiers were asked."""
        route = self.decision.route
        self.decision.route = f"{route}; {line}" if route else line

    def fault(self, part: str, error: Exception) -> None:
        """Record an optimisation that broke; the call goes on without it."""
        self.decision.faults.append(f"{part}: {type(error).__name__}: {error}")

    def _keep(self, reply: Reply | None) -> None:
        if self.replies is not None:
            self.replies.append(reply)

    def _bill(
        self, tier: Tier, cause: Cause, outcome: Outcome, usage: Usage, status: CostStatus, latency_ms: float,
        model: str | None,
    ) -> None:  # fmt: skip
        # As of the call's end: DeepSeek, whose price changes within the day, said when it introduced that ("Models &
        # Pricing", 2025, note on off-peak hours) that it bills a request by when it is complete. Others do not say.
        rate = None if tier.rate is None else tier.rate.at(self.now)
        pico = None if rate is None else rate.cost(usage)
        self.result.attempts.append(
            Attempt(
                tier.name, model or tier.model, cause, outcome, usage, pico, "unpriced" if pico is None else status,
                "" if rate is None else rate.version, self.now - latency_ms / 1000, latency_ms,
            )
        )  # fmt: skip
        if usage.cache_read or usage.cache_write_5m or usage.cache_write_1h or usage.audio_cache_read:
            self.last.prefix = cache_money(usage, rate)

    def _price_at(self, tier: Tier, attempt: Attempt, reply: Reply) -> PicoUSD | None:
        """What `tier` would have cost: exact where it answered, else its price, then, for the same tokens; in no lane
        that gives a discount, and on nobody's own machines.
        """
        if attempt.tier == tier.name:
            spared = attempt.levers
            at_once = attempt.pico_usd
            return at_once if spared is None or at_once is None else at_once + spared.batch + spared.self_host
        if tier.rate is None:
            return None
        usage = undiscounted(attempt.usage)
        if not usage.total_tokens and tier.answer is None:
            usage = estimated_usage(tier, self.request, reply.text)
        return tier.rate.at(attempt.started_at + attempt.latency_ms / 1000).cost(usage)


def go_round(books: Books, part: str, error: Exception) -> None:
    """Record an optimisation that broke, and go on without it; a framework's control flow is no failure."""
    if is_control_flow(error):
        raise error
    books.fault(part, error)
