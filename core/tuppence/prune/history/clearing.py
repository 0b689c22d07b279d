"""Old results of tools, cleared in batches: rows of a listing that nothing took up, and what a later result repeats.
What is in use stays, word for word; what goes can be had back by its id.

Results of the current turn are never cleared, nor any that are not text alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuppence.errors import ConfigError
from tuppence.prune.history.decisions import Batch
from tuppence.prune.history.results import Result, results_of, taken_up
from tuppence.prune.history.stubs import as_json, left_of, listing_in_use, stub
from tuppence.prune.history.view import Proposal, Rendered, Shortened, View

KEPT_TURNS = 2
"""The current turn and the one before: what a user answers to is what the last results were about."""


@dataclass(frozen=True, slots=True)
class Clearing:
    """Clears of old results what nothing needs: no value goes that a user or a call took up, or that stands nowhere
    else outside of a listing.
    """

    keep_turns: int = KEPT_TURNS
    """Listings of the last so many user turns stay whole. What a later result repeats may go one turn after."""
    recover_with: str = ""
    """Name of the tool that brings a cleared result back, where the model has one: stubs then mention it."""

    def __post_init__(self) -> None:
        if self.keep_turns < 1:
            raise ConfigError(f"keep_turns is {self.keep_turns}: the current turn's results always stay, so at least 1")

    @property
    def name(self) -> str:
        return "clearing"

    def proposals(self, view: View, standing: Sequence[Batch]) -> Sequence[Proposal]:
        """Propose, for each place that the cut may begin at, all that can be cleared from there on."""
        done = {index for batch in standing for index in batch.indices}
        return suffixes(self.name, view, [one for one in self._cleared(view, None) if one.index not in done])

    def rendered(self, view: View, batch: Batch) -> Rendered:
        return Rendered(tuple(self._cleared(view, batch.indices)))

    def _cleared(self, view: View, indices: Sequence[int] | None) -> list[Shortened]:
        """Write the results at `indices` shorter, or without them all that can be."""
        results = results_of(view)
        made = []
        for place, result in enumerate(results):
            if result.value is None or not result.turns_after or (indices is not None and result.index not in indices):
                continue
            shorter = self._repeated(view, result, results[place + 1 :]) or self._unused(view, result)
            if shorter is not None and view.count(shorter.text or "") < view.count(view.texts[result.index]):
                made.append(shorter)
        return made

    def _repeated(self, view: View, result: Result, later: Sequence[Result]) -> Shortened | None:
        for other in later:
            left = left_of(result.value, other.value, same_call=result.same_call(other))
            if left is not None:
                why = f"the later result of {other.tool} repeats it"
                return self._written(view, result, why, left)
        return None

    def _unused(self, view: View, result: Result) -> Shortened | None:
        if result.turns_after < self.keep_turns:
            return None
        found = listing_in_use(result.value, taken_up(view.messages, result.index))
        if found is None:
            return None
        kept, gone = found
        return self._written(view, result, f"{gone} rows left out", kept)

    def _written(self, view: View, result: Result, why: str, rest: Any) -> Shortened:
        kept = view.write(as_json(rest)) if rest else ""
        return Shortened(result.index, stub(result.text, why, kept, self.recover_with), "tool output", why)


def suffixes(name: str, view: View, cleared: Sequence[Shortened]) -> list[Proposal]:
    """Make one proposal for each message that a cut may begin at: a later beginning leaves more of the prefix warm."""
    return [
        Proposal(Batch(name, len(view.messages), tuple(one.index for one in rest)), Rendered(tuple(rest)))
        for first in range(len(cleared))
        if (rest := cleared[first:])
    ]
