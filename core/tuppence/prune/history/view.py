"""A conversation as strategies see it, and what they may say of it: which messages to write shorter or leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tuppence.effects import Plan
from tuppence.prices import PicoUSD, Rate
from tuppence.prune.audit import TokenCounter
from tuppence.prune.history.decisions import Batch
from tuppence.request import Insert, Message, Request


@dataclass(frozen=True, slots=True)
class View:
    """The messages of one prompt, in which tool results are written as they are sent from the first time on."""

    messages: tuple[Message, ...]
    """As they came."""
    texts: tuple[str, ...]
    """As they are sent while nothing is cut."""
    write: TextWriter
    """How a tool's result is written when it arrives: kept parts of one are written the same way."""
    count: TokenCounter
    rates: Mapping[str, Rate] = field(default_factory=dict)
    """What the tiers that may be asked charge, by name, as far as that is known."""

    def before(self, stop: int) -> View:
        """Return the view of the first `stop` messages: what was known at an earlier call."""
        return replace(self, messages=self.messages[:stop], texts=self.texts[:stop])


class TextWriter(Protocol):
    """Writes a tool's result shorter without loss, or returns it as it is; the same text always gives the same."""

    def __call__(self, text: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Shortened:
    """One message that is written shorter, or left out."""

    index: int
    text: str | None
    """None: left out."""
    kind: str
    """What was cut, in the singular, for the audit."""
    why: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a batch makes of a conversation."""

    shortened: tuple[Shortened, ...] = ()
    inserts: tuple[Insert, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A batch that could be made now, and what it would make of the conversation."""

    batch: Batch
    rendered: Rendered
    replaces: bool = False
    """With it, the strategy's earlier batches no longer stand."""
    overhead_pico: PicoUSD | None = 0
    """What making it is expected to cost beside the prompt; None where that has no price."""
    make: Callable[[Request], Plan[Batch | None]] | None = None
    """Makes the batch ready by asking a model; its outcome is None where that failed. None: it is ready."""


class Strategy(Protocol):
    """Proposes edits of a conversation; the pruner makes them where they pay. Looks at nothing but the view."""

    @property
    def name(self) -> str:
        """What its decisions are filed under: unique in a policy."""
        ...

    def proposals(self, view: View, standing: Sequence[Batch], /) -> Sequence[Proposal]:
        """Say what could be done now, given this strategy's own batches that stand: alternatives to each other."""
        ...

    def rendered(self, view: View, batch: Batch, /) -> Rendered:
        """Work out what a batch looks like, from the view as it was when the batch was made alone."""
        ...
