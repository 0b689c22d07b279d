"""One prompt's history, shortened: what stands from earlier calls is done again byte for byte, and something new only
where it pays.

The order of steps is written here alone. Whatever breaks in it leaves the messages as they came, with the reason.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from tuppence.effects import Declined, Plan
from tuppence.prices import PicoUSD, Rate
from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, counter_for, untouched
from tuppence.prune.history.arrival import Arrivals
from tuppence.prune.history.choosing import Call, Chooser, Layouts, Memory, both
from tuppence.prune.history.decisions import Batch, Decisions, Standing, chain_of
from tuppence.prune.history.economics import LIFETIME_S, Net, PromptPrice
from tuppence.prune.history.groups import may_be_rewritten
from tuppence.prune.history.layout import Layout, as_given
from tuppence.prune.history.policy import HistoryPolicy, PrunedHistory
from tuppence.prune.history.recovery import Recovery
from tuppence.prune.history.tallying import tallied
from tuppence.prune.history.view import View
from tuppence.request import NO_EDITS, Message, Request

AGAIN = "the same prompt was sent before, and is sent the same again"
NO_PRICE = "no price is known: nothing was cut that the provider may hold in its cache"


class HistoryPruner:
    """Shortens the histories of many conversations under one policy. Safe for many threads."""

    def __init__(
        self,
        policy: HistoryPolicy | None = None,
        *,
        price: PromptPrice | None = None,
        model: str = DEFAULT_MODEL,
        decisions: Decisions | None = None,
        recovery: Recovery | None = None,
    ) -> None:
        """Make a pruner; without a `price` only what is free at every price is done. `model` counts the tokens."""
        self.policy = policy or HistoryPolicy()
        self.price = price
        self.decisions = decisions if decisions is not None else Decisions()
        self.recovery = recovery if recovery is not None else Recovery()
        self._model = model
        self._count = tallied(counter_for(model))
        self._memory: Memory = {}
        self._arrivals = Arrivals(self.policy.arrival, self._count)

    def __reduce__(self) -> tuple[Callable[[], HistoryPruner], tuple[()]]:
        """Travel as settings, and with what decisions and recovery take along."""
        options: dict[str, Any] = {"decisions": self.decisions, "recovery": self.recovery}
        return partial(HistoryPruner, self.policy, price=self.price, model=self._model, **options), ()

    def __deepcopy__(self, _memo: dict[int, Any]) -> HistoryPruner:
        """Stay one object: a copy in this process goes on with the same conversations, and sends the same bytes."""
        return self

    def __repr__(self) -> str:
        return f"HistoryPruner({self.policy!r}, price={self.price!r}, model={self._model!r})"

    def prune(
        self,
        messages: Sequence[Message],
        *,
        price: PromptPrice | None = None,
        further_calls: Fraction | int | None = None,
        at: float | None = None,
        tenant: str = "",
    ) -> PrunedHistory:
        """Shorten the history of the call that is about to be made with `messages`.

        `further_calls` is the caller's own expectation of calls after this one, in place of what was seen. `at` is
        the moment of the call in Unix seconds, now without one. Where a summary would be needed that is not at hand,
        nothing new is left out: `plan` can ask for one.
        """
        if not messages:
            return PrunedHistory(NO_EDITS, untouched(0, "there are no messages"))
        tags = {"tenant": tenant} if tenant else {}
        request = Request(tuple(messages), tags=tags, received_at=time.time() if at is None else at)
        return _without_asking(self.plan(request, price=price, further_calls=further_calls))

    def plan(
        self,
        request: Request,
        *,
        price: PromptPrice | None = None,
        further_calls: Fraction | int | None = None,
        rates: Mapping[str, Rate] | None = None,
    ) -> Plan[PrunedHistory]:
        """Shorten a request's history, asking for a summary where one pays: a `Consult` then, nothing in most calls.

        `rates` are those of the tiers that may be asked, by name, for a summariser that has none of its own.
        """
        try:
            view = self._view(request.messages, rates or {})
            return (yield from self._plan(request, view, price or self.price, further_calls))
        except Exception as error:  # noqa: BLE001 - strategies may be the user's own: the call goes on as it came
            return PrunedHistory(NO_EDITS, untouched(0, f"pruning broke ({type(error).__name__}: {error})"))

    def _plan(
        self, request: Request, view: View, price: PromptPrice | None, further_calls: Fraction | int | None
    ) -> Plan[PrunedHistory]:
        tenant = request.tags.get("tenant", "")
        chain = chain_of(request.messages, tenant)
        known = self.decisions.find(chain)
        standing = known.batches if known is not None else ()
        layouts = Layouts(self.policy.strategies, view, chain, self._memory)
        calls = 1 + sum(message.role == "assistant" for message in view.messages)
        held = 0 if price is None else _held(request, known, price)
        if price is None:
            done = Outcome(standing, why=NO_PRICE)
        elif known is not None and known.upto == len(chain):
            done = Outcome(standing, why=AGAIN)
        else:
            expected = self.decisions.lengths.further(calls) if further_calls is None else Fraction(further_calls)
            call = Call(request, view, price, expected, held, self._tools_tokens(request))
            done = yield from self._decided(layouts, call, standing)
        lifetime_s = LIFETIME_S if price is None else price.lifetime_s
        made = Standing(len(chain), calls, request.received_at, done.batches)
        self.decisions.keep(chain, made, lifetime_s=lifetime_s)
        sent = layouts.of(done.batches)
        for one in sent.shortened:
            self.recovery.put(view.messages[one.index].text, scope=tenant)
        return _told(view, layouts.of(standing), sent, done, price, held)

    def _tools_tokens(self, request: Request) -> int:
        return self._count(json.dumps(request.tools, default=repr)) if request.tools else 0

    def _view(self, messages: tuple[Message, ...], rates: Mapping[str, Rate]) -> View:
        texts = tuple(self._arrivals(one.text) if may_be_rewritten(one) else one.text for one in messages)
        return View(messages, texts, self._arrivals, self._count, rates)

    def _decided(self, layouts: Layouts, call: Call, standing: tuple[Batch, ...]) -> Plan[Outcome]:
        """Let each strategy do what pays beside what stands."""
        chooser = Chooser(layouts, call, self.policy.pays_times)
        batches, net, why = standing, None, []
        for strategy in self.policy.strategies:
            choice = yield from chooser.chosen(strategy, batches)
            if isinstance(choice, str):
                why.append(choice)
                continue
            batches = choice.batches
            net = choice.net if net is None else both(net, choice.net)
            why.append(f"{strategy.name}: {choice.net}")
        return Outcome(batches, net, "; ".join(why))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What stands after a call was decided on."""

    batches: tuple[Batch, ...]
    net: Net | None = None
    why: str = ""


def _told(
    view: View, before: Layout, sent: Layout, done: Outcome, price: PromptPrice | None, held: int
) -> PrunedHistory:
    """Say what is sent, what went and what that is worth."""
    given = as_given(view)
    overhead = done.net.overhead_pico if done.net is not None else 0
    why = done.why if done.net is None else ""
    audit = Audit(given.tokens, sent.tokens, tuple(_cuts(view, sent)), why, overhead)
    saved = None if price is None else _saved(price, held, given, before, sent)
    return PrunedHistory(sent.edits, audit, done.net, saved if saved is None else saved - overhead, done.why)


def _held(request: Request, known: Standing | None, price: PromptPrice) -> int:
    """Return how many messages of the conversation the provider may hold, as the call before sent them.

    A conversation that was never seen here may have been sent by someone else, or before a restart: all up to the
    last answer is taken for held, so that nothing warm is broken for being unknown.
    """
    if known is not None:
        return known.upto if request.received_at - known.at <= price.lifetime_s else 0
    return max((index for index, message in enumerate(request.messages) if message.role == "assistant"), default=0)


def _saved(price: PromptPrice, held: int, given: Layout, before: Layout, sent: Layout) -> PicoUSD | None:
    everything = price.cost(given.tokens, given.upto(held) if held else 0)
    shortened = price.cost(sent.tokens, sent.still_held(before, held, marked=price.marked))
    return None if everything is None or shortened is None else everything - shortened


def _cuts(view: View, sent: Layout) -> Iterator[Cut]:
    """Say what went: what a batch cut, and what was written shorter without loss."""
    shortened = {one.index: one for one in sent.shortened}
    for index, message in enumerate(view.messages):
        one = shortened.get(index)
        text = view.texts[index] if one is None else one.text or ""
        if text == message.text and one is None:
            continue
        kind, why = ("payload", "written shorter without loss") if one is None else (one.kind, one.why)
        yield Cut(kind, f"message {index}", why, view.count(message.text) - view.count(text), message.text)


def _without_asking(plan: Plan[PrunedHistory]) -> PrunedHistory:
    """Run a plan to its end, declining whatever it would ask a model."""
    try:
        next(plan)
        while True:
            plan.send(Declined())
    except StopIteration as end:
        pruned: PrunedHistory = end.value
        return pruned
