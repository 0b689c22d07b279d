"""One ask and the provider's prefix cache: the plan joins the tier's edits, and learns what came of it.

Only the caller's own request is planned, never a judge's question. What breaks here is recorded and gone round, and a
request that is refused with its marks is sent again without them: an optimisation must not fail a call.
"""

from __future__ import annotations

from dataclasses import replace

from tuppence.books import Books, go_round
from tuppence.cache.prefix import Planned, PrefixPlanner
from tuppence.effects import Failed
from tuppence.request import Edits, Reply, ToolsEdit
from tuppence.tiers import Tier


def marking(tier: Tier, planner: PrefixPlanner, books: Books) -> Marking | None:
    """Plan the request of `books` for a tier, and write down what and why; None where there is nothing to plan."""
    if tier.answer is not None:
        return None
    try:
        planned = planner.plan(books.request, tier)
    except Exception as error:
        go_round(books, "prefix", error)
        return None
    decision = books.decision
    told = f"{tier.name}: {planned.plan.reason}"
    if planned.drift is not None:
        told = f"{told}; {planned.drift.place}"
        decision.drift = str(planned.drift)
    decision.prefix = f"{decision.prefix}; {told}" if decision.prefix else told
    return Marking(tier, planner, books, planned)


def _in_turn(order: ToolsEdit, shorten: ToolsEdit | None) -> ToolsEdit:
    return order if shorten is None else lambda tools: shorten(order(tools))


class Marking:
    """The plan of one ask, retries included."""

    __slots__ = ("_blamed", "_books", "_planned", "_planner", "_tier")

    def __init__(self, tier: Tier, planner: PrefixPlanner, books: Books, planned: Planned) -> None:
        self._tier = tier
        self._planner = planner
        self._books = books
        self._planned = planned
        self._blamed = False
        """The request was refused with its edits, and is sent without them."""

    def joined(self, edits: Edits) -> Edits:
        """Return the tier's edits with the plan's, and with the planner's order of tools, which no provider refuses."""
        plan = self._planned.plan
        if self._books.request.tools:
            edits = replace(edits, tools=_in_turn(self._planner.order, edits.tools))
        if self._blamed or not plan.edits:
            return edits
        return replace(edits, params={**edits.params, **plan.params}, marks=plan.marks)

    def blames(self, failure: Failed) -> bool:
        """Say whether the plan's edits may be why a provider refused the request, so that it is sent without them."""
        if self._blamed or failure.kind != "bad_request" or not self._planned.plan.edits:
            return False
        self._blamed = True
        return True

    def spoilt(self, reply: Reply) -> bool:
        """Tell the planner what its plan came to: marks change no answer."""
        try:
            if self._blamed:
                self._planner.refused(self._tier)
                self._books.note(f"{self._tier.name} takes no marks for its prefix cache: it was asked without")
            else:
                self._planner.answered(self._planned, reply.usage, self._books.now)
        except Exception as error:
            go_round(self._books, "prefix", error)
        return False
