"""What the flow asks of budgets: room for what a call may cost before anybody is asked, and the rest back after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from tuppence.effects.plans import Effect
from tuppence.errors import BudgetExceeded
from tuppence.prices import PicoUSD, usd


@dataclass(frozen=True, slots=True)
class Charge:
    """One counter that a call is charged to: a budget, for one period and one user, tenant or other tag."""

    counter: str
    """The counter's key, the same in every process: budget, tag value and period."""
    budget: str
    """The budget's name, for messages."""
    limit: PicoUSD | None
    """Most that may be spent and held together; None counts without limiting."""
    until: float
    """Unix seconds: the end of the period, from which the counter may be forgotten."""


@dataclass(frozen=True, slots=True)
class Granted:
    """There was room in every counter, and it is held."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One counter had no room, and none was changed."""

    charge: Charge
    spent: PicoUSD
    """What the counter's calls have cost so far."""
    held: PicoUSD
    """What calls under way may yet cost."""

    def error(self, need: PicoUSD) -> BudgetExceeded:
        """Say to a caller whose call may cost `need` why it is stopped, and what helps."""
        limit = self.charge.limit or 0
        until = datetime.fromtimestamp(self.charge.until, UTC)
        return BudgetExceeded(
            f"budget {self.charge.budget} has {_dollars(max(0, limit - self.spent - self.held))} of {_dollars(limit)} "
            f"left until {until:%Y-%m-%d %H:%M} UTC ({_dollars(self.held)} is held by calls under way), and this call "
            f"may cost up to {_dollars(need)}: raise the budget, lower max_tokens, or shorten the prompt"
        )


def _dollars(pico: PicoUSD) -> str:
    return f"${usd(pico).normalize():f}"


@dataclass(slots=True)
class Reserve(Effect[Granted | Refused]):
    """Hold room in all counters of a call, or in none. Where it cannot be told whether there is room, performing this
    raises, and the call stops.

    Under the same `hold` again, it raises what is held to `pico_usd`, and never lowers it.
    """

    store: BudgetStore
    hold: str
    """Id of this reservation."""
    charges: tuple[Charge, ...]
    pico_usd: PicoUSD
    """All that the call may come to, what it has cost so far included."""
    at: float
    """Unix seconds."""


@dataclass(slots=True)
class Release(Effect[None]):
    """Close a reservation: what the call cost is charged, the rest goes back. Closing, waits for nothing, and counts
    once however often it is done.
    """

    store: BudgetStore
    hold: str
    charges: tuple[Charge, ...]
    pico_usd: PicoUSD
    """What the call has cost."""


class BudgetStore(Protocol):
    """Where counters are kept."""

    def reserve(self, reserve: Reserve, /) -> Granted | Refused:
        """Raise `BudgetError` where the counters cannot be reached."""
        ...

    async def areserve(self, reserve: Reserve, /) -> Granted | Refused: ...

    def release(self, release: Release, /) -> None:
        """Take the closing in and return at once; it is carried out whatever becomes of the caller."""
        ...
