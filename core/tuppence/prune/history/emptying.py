"""Old results of tools, emptied: what any tool brought goes, but for the lines of which something was taken up.

For agents that work long on one request, whose results pile up within one turn, and that have a tool to fetch one back.
Values that nobody used so far go too; where those matter, `Clearing` keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.errors import ConfigError
from tuppence.prune.history.clearing import suffixes
from tuppence.prune.history.decisions import Batch
from tuppence.prune.history.recovery import TOOL_NAME
from tuppence.prune.history.results import results_of, taken_up
from tuppence.prune.history.stubs import lines_in_use, stub
from tuppence.prune.history.view import Proposal, Rendered, Shortened, View


@dataclass(frozen=True, slots=True)
class Emptying:
    """Empties all but the last results of tools, those of the current turn too."""

    keep_results: int = 3
    """The last so many stay whole: as many as Anthropic's `clear_tool_uses` keeps unless told otherwise."""
    recover_with: str = TOOL_NAME
    """Name of the tool that brings an emptied result back, as the model knows it."""

    def __post_init__(self) -> None:
        if self.keep_results < 1:
            raise ConfigError(f"keep_results is {self.keep_results}: the last result always stays, so at least 1")
        if not self.recover_with:
            raise ConfigError("recover_with is empty: give the model a tool that brings results back, or use Clearing")

    @property
    def name(self) -> str:
        return "emptying"

    def proposals(self, view: View, standing: Sequence[Batch]) -> Sequence[Proposal]:
        """Propose, for each place that the cut may begin at, all that can be emptied from there on."""
        done = {index for batch in standing for index in batch.indices}
        return suffixes(self.name, view, [one for one in self._emptied(view) if one.index not in done])

    def rendered(self, view: View, batch: Batch) -> Rendered:
        return Rendered(tuple(one for one in self._emptied(view) if one.index in batch.indices))

    def _emptied(self, view: View) -> list[Shortened]:
        emptied = []
        for result in results_of(view):
            if result.results_after < self.keep_results:
                continue
            written = view.texts[result.index]
            kept = lines_in_use(written, taken_up(view.messages, result.index))
            text = stub(result.text, "left out, old", kept, self.recover_with)
            if view.count(text) < view.count(written):
                emptied.append(Shortened(result.index, text, "tool output", "older than the last results"))
        return emptied
