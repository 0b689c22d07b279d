"""What a store of counters can do beside reserving and releasing, in the words that all stores share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tuppence.effects import BudgetStore, Charge
from tuppence.prices import PicoUSD

FORGET_S = 86_400.0
"""How long a counter outlives its period: releases of calls that began in it still come."""
_DOLLAR = 10**12


@dataclass(frozen=True, slots=True)
class Count:
    """One counter as it stands."""

    counter: str
    budget: str
    spent: PicoUSD
    held: PicoUSD
    limit: PicoUSD | None
    """As the last call that was limited by it gave it; None where none was."""
    until: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Swept:
    """Reservations that nobody closed, and that were released for it."""

    holds: int = 0
    pico_usd: PicoUSD = 0
    """What they held together."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a counter should say, for all that was spent up to a moment in the past."""

    charge: Charge
    spent: PicoUSD
    """What is known to have been spent by then."""
    counted: PicoUSD
    """What the counter said then: what was added to it since is kept."""

    def of(self, spent_now: PicoUSD) -> PicoUSD:
        """Return what the counter should say now."""
        return self.spent + max(0, spent_now - self.counted)


class Counters(BudgetStore, Protocol):
    """A store of counters, each step of it all or nothing.

    All methods but `release` raise `BudgetError` where the counters cannot be reached.
    """

    @property
    def waiting(self) -> int:
        """How many releases of this process are not carried out yet."""
        ...

    def counts(self) -> list[Count]:
        """Read all counters, sorted by key."""
        ...

    def sweep(self, before: float, at: float) -> Swept:
        """Release reservations made up to `before`, and forget counters whose period was long over at `at`.

        A call that was merely slow is still charged when it closes its reservation.
        """
        ...

    def correct(self, corrections: Sequence[Correction]) -> None:
        """Set what was spent, and leave what is held."""
        ...

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once the releases of this process are carried out."""
        ...

    def close(self) -> None:
        """Carry out what waits, and let go of files and connections; never raises."""
        ...


def as_text(pico: PicoUSD) -> str:
    """Write an amount as exact dollars with twelve decimals, as files and servers keep it: a person can read it."""
    dollars, rest = divmod(pico, _DOLLAR)
    return f"{dollars}.{rest:012d}"


def as_pico(text: str | bytes) -> PicoUSD:
    """Read what `as_text` wrote."""
    return int(text.replace(b".", b"") if isinstance(text, bytes) else text.replace(".", ""))
