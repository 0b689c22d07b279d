"""What was left out of a prompt, why, what that saves, and how to get it back: every pruner returns one `Audit`.

Cuts carry their text, which is the user's own: an audit lives as long as the call, and is never logged or stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from tuppence.prices import PicoUSD, Rate
from tuppence.tokens import count_tokens
from tuppence.usage import Usage

DEFAULT_MODEL = "gpt-4o"
"""Whose vocabulary (o200k_base) counts where nobody says for which model a prompt is."""

TokenCounter = Callable[[str], int]
"""Tokens of a text."""


def counter_for(model: str = DEFAULT_MODEL) -> TokenCounter:
    """Return what counts a text's tokens as `model` reads it; an estimate where its vocabulary is not at hand."""
    # A partial and no lambda: what holds a counter may have to travel to another process.
    return partial(_tokens, model=model)


def _tokens(text: str, *, model: str) -> int:
    return count_tokens(text, model).tokens


@dataclass(frozen=True, slots=True)
class Cut:
    """One piece that was left out, or written shorter."""

    kind: str
    """What it was, in the singular: sentence, passage, section, turn, tool output, whitespace ..."""
    source: str
    """Where it stood: a document's id, `message 3`, a tool's name."""
    why: str
    """In words a person can act on."""
    tokens: int
    """By how many the text became shorter."""
    text: str = field(default="", repr=False)
    """What stood there, so that it can be put back."""
    span: tuple[int, int] | None = None
    """Its characters in the source, start and end; None where the source was not cut by characters."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What one prune did."""

    tokens_before: int
    tokens_after: int
    """Never more than before."""
    cuts: tuple[Cut, ...] = ()
    kept_because: str = ""
    """Why less was cut than asked for, or nothing: nothing to gain, low confidence, or what broke."""
    overhead_pico: PicoUSD = 0
    """What the prune itself cost, a summary by a cheap tier for example."""

    @property
    def tokens_saved(self) -> int:
        return self.tokens_before - self.tokens_after

    def saved_pico(self, rate: Rate) -> PicoUSD | None:
        """Price the tokens saved as uncached input, less the overhead; None where input has no price.

        A provider's prefix cache makes a saving smaller, or a loss: where edits move a cached prefix, the history's
        economics say what is left of it.
        """
        saved = rate.cost(Usage(input=self.tokens_saved))
        return None if saved is None else saved - self.overhead_pico

    def by_kind(self) -> dict[str, int]:
        """Add up the tokens cut, by kind of cut, the largest first."""
        sums: dict[str, int] = {}
        for cut in self.cuts:
            sums[cut.kind] = sums.get(cut.kind, 0) + cut.tokens
        return dict(sorted(sums.items(), key=lambda one: -one[1]))


def untouched(tokens: int, why: str) -> Audit:
    """Audit a prune that left everything as it was."""
    return Audit(tokens, tokens, kept_because=why)


def joined(audits: Sequence[Audit]) -> Audit:
    """Add up several prunes of different texts."""
    return Audit(
        sum(one.tokens_before for one in audits),
        sum(one.tokens_after for one in audits),
        tuple(cut for one in audits for cut in one.cuts),
        "; ".join(one.kept_because for one in audits if one.kept_because),
        sum(one.overhead_pico for one in audits),
    )
