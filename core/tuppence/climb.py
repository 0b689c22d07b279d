"""Up the ladder: ask tier after tier until an answer is good enough. The cascade's own order of steps.

Like the flow that starts it, a generator that does no I/O. Every provider call becomes an attempt in the books, and
no draft that a check rejected is ever handed on as an answer.
"""

from __future__ import annotations

from tuppence.asking import Asking
from tuppence.attempts import Attempt, Cause, Verdict
from tuppence.books import Books, go_round
from tuppence.cache.prefix import PrefixPlanner
from tuppence.effects import Declined, Failed, Gate, Plan, held, live
from tuppence.errors import CallFailed
from tuppence.policy import Mode, Policy
from tuppence.request import Reply
from tuppence.tiers import Tier


class Climb:
    """One logical call on its way up the ladder."""

    __slots__ = (
        "again", "asking", "best", "books", "drafts", "error", "full", "means", "mode", "policy", "reply", "spilled",
        "straight", "threshold",
    )  # fmt: skip

    def __init__(self, policy: Policy, books: Books, mode: Mode, asks: int) -> None:
        self.asking = Asking(policy, books, mode, asks)
        self.means = self.asking.means
        self.policy = policy
        self.books = books
        self.mode = mode
        self.threshold = policy.threshold
        self.again = asks > 0
        """A framework has tried this call before."""
        self.straight = False
        """The check holds no tier before the strongest worth its price."""
        self.reply: Reply | None = None
        self.best: tuple[float, Reply, Attempt] | None = None
        """The rejected draft with the highest score."""
        self.drafts: tuple[Reply, ...] = ()
        """All replies that were rejected, in order."""
        self.error: BaseException | None = None
        """Why there is no answer yet."""
        self.full: list[Tier] = []
        """Tiers that were left because they are full."""
        self.spilled: set[str] = set()
        """Tiers that are asked because the one before them is."""

    def up(self, ladder: tuple[Tier, ...], allowed: tuple[Tier, ...]) -> Plan[None]:
        """Ask tier after tier until an answer is good enough; a soft budget may leave only the first of `allowed`."""
        able = self._able(ladder)
        planner = self.asking.planner
        if planner is not None and len(able) > 1:
            able = self._worth_asking(able, planner)
        if self.means is not None:
            able = yield from self.means.path(able, lambda: self._able(allowed))
            self.error = self.error or self.means.refusal
        yield from self._each(able, "retry" if self.again else "draft")
        if self.reply is None and self.best is None and self.full:
            # Nobody else could answer, or be paid for: better a queue than no answer.
            full, self.full = self.full, []
            yield from self._each(full, "fallback")

    def _each(self, able: list[Tier], cause: Cause) -> Plan[None]:
        rejected = ""
        for position, tier in enumerate(able, start=1):
            if tier.place == rejected or (self.straight and tier.place != able[-1].place):
                continue
            if self.means is not None and not (yield from self.means.affords(tier)):
                self.error = self.error or self.means.refusal
                return
            if tier.name in self.spilled:
                cause = "spill_over"
            outcome = yield from self._attempt(tier, cause, able[position:])
            if self.reply is not None:
                return
            if type(outcome) is Failed:
                self.error = outcome.error
                if outcome.delivered:
                    # The user has seen a part of this answer: no draft may follow it.
                    self.best, self.full = None, []
                    return
                cause = "fallback"
                if outcome.kind == "full" and tier.spills_over and position < len(able):
                    self.full.append(tier)
                    cause = "spill_over"
            elif type(outcome) is Reply:
                self.error = None
                rejected = tier.place
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
            lacks = tier.lacks(self.books.request)
            if lacks is not None:
                self.books.note(f"{tier.name} skipped: it cannot do {lacks}")
                continue
            able.append(tier)
            if tier.health.allows(self.books.now):
                rested.append(tier)
            else:
                self.books.note(f"{tier.name} skipped: it rests after failures")
        return self._with_room(rested or able[-1:])

    def _with_room(self, able: list[Tier]) -> list[Tier]:
        """Leave out tiers whose servers are full; not the last, for there is nobody left to spill over to."""
        if all(tier.admission is None for tier in able):
            return able
        self.full, self.spilled = [], set()
        roomy: list[Tier] = []
        for tier, after in zip(able, [*able[1:], None], strict=True):
            full = None if after is None else self._full(tier)
            if full is None or after is None:
                roomy.append(tier)
                continue
            self.books.note(f"{tier.name} is full: {full}; spilled over")
            self.full.append(tier)
            self.spilled.add(after.name)
        return roomy

    def _full(self, tier: Tier) -> str | None:
        try:
            return None if tier.admission is None else tier.admission.full()
        except Exception as error:
            go_round(self.books, "admission", error)
            return None

    def _worth_asking(self, able: list[Tier], planner: PrefixPlanner) -> list[Tier]:
        """Leave out tiers that cost no less than one above them whose provider holds the prompt's beginning."""
        try:
            within = able if self.means is None else [tier for tier in able if self.means.within_limit(tier)]
            spared = planner.spared(self.books.request, within, self.books.now)
        except Exception as error:
            go_round(self.books, "prefix", error)
            return able
        for name, reason in spared.items():
            self.books.note(f"{name} passed over: {reason}")
        return [tier for tier in able if tier.name not in spared] if spared else able

    # -- one tier

    def _attempt(self, tier: Tier, cause: Cause, left: list[Tier]) -> Plan[Reply | Failed | Declined]:
        """Ask one tier, check what it says, and accept it if it is good enough or nobody is left to ask."""
        last = all(other.place == tier.place for other in left)
        again = self.policy.retries.validation if last else 0
        unchecked = self.mode != "optimise" or self.policy.check is None or (last and not again)
        gate = live if unchecked else self._gate()
        while True:
            outcome = yield from self.asking.ask(tier, cause, self.books.request, gate, spills=bool(left))
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
            if self._passes(outcome, attempt, verdict) or not again or self.asking.exhausted:
                return outcome
            again -= 1
            cause = "validation_retry"

    def _gate(self) -> Gate:
        """Let a stream through as soon as its check can no longer reject it."""
        opens, request = getattr(self.policy.check, "opens", None), self.books.request
        return held if opens is None else lambda text: bool(opens(request, text))

    # -- its answer

    def _check(self, reply: Reply) -> Verdict | Plan[Verdict]:
        """Run the check. One that breaks cannot vouch for a cheap answer: it scores 0, and the next tier is asked."""
        assert self.policy.check is not None
        try:
            return self.policy.check(self.books.request, reply)
        except Exception as error:
            return self._broken_check(error)

    def consult(self, opinion: Plan[Verdict]) -> Plan[Verdict]:
        """Run a check's own plan; what breaks in it scores 0."""
        try:
            return (yield from self.asking.conduct(opinion, threshold=self.threshold))
        except Exception as error:
            return self._broken_check(error)

    def _passes(self, reply: Reply, attempt: Attempt, verdict: Verdict) -> bool:
        """Accept a checked reply, or keep it as a draft."""
        attempt.score = verdict.score
        self.books.decision.check = verdict.reason
        if verdict.score >= self.threshold:
            self._accept(reply, attempt)
            return True
        attempt.outcome = "rejected"
        self.straight = self.threshold > verdict.straight_above
        self.drafts = (*self.drafts, reply)
        if self.best is None or verdict.score >= self.best[0]:
            self.best = (verdict.score, reply, attempt)
        return False

    def _accept(self, reply: Reply, attempt: Attempt) -> None:
        self.books.accepted(self.policy.rung(attempt.tier), attempt, reply)
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
