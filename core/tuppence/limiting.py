"""One ask and the policy's output limits: a limit joins the tier's edits, and no answer that it cut is handed on.

No stream that its reader sees at once is limited: what such a limit cuts could not be asked for again. What breaks here
is recorded and gone round.
"""

from __future__ import annotations

from dataclasses import replace

from tuppence.books import Books, go_round
from tuppence.effects import Failed, Gate, live
from tuppence.prune.output import OutputLimits
from tuppence.request import NO_EDITS, Edits, Reply
from tuppence.tiers import Tier


def limiting(limits: OutputLimits | None, tier: Tier, gate: Gate, books: Books) -> Limiting | None:
    """Look up the limits of the call of `books`; None where there are none to set."""
    if limits is None or tier.answer is not None or (books.request.streaming and gate is live):
        return None
    try:
        return Limiting(limits, tier, limits.edits(books.request, tier), books)
    except Exception as error:
        go_round(books, "limits", error)
        return None


class Limiting:
    """The limits of one ask, retries included."""

    __slots__ = ("_books", "_edits", "_limits", "_tier")

    def __init__(self, limits: OutputLimits, tier: Tier, edits: Edits, books: Books) -> None:
        self._limits = limits
        self._tier = tier
        self._edits = edits
        self._books = books

    def joined(self, edits: Edits) -> Edits:
        """Return the tier's edits with the limits; what the tier sets itself wins."""
        own = self._edits
        if not own:
            return edits
        return replace(edits, messages=(*edits.messages, *own.messages), params={**own.params, **edits.params})

    def blames(self, failure: Failed) -> bool:
        """Say whether the limits may be why a provider refused the request."""
        if failure.kind != "bad_request" or not self._edits:
            return False
        self._lift()
        return True

    def spoilt(self, reply: Reply) -> bool:
        """Learn from an answer; say whether it was the limit that cut it."""
        try:
            self._limits.learn(self._books.request, self._tier, reply)
        except Exception as error:
            go_round(self._books, "limits", error)
        if reply.finish != "length" or reply.delivered or not self._edits.params:
            return False
        self._books.note(f"{self._tier.name} asked again: the learned limit cut its answer")
        self._lift()
        return True

    def _lift(self) -> None:
        self._edits = NO_EDITS
