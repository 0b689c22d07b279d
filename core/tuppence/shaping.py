"""What of a request is worth sending: the policy's shapers, one after the other, before anybody is asked.

Like the flow, a generator that does no I/O. A shaper that breaks is gone round, and the request goes on as it was; one
that asks a tier first is bound by the same guards, retries and accounting as every other ask.
"""

from __future__ import annotations

from tuppence.asking import Asking
from tuppence.books import Books, go_round
from tuppence.effects import Broken, Plan, Reshape, Shaped, Shaper
from tuppence.tiers import Tier


def shaping(asking: Asking, tiers: tuple[Tier, ...]) -> Plan[None]:
    """Let every shaper shorten what the one before it left; in observe mode only say what they would do."""
    if asking.mode == "off":
        return
    for shaper in asking.policy.shape:
        try:
            shaped = yield from _shaped(shaper, asking, tiers)
        except Exception as error:
            go_round(asking.books, "shape", error)
            continue
        if shaped is None:
            continue
        if asking.mode == "observe":
            _would(asking.books, shaped)
        else:
            yield from _reshape(asking, shaped)


def _shaped(shaper: Shaper, asking: Asking, tiers: tuple[Tier, ...]) -> Plan[Shaped | None]:
    """Ask a shaper; None where it would have to ask a tier first, and nothing may be spent."""
    shaped = shaper(asking.books.request, tiers)
    if isinstance(shaped, Shaped):
        return shaped
    if asking.mode == "observe":
        return _unasked(shaped)
    return (yield from asking.conduct(shaped))


def _unasked(plan: Plan[Shaped]) -> Shaped | None:
    """Run a plan that asks nobody; None where it would ask."""
    try:
        next(plan)
    except StopIteration as done:
        shaped: Shaped = done.value
        return shaped
    plan.close()
    return None


def _reshape(asking: Asking, shaped: Shaped) -> Plan[None]:
    edits, books = shaped.edits, asking.books
    if edits.messages:
        request = yield Reshape(books.request, edits)
        if type(request) is Broken:
            books.fault("shape", request.error)
            return
        books.request = request
    if edits.tools is not None:
        asking.tools = edits.tools
    decision = books.decision
    decision.pruned_tokens += shaped.tokens_saved
    if shaped.reason:
        decision.shape = f"{decision.shape}; {shaped.reason}" if decision.shape else shaped.reason


def _would(books: Books, shaped: Shaped) -> None:
    """Observe mode: say by how much the prompt would have been shorter."""
    decision = books.decision
    if shaped.tokens_saved and not decision.would:
        decision.would = f"send {shaped.tokens_saved} tokens less ({shaped.reason})"
