"""What one ask is sent beside the caller's own request: the tier's additions, marks for its prompt cache, a limit.

Each optimisation that amends a request answers for it: what it spoils is asked again without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tuppence.effects import Failed
from tuppence.request import Edits, Reply


class Amendment(Protocol):
    """One optimisation of one ask, retries included."""

    def joined(self, edits: Edits, /) -> Edits:
        """Return `edits` with its own; without, once it was to blame."""
        ...

    def blames(self, failure: Failed, /) -> bool:
        """Say whether its edits may be why a provider refused the request; from then on it makes none."""
        ...

    def spoilt(self, reply: Reply, /) -> bool:
        """Take an answer in; say whether its edits spoilt it. From then on it makes none."""
        ...


class Amended:
    """The edits of one ask, and who made them."""

    __slots__ = ("_edits", "_made_by")

    def __init__(self, edits: Edits, made_by: Sequence[Amendment] = ()) -> None:
        self._edits = edits
        self._made_by = made_by

    @property
    def edits(self) -> Edits:
        """What to send now."""
        edits = self._edits
        for one in self._made_by:
            edits = one.joined(edits)
        return edits

    def blames(self, failure: Failed) -> bool:
        """Say whether the request is worth sending again with fewer edits: one optimisation less at a time."""
        return any(one.blames(failure) for one in self._made_by)

    def spoilt(self, reply: Reply) -> bool:
        """Tell every optimisation of the answer; say whether it is worth asking for again without one of them."""
        spoilt = False
        for one in self._made_by:
            spoilt = one.spoilt(reply) or spoilt
        return spoilt
