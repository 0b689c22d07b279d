"""A window on a long conversation: the last turns, the older ones that belong to the question, and notes on the rest.

Whole turns go or stay, so that no call loses its result. The window stands still until moving it pays anew: between
moves the same bytes are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tuppence.effects import Plan
from tuppence.embed import Embedder
from tuppence.errors import ConfigError
from tuppence.prune.history.decisions import Batch
from tuppence.prune.history.groups import last_turn, turns_of
from tuppence.prune.history.relevance import relevant
from tuppence.prune.history.summary import INTRODUCTION, RECEIVED, Summaries, Summariser, question
from tuppence.prune.history.view import Proposal, Rendered, Shortened, View
from tuppence.request import Insert, Message, Request


@dataclass(frozen=True, slots=True)
class Window:
    """Leaves out turns that are neither recent nor about the question."""

    keep_turns: int = 8
    """The last so many turns stay, the current one among them."""
    relevant_turns: int = 2
    """So many older ones stay that are most about the current question."""
    neighbours: int = 1
    """So many turns on either side of a relevant one stay with it."""
    embedder: Embedder | None = None
    """Compares turns by meaning beside comparing them by words."""
    summariser: Summariser | None = None
    """Sums up what is left out; without one it is left out without notes."""
    summaries: Summaries = field(default_factory=Summaries, compare=False)

    def __post_init__(self) -> None:
        if self.keep_turns < 1:
            raise ConfigError(f"keep_turns is {self.keep_turns}: the current turn always stays, so at least 1")
        if self.relevant_turns < 0 or self.neighbours < 0:
            raise ConfigError(
                f"relevant_turns is {self.relevant_turns} and neighbours {self.neighbours}: neither can be below 0"
            )

    def __repr__(self) -> str:
        # An embedder is told by its name: two models of one class are two policies.
        turns = f"keep_turns={self.keep_turns}, relevant_turns={self.relevant_turns}, neighbours={self.neighbours}"
        embedder = None if self.embedder is None else self.embedder.name
        return f"Window({turns}, embedder={embedder!r}, summariser={self.summariser!r})"

    @property
    def name(self) -> str:
        return "window"

    def proposals(self, view: View, standing: Sequence[Batch]) -> Sequence[Proposal]:
        """Propose the window as it would stand now, where it leaves out a turn that none has left out before."""
        turns = turns_of(view.messages)
        old = turns[: max(0, len(turns) - self.keep_turns)]
        gone = {index for batch in standing for index in batch.indices}
        if not any(index not in gone for turn in old for index in turn):
            return ()
        kept = self._relevant(view, old)
        indices = tuple(i for n, turn in enumerate(old) if n not in kept and _may_go(view, turn) for i in turn)
        if not set(indices) - gone:
            return ()
        batch = Batch(self.name, len(view.messages), indices)
        return (self._proposal(view, batch, standing[-1] if standing else None),)

    def rendered(self, _view: View, batch: Batch) -> Rendered:
        gone = tuple(Shortened(index, None, "turn", "neither recent nor about the question") for index in batch.indices)
        if not batch.summary:
            return Rendered(gone)
        # Two messages, so that roles still take turns.
        first = batch.indices[0]
        notes = Insert(first, "user", INTRODUCTION + batch.summary), Insert(first, "assistant", RECEIVED)
        return Rendered(gone, notes)

    def _proposal(self, view: View, batch: Batch, earlier: Batch | None) -> Proposal:
        rendered = self.rendered(view, batch)
        summariser = self.summariser
        if summariser is None:
            return Proposal(batch, rendered, replaces=True)
        turns, notes = _new_turns(view, batch, earlier)

        def make(request: Request) -> Plan[Batch | None]:
            text = yield from self.summaries.ask(summariser, question(request, summariser, notes, turns))
            return None if text is None else replace(batch, summary=text)

        asked = question(Request(view.messages), summariser, notes, turns)
        cost = 0 if self.summaries.known(asked) is not None else summariser.expected_pico(asked, view)
        return Proposal(batch, rendered, replaces=True, overhead_pico=cost, make=make)

    def _relevant(self, view: View, old: Sequence[Sequence[int]]) -> set[int]:
        texts = ["\n".join(view.texts[index] for index in turn) for turn in old]
        asked = view.texts[last_turn(view.messages)]
        found = relevant(asked, texts, self.relevant_turns, self.embedder)
        return {place + step for place in found for step in range(-self.neighbours, self.neighbours + 1)}


def _new_turns(view: View, batch: Batch, earlier: Batch | None) -> tuple[list[Message], str]:
    """Return the messages that newly go, as they were sent, and the notes on those that went before."""
    notes = earlier.summary if earlier is not None else ""
    known = set(earlier.indices) if earlier is not None and notes else set()
    new = [index for index in batch.indices if index not in known]
    return [Message(view.messages[i].role, view.texts[i], view.messages[i].tool_calls) for i in new], notes


def _may_go(view: View, turn: Sequence[int]) -> bool:
    """Keep turns with pictures and sounds: nothing here can tell what of them is still needed."""
    return not any(view.messages[index].media for index in turn)
