"""What may be done to a history, as data, and what was done to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from tuppence.errors import ConfigError
from tuppence.prices import PicoUSD
from tuppence.prune.audit import Audit
from tuppence.prune.history.arrival import fewest_tokens
from tuppence.prune.history.clearing import Clearing
from tuppence.prune.history.economics import Net
from tuppence.prune.history.view import Strategy, TextWriter
from tuppence.request import Edits

PAYS_TIMES = Fraction(2)
"""How many times over a cut must earn what it costs at once. Twice leaves room for an expectation of further calls that
is wrong by half, and keeps cuts from following each other call by call."""


@dataclass(frozen=True, slots=True)
class HistoryPolicy:
    """What may be done to a history; what is done is decided by price."""

    arrival: TextWriter | None = fewest_tokens
    """Writes a tool's result shorter, without loss, when it first appears; None leaves it. `compact_in_text` of
    `tuppence.prune.payloads` keeps JSON that any program reads."""
    strategies: tuple[Strategy, ...] = (Clearing(),)
    """Tried in this order, such as `Window(...)` before `Clearing(...)`."""
    pays_times: Fraction = PAYS_TIMES

    def __repr__(self) -> str:
        # A function without its address: the same in every process.
        arrival = None if self.arrival is None else named(self.arrival)
        return f"HistoryPolicy(arrival={arrival}, strategies={self.strategies!r}, pays_times={self.pays_times})"

    def __post_init__(self) -> None:
        names = [strategy.name for strategy in self.strategies]
        if len(set(names)) < len(names):
            raise ConfigError(f"the history's strategies are {names}: each name may come once")
        if self.pays_times < 1:
            raise ConfigError(f"pays_times is {self.pays_times}: below 1, cuts would be made that lose money")


@dataclass(frozen=True, slots=True)
class PrunedHistory:
    """What to send in place of a history, and what that is worth."""

    edits: Edits
    """Indices are those of the messages given."""
    audit: Audit
    net: Net | None = None
    """What the cuts that this call made anew are expected to bring; None where it made none."""
    saved_pico: PicoUSD | None = None
    """What this call's prompt costs less than if nothing had ever been cut, each with what its provider would hold;
    below 0 in a call that writes a shortened prefix anew. None without a price."""
    why: str = ""
    """What was decided, in words."""


def named(function: Callable[..., object]) -> str:
    """Name a function by where it stands; an object that is called says itself what it is."""
    name = getattr(function, "__qualname__", None)
    return repr(function) if name is None else f"{function.__module__}.{name}"
