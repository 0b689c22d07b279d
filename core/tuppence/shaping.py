"""What of a request is worth sending: the policy's shapers, one after the other, before anybody is asked.

Like the flow, a generator that does no I/O. A shaper that breaks is gone round, and the request goes on as it was; one
that asks a tier first is bound by the same guards, retries and accounting as every other ask.
"""

from __future__ import annotations

from tuppence.books import Books, go_round
from tuppence.climb import Climb
from tuppence.effects import Broken, Plan, Reshape, Shaped, Shaper
from tuppence.policy import Mode, Policy
from tuppence.tiers import Tier


def shaping(climb: Climb, policy: Policy, books: Books, mode: Mode, tiers: tuple[Tier, ...]) -> Plan[None]:
    """Let every shaper shorten what the one before it left; in observe mode only say what they would do."""
    if mode == "off":
        return
    for shaper in policy.shape:
        try:
            shaped = yield from _asked(shaper, climb, tiers, spend=mode == "optimise")
        except Exception as error:
            go_round(books, "shape", error)
            continue
        if shaped is None:
            continue
        if mode == "observe":
            _would(books, shaped)
            continue
        yield from _reshape(climb, books, shaped)


def _asked(shaper: Shaper, climb: Climb, tiers: tuple[Tier, ...], *, spend: bool) -> Plan[Shaped | None]:
    """Ask a shaper; None where it would have to ask a tier first, and may not."""
    shaped = shaper(climb.request, tiers)
    if isinstance(shaped, Shaped):
        return shaped
    if not spend:
        shaped.close()
        return None
    return (yield from climb.conduct(shaped))


def _reshape(climb: Climb, books: Books, shaped: Shaped) -> Plan[None]:
    edits = shaped.edits
    if edits.messages:
        request = yield Reshape(climb.request, edits)
        if type(request) is Broken:
            books.fault("shape", request.error)
            return
        climb.request = books.request = request
    if edits.tools is not None:
        climb.tools = edits.tools
    decision = books.decision
    decision.pruned_tokens += shaped.tokens_saved
    if shaped.reason:
        decision.shape = f"{decision.shape}; {shaped.reason}" if decision.shape else shaped.reason


def _would(books: Books, shaped: Shaped) -> None:
    """Observe mode: say by how much the prompt would have been shorter."""
    decision = books.decision
    if shaped.tokens_saved and not decision.would:
        decision.would = f"send {shaped.tokens_saved} tokens less ({shaped.reason})"
