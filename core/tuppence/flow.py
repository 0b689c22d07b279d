"""THE flow: what happens to a request, in order. The only place where that order is written; the order of tiers under
it is `climb`'s.

A generator that yields effects and does no I/O, so that sync, async, streaming, every framework and the replay
of recorded traffic all run this very code. Optimisations that break are recorded and gone round; guards that
break stop the call.
"""

from __future__ import annotations

from dataclasses import replace

from tuppence.asking import Asking, guarded
from tuppence.attempts import Decision, Result, new_call_id
from tuppence.books import Books, go_round
from tuppence.climb import Climb
from tuppence.effects import Abandoned, Broken, Choice, Deliver, Plan, Record, Settle
from tuppence.policy import Policy, effective_mode
from tuppence.recall import recalling
from tuppence.request import Reply, Request
from tuppence.shaping import shaping
from tuppence.tiers import Tier, first_of_places, with_stand_ins


def plan(request: Request, policy: Policy) -> Plan[Result]:
    """Take one request through the house, front to back; raise what the provider said if nothing answered."""
    call = _Call(request, policy)
    try:
        allowed = guarded(request, policy, policy.tiers)
        recall = call.recall
        known = None if recall is None else (yield from recall.exact())
        if known is None:
            if policy.shape:
                yield from shaping(call.climb.asking, allowed)
            ladder = call.route(allowed)
            known = None if recall is None else (yield from recall.alike(call.climb))
        if known is None:
            yield from call.climb.up(ladder, allowed)
        reply = call.conclude(known)
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


def shape_only(request: Request, policy: Policy, tiers: tuple[Tier, ...]) -> Plan[Result]:
    """Shape a request that somebody else will send to one of `tiers`; what shapers ask a model is settled as a call."""
    mode = effective_mode(policy)
    result = Result(new_call_id(), None, [], Decision(mode, policy_version=policy.version), request.tags)
    books = Books(request, result, policy.compared_with)
    asking = Asking(policy, books, mode, asks=0)
    try:
        yield from shaping(asking, tiers)
    except GeneratorExit:
        raise
    except BaseException as error:
        if isinstance(error, Abandoned) and error.ask is not None:
            books.abandoned(error.ask, error.text, error.latency_ms)
        yield from _settle_shaped(result, asking)
        raise
    yield from _settle_shaped(result, asking)
    return result


def _settle_shaped(result: Result, asking: Asking) -> Plan[None]:
    if result.attempts:
        yield Settle(result)
    if asking.means is not None:
        yield from asking.means.close()


_NO_ROUTE = "cheapest first: no route applies"


def _last_place(ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Return the strongest tier, and those that stand in for it."""
    last = ladder[-1:]
    return tuple(t for t in ladder if t.place == last[0].place) if last and last[0].stands_in_for else last


def _widened(choice: Choice, ladder: tuple[Tier, ...]) -> Choice:
    return replace(choice, ladder=with_stand_ins(choice.ladder, ladder))


class _Call:
    """One logical call under way."""

    __slots__ = ("books", "climb", "mode", "policy", "recall", "request", "result")

    def __init__(self, request: Request, policy: Policy) -> None:
        call_id, tried_before = policy.recent.identify(request)
        self.request = request
        self.policy = policy
        self.mode = effective_mode(policy)
        decision = Decision(
            self.mode, policy_version=policy.version, baseline=policy.compared_with.name, again=tried_before
        )
        if policy.standing is not None:
            decision.certificate, decision.outside = policy.standing.certificate, policy.standing.words
        self.result = Result(call_id, None, [], decision, request.tags)
        self.books = Books(request, self.result, policy.compared_with)
        if policy.record is not None:
            self.books.replies = []
        self.climb = Climb(policy, self.books, self.mode, asks=int(tried_before))
        self.recall = recalling(request, policy, self.books, self.mode)

    # -- before anything is spent

    def route(self, ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
        """Choose which tiers may try, in order."""
        decision, standing = self.result.decision, self.policy.standing
        strongest = _last_place(tuple(t for t in ladder if t.answer is None) or ladder)
        if self.mode == "optimise" and standing is not None and standing.falls_back:
            decision.route = f"strongest tier: outside the certificate ({standing.words})"
            return strongest
        if self.mode == "optimise" and self.policy.route is None:
            decision.route = "cheapest first"
            return ladder
        choice = self.choose(ladder) or Choice(strongest, "strongest tier: the route failed")
        if self.mode == "optimise":
            decision.route = choice.reason
            if choice.threshold is not None:
                self.climb.threshold = choice.threshold
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
            if not self.policy.redundant:
                return self.policy.route(self.books.request, ladder) or Choice(ladder, _NO_ROUTE)
            # To a route a place on the ladder is one tier, whoever stands in for whom.
            choice = self.policy.route(self.books.request, first_of_places(ladder))
            return Choice(ladder, _NO_ROUTE) if choice is None else _widened(choice, ladder)
        except Exception as error:
            go_round(self.books, "route", error)
            return None

    # -- after it

    def conclude(self, known: Reply | None) -> Reply | None:
        """Take the best answer there is into the result."""
        self.result.reply = self.climb.conclude() if known is None else known
        if self.result.reply is None:
            self.result.error = self.climb.error
            self.policy.recent.failed(self.request, self.result.call_id)
        return self.result.reply

    def settle(self) -> Plan[None]:
        """Close what the cache has open and write the call down: the closing effects, on every way out."""
        if self.recall is not None:
            yield from self.recall.close(self.lasting())
        if self.result.attempts:
            self.teach()
            yield Settle(self.result)
            if self.books.replies is not None and self.policy.record is not None:
                kept = yield Record(
                    self.result, self.request, self.books.replies, self.policy.record, self.policy.guards
                )
                if type(kept) is Broken:
                    self.books.fault("record", kept.error)
        if self.climb.means is not None:
            yield from self.climb.means.close()

    def teach(self) -> None:
        """Tell a route that learns how the call ended."""
        learn = getattr(self.policy.route, "learn", None)
        if learn is None:
            return
        try:
            learn(self.books.request, self.result)
        except Exception as error:
            self.books.fault("route", error)

    def lasting(self) -> Reply | None:
        """The reply, if it may be served again: no draft that failed its check. The cache looks whether it is whole."""
        return None if self.climb.settled_for_less() else self.result.reply

    def give_up(self, gone: Abandoned) -> None:
        """Bill what was in flight when the caller went by a flagged estimate."""
        if gone.ask is not None:
            self.books.abandoned(gone.ask, gone.text, gone.latency_ms)
        self.result.error = gone.cause

    def finish(self) -> Result:
        """Return the result, or raise what went wrong with the history of the call in its notes."""
        if self.result.reply is not None:
            return self.result
        error = self.climb.error
        assert error is not None
        for a in self.result.attempts:
            error.add_note(f"tuppence: {a.tier} ({a.cause}) {a.outcome}: {a.error or f'score {a.score}'}")
        raise error
