"""Which of the cuts that could be made now is made, if any: the one that is expected to bring most, if it pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tuppence.effects import Plan
from tuppence.prune.history.decisions import Batch
from tuppence.prune.history.economics import Change, Net, PromptPrice, net_of
from tuppence.prune.history.layout import Layout, laid_out, uncut_pieces
from tuppence.prune.history.view import Proposal, Rendered, Strategy, View
from tuppence.request import Request

NO_RATE = "no price is known of who would sum up, so nobody is asked"


@dataclass(frozen=True, slots=True)
class Call:
    """The call that is about to be made."""

    request: Request
    view: View
    price: PromptPrice
    further_calls: Fraction
    held_messages: int
    """So many messages from the beginning may be held by the provider, as the call before sent them; 0: none."""
    tools_tokens: int
    """What stands before the messages."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What could be done, and what it is expected to bring."""

    batches: tuple[Batch, ...]
    """All that would stand."""
    net: Net


Memory = dict[tuple[str, Batch], Rendered]
"""What batches look like, by the digest of the messages that they were made for: worked out once, not call by call."""
# A few megabytes of stubs and notes.
_MOST_REMEMBERED = 2000


class Layouts:
    """Lays one conversation out with what batches make of it; each batch is worked out once."""

    __slots__ = ("_chain", "_memory", "_strategies", "_uncut", "_view")

    def __init__(self, strategies: Sequence[Strategy], view: View, chain: Sequence[str], memory: Memory) -> None:
        self._strategies = {strategy.name: strategy for strategy in strategies}
        self._view = view
        self._chain = chain
        self._memory = memory
        self._uncut = uncut_pieces(view)

    def of(self, batches: Sequence[Batch]) -> Layout:
        """Lay out the prompt; batches of strategies that the policy no longer has are passed over."""
        made = [self._rendered(one) for one in batches if one.strategy in self._strategies]
        return laid_out(self._view, self._uncut, made)

    def take(self, proposal: Proposal) -> None:
        """Take in what a batch of this very call looks like."""
        self._remember(proposal.batch, proposal.rendered)

    def _rendered(self, batch: Batch) -> Rendered:
        found = self._memory.get((self._chain[batch.upto - 1], batch))
        if found is None:
            found = self._strategies[batch.strategy].rendered(self._view.before(batch.upto), batch)
            self._remember(batch, found)
        return found

    def _remember(self, batch: Batch, rendered: Rendered) -> None:
        if len(self._memory) >= _MOST_REMEMBERED:
            self._memory.clear()
        self._memory[self._chain[batch.upto - 1], batch] = rendered


class Chooser:
    """Chooses for one call."""

    __slots__ = ("_call", "_layouts", "_pays_times")

    def __init__(self, layouts: Layouts, call: Call, pays_times: Fraction) -> None:
        self._layouts = layouts
        self._call = call
        self._pays_times = pays_times

    def chosen(self, strategy: Strategy, batches: tuple[Batch, ...]) -> Plan[Choice | str]:
        """Return what a strategy is to do beside `batches`, made ready, or in words why it does nothing."""
        own = [batch for batch in batches if batch.strategy == strategy.name]
        likely: list[tuple[Choice, Proposal]] = []
        proposals = strategy.proposals(self._call.view, own)
        for proposal in proposals:
            self._layouts.take(proposal)
            choice = self._weighed(batches, proposal)
            if choice is not None:
                likely.append((choice, proposal))
        if not likely:
            unpriced = any(proposal.overhead_pico is None for proposal in proposals)
            return f"{strategy.name}: {NO_RATE if unpriced else 'nothing to gain'}"
        best, proposal = max(likely, key=lambda one: one[0].net.pico)
        if not best.net.pays(self._pays_times):
            return f"{strategy.name}: not yet, it {best.net}"
        if proposal.make is None:
            return best
        made = yield from proposal.make(self._call.request)
        if made is None:
            return f"{strategy.name}: no summary was to be had"
        return self._weighed(batches, replace(proposal, batch=made)) or f"{strategy.name}: what was made is no shorter"

    def _weighed(self, batches: tuple[Batch, ...], proposal: Proposal) -> Choice | None:
        """Work out what a batch brings; None where it makes the prompt no shorter, or a part has no price."""
        call, made = self._call, proposal.batch
        after = (*(one for one in batches if not (proposal.replaces and one.strategy == made.strategy)), made)
        old, new = self._layouts.of(batches), self._layouts.of(after)
        if new.tokens >= old.tokens or proposal.overhead_pico is None:
            return None
        tools = call.tools_tokens
        held = old.upto(call.held_messages) + tools if call.held_messages else 0
        still = new.still_held(old, call.held_messages, marked=call.price.marked) + tools
        change = Change(held, still, old.tokens + tools, new.tokens + tools, proposal.overhead_pico)
        net = net_of(change, call.price, call.further_calls)
        return None if net is None else Choice(after, net)


def both(first: Net, second: Net) -> Net:
    """Add what two cuts of one call bring."""
    return replace(
        first,
        now_pico=first.now_pico + second.now_pico,
        later_pico=first.later_pico + second.later_pico,
        overhead_pico=first.overhead_pico + second.overhead_pico,
    )
