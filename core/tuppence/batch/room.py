"""Room in the budgets for the parts of a job: held before a part is sent, kept while it runs, closed with what it cost.

A part is one reservation under a name of its own, so that reserving or closing it a second time changes nothing. A
budget that cannot be checked keeps the part from being sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tuppence.batch.parts import Part
from tuppence.effects import Charge, Refused, Release, Reserve
from tuppence.errors import BudgetError, BudgetExceeded
from tuppence.prices import PicoUSD, usd
from tuppence.request import Tags

if TYPE_CHECKING:
    from tuppence.spend.budgets import Budgets


class Room:
    """What the parts of jobs may cost; without budgets there is always room."""

    def __init__(self, budgets: Budgets | None) -> None:
        self._budgets = budgets

    def allows(self, custom_id: str, worst: PicoUSD | None, tags: Tags) -> None:
        """Raise `BudgetExceeded` for a line that a budget for single calls forbids, `BudgetError` for one without a
        price where that is needed.
        """
        if self._budgets is None:
            return
        hard, _ = self._budgets.call_limit(tags)
        if worst is None and self._budgets.unpriced == "refuse":
            raise BudgetError(
                f"no batch price is known for the model of line {custom_id!r}, so that no budget can count it: give "
                "one in the price book, with its batch prices, or set unpriced='allow' in Budgets"
            )
        if hard is not None and worst is not None and worst > hard:
            raise BudgetExceeded(
                f"line {custom_id!r} may cost up to ${usd(worst).normalize():f}, more than the "
                f"${usd(hard).normalize():f} that a budget allows for one: raise that budget, lower max_tokens, or "
                "shorten the prompt"
            )

    def check(self, tags: Tags, at: float) -> None:
        """Raise `BudgetError` for tags that a budget needs and that are missing."""
        if self._budgets is not None:
            self._budgets.charges(tags, at)

    def reserve(self, part: Part, tags: Tags, at: float) -> None:
        """Hold what a part may cost; raises `BudgetExceeded` or `BudgetError`."""
        charges = self._charges(tags, at)
        if not charges or self._budgets is None:
            return
        store, worst = self._budgets.store, part.worst or 0
        outcome = store.reserve(Reserve(store, _hold(part), charges, worst, at))
        if isinstance(outcome, Refused) and self._budgets.is_soft(outcome):
            # There is no cheaper tier to go to: it is counted, and stopped by hard budgets alone.
            charges = self._budgets.counting(charges)
            outcome = store.reserve(Reserve(store, _hold(part), charges, worst, at))
        if isinstance(outcome, Refused):
            raise outcome.error(worst)

    def keep(self, part: Part, tags: Tags, at: float) -> None:
        """Say that a part is still under way: reservations of calls that nobody ends are released after a while."""
        charges = tuple(replace(one, limit=None) for one in self._charges(tags, part.reserved_at))
        if charges and self._budgets is not None:
            store = self._budgets.store
            store.reserve(Reserve(store, _hold(part), charges, part.worst or 0, at))

    def close(self, part: Part, tags: Tags, cost: PicoUSD) -> None:
        """Charge what a part cost, and return once that is counted; raises `BudgetError`."""
        charges = self._charges(tags, part.reserved_at)
        if charges and self._budgets is not None:
            self._budgets.store.release(Release(self._budgets.store, _hold(part), charges, cost))
            self._budgets.counters.flush()

    def _charges(self, tags: Tags, at: float) -> tuple[Charge, ...]:
        return () if self._budgets is None else self._budgets.charges(tags, at)


def _hold(part: Part) -> str:
    return f"batch-{part.token}"
