"""Room that was held and never given back, and room that has been given back and not yet counted: before a call is
refused for lack of either, both are looked for.
"""

from __future__ import annotations

import asyncio
import logging

from tuppence.effects import Granted, Refused, Release, Reserve
from tuppence.errors import BudgetError
from tuppence.prices import usd
from tuppence.spend.budgets.counters import Counters, Swept

log = logging.getLogger("tuppence.budgets")

SWEEPS_A_LEASE = 10
"""How many times a lease old reservations are looked for while there is room."""
REFUSED_EVERY_S = 1.0
"""How often they are looked for while there is none: a budget that is used up refuses every call."""
FLUSH_S = 2.0


class Leased:
    """A store of counters whose reservations are held for `lease_s` at most."""

    def __init__(self, counters: Counters, lease_s: float) -> None:
        self.counters = counters
        self.lease_s = lease_s
        self._swept_at = 0.0

    def reserve(self, reserve: Reserve, /) -> Granted | Refused:
        # Before it is asked: afterwards, what waited may just have been carried out.
        waiting = self.counters.waiting > 0
        answer = self.counters.reserve(reserve)
        found = self._is_due(reserve, answer, waiting) and self._recover(reserve, waiting)
        if found and type(answer) is Refused:
            return self.counters.reserve(reserve)
        return answer

    async def areserve(self, reserve: Reserve, /) -> Granted | Refused:
        """Do as `reserve` does without blocking the event loop."""
        waiting = self.counters.waiting > 0
        answer = await self.counters.areserve(reserve)
        found = self._is_due(reserve, answer, waiting) and await asyncio.to_thread(self._recover, reserve, waiting)
        if found and type(answer) is Refused:
            return await self.counters.areserve(reserve)
        return answer

    def release(self, release: Release, /) -> None:
        self.counters.release(release)

    def sweep(self, at: float) -> Swept:
        """Release what was reserved more than `lease_s` before `at`, and say so in the log."""
        self._swept_at = at
        swept = self.counters.sweep(at - self.lease_s, at)
        if swept.holds:
            log.warning(
                "%d reservations of $%s together were not closed within %g s and are released: their processes ended, "
                "or their calls take longer; what they had spent, `tuppence budget rebuild` reads from the ledger",
                swept.holds, f"{usd(swept.pico_usd):f}", self.lease_s,
            )  # fmt: skip
        return swept

    def _is_due(self, reserve: Reserve, answer: Granted | Refused, waiting: bool) -> bool:
        since = reserve.at - self._swept_at
        if type(answer) is Granted:
            return since >= self.lease_s / SWEEPS_A_LEASE
        return waiting or since >= REFUSED_EVERY_S

    def _recover(self, reserve: Reserve, waiting: bool) -> bool:
        """Look for room; say whether any was, or may have been, found."""
        try:
            if waiting:
                self.counters.flush(FLUSH_S)
            swept = reserve.at - self._swept_at >= REFUSED_EVERY_S and self.sweep(reserve.at).holds > 0
        except BudgetError as error:
            # The answer stands; who is refused by it is told why, and the next call looks again.
            log.warning("room that was given back could not be looked for: %s", error)
            return False
        return waiting or swept
