"""Budgets together: which of them a call is charged to, and how they stand.

What a call may cost is reserved before anybody is asked, so that all calls under way together cannot pass a limit. A
budget that cannot be checked stops the call.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from tuppence.effects import BudgetStore, Charge, Refused
from tuppence.errors import ConfigError
from tuppence.prices import PicoUSD, usd
from tuppence.request import Tags
from tuppence.spend.budgets.budget import Budget, Per
from tuppence.spend.budgets.counters import Count, Counters, Swept
from tuppence.spend.budgets.leases import Leased
from tuppence.spend.budgets.opening import open_counters
from tuppence.spend.budgets.periods import Period, period, zone_of
from tuppence.spend.budgets.rebuilding import rebuild

Unpriced = Literal["refuse", "allow"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One counter of a budget, in dollars."""

    budget: str
    counter: str
    """Budget, tag values and period, as the store knows it."""
    spent_usd: Decimal
    held_usd: Decimal
    """What calls under way may yet cost."""
    limit_usd: Decimal | None
    """None where no call was ever limited by it."""
    left_usd: Decimal | None
    until: float
    """Unix seconds: the end of the period."""
    soft: bool


class Budgets:
    """What calls may cost: `Budgets(Budget(usd="50", per="month", each="user"), store="redis://host/0")`.

    `store` is where counters are kept: None for this process's memory, a file name for the programs of one machine, an
    address of a Redis for many machines, or an object. Days and months are those of `timezone`. `unpriced` says what
    becomes of models without a price: refused, or let through uncounted. A reservation whose call never ends it,
    because its process was killed, is released after `lease_s`. Raises `ConfigError`.
    """

    def __init__(
        self, *budgets: Budget, store: Counters | str | Path | None = None, timezone: str = "UTC",
        unpriced: Unpriced = "refuse", lease_s: float = 900,
    ) -> None:  # fmt: skip
        _check(budgets, unpriced, lease_s)
        self.budgets = budgets
        self.unpriced: Unpriced = unpriced
        self.timezone = timezone
        self._zone = zone_of(timezone)
        self._soft = {one.name for one in budgets if one.soft}
        self._per_call = [one for one in budgets if one.per == "call"]
        self._counted = [one for one in budgets if one.per != "call"]
        self._periods: dict[Per, Period] = {}
        self._leased = Leased(open_counters(store), lease_s)

    def __reduce__(self) -> tuple[Callable[..., Budgets], tuple[Any, ...]]:
        """Travel with the address of the counters, which are the same wherever this is opened."""
        return _opened, (self.budgets, self.counters, self.timezone, self.unpriced, self._leased.lease_s)

    def __deepcopy__(self, memo: dict[int, Any]) -> Budgets:
        # A copy with counters of its own would be a second budget.
        return self

    @property
    def store(self) -> BudgetStore:
        """What a call reserves in."""
        return self._leased

    @property
    def counters(self) -> Counters:
        """Where the counters are kept."""
        return self._leased.counters

    def charges(self, tags: Tags, at: float) -> tuple[Charge, ...]:
        """List the counters of a call that began at `at` (Unix seconds).

        Raises `BudgetError` for a call without the tag that a budget goes by.
        """
        return tuple(self.charge(one, tags, at) for one in self._counted if one.applies(tags))

    def charge(self, budget: Budget, tags: Tags, at: float) -> Charge:
        """Name the counter of one budget that a call is charged to."""
        now = self.period(budget.per, at)
        parts = (budget.name, *budget.of(tags), now.label)
        return Charge("/".join(_spelt(part) for part in parts if part), budget.name, budget.limit, now.until)

    def call_limit(self, tags: Tags) -> tuple[PicoUSD | None, PicoUSD | None]:
        """Return the most that one call with these tags may cost: hard, and soft."""
        here = [one for one in self._per_call if one.applies(tags)]
        hard = min((one.limit for one in here if not one.soft), default=None)
        return hard, min((one.limit for one in here if one.soft), default=None)

    def counting(self, charges: Iterable[Charge]) -> tuple[Charge, ...]:
        """Return the same charges with the limits of soft budgets lifted: they only count from here on."""
        return tuple(replace(one, limit=None) if one.budget in self._soft else one for one in charges)

    def is_soft(self, refused: Refused) -> bool:
        """Say whether it was a soft budget that had no room."""
        return refused.charge.budget in self._soft

    def standing(self, at: float | None = None) -> list[Standing]:
        """Read how the counters of these budgets stand, periods that are over left out.

        Raises `BudgetError` where they cannot be read.
        """
        now = time.time() if at is None else at
        names = {one.name for one in self._counted}
        return [self._standing(one) for one in self.counters.counts() if one.budget in names and one.until > now]

    def sweep(self, at: float | None = None) -> Swept:
        """Release the reservations that are older than the lease; calls do that by themselves now and then."""
        return self._leased.sweep(time.time() if at is None else at)

    def rebuild(self, ledger: str | Path, at: float | None = None) -> list[Standing]:
        """Set the counters of current periods to what the ledger says was spent in them, and return how they stand.

        For a budget that begins in the middle of a month, and a store that lost its counters. Calls may go on: what
        they hold stays held, and none is missed; one that ends in that very moment may be counted twice. What has no
        known price counts nothing. Raises `LedgerError` or `BudgetError` where either cannot be read, and has then
        changed nothing.
        """
        now = time.time() if at is None else at
        rebuild(self, self.counters, ledger, now)
        return self.standing(now)

    def close(self) -> None:
        """Carry out what releases still wait, and let go of files and connections."""
        self.counters.close()

    def period(self, per: Per, at: float) -> Period:
        """Return the day, month or session that a moment lies in."""
        known = self._periods.get(per)
        if known is None or not known.start <= at < known.until or per == "session":
            known = self._periods[per] = period(per, at, self._zone)
        return known

    def _standing(self, count: Count) -> Standing:
        left = None if count.limit is None else usd(max(0, count.limit - count.spent - count.held))
        limit = None if count.limit is None else usd(count.limit)
        return Standing(
            count.budget, count.counter, usd(count.spent), usd(count.held), limit, left, count.until,
            count.budget in self._soft,
        )  # fmt: skip


def _opened(
    budgets: tuple[Budget, ...], counters: Counters, timezone: str, unpriced: Unpriced, lease_s: float
) -> Budgets:
    return Budgets(*budgets, store=counters, timezone=timezone, unpriced=unpriced, lease_s=lease_s)


def _check(budgets: tuple[Budget, ...], unpriced: str, lease_s: float) -> None:
    if not budgets:
        raise ConfigError("Budgets() limits nothing: give it a budget, such as Budget(usd='50', per='month')")
    for one in budgets:
        if not isinstance(one, Budget):
            raise ConfigError(f"a budget is {one!r}: make it by Budget(usd='50', per='month')")
    twice = [name for name, times in Counter(one.name for one in budgets).items() if times > 1]
    if twice:
        raise ConfigError(f"two budgets are called {twice[0]!r}: they would share a counter, so give each a `name`")
    if unpriced not in ("refuse", "allow"):
        raise ConfigError(f"unpriced is {unpriced!r}: give 'refuse' or 'allow'")
    if not _is_time(lease_s):
        raise ConfigError(f"lease_s is {lease_s!r}: give seconds above 0, longer than your longest call, such as 900")


def _is_time(given: object) -> bool:
    return isinstance(given, int | float) and 0 < given < math.inf


_LONGEST = 96
"""Characters of a key's part; what is longer ends in a digest."""


@lru_cache(maxsize=4096)
def _spelt(part: str) -> str:
    """Spell a name or tag value so that no two are alike, none holds a `/`, and most can be read."""
    spelt = quote(part.encode("utf-8", "surrogatepass"), safe=" @:+=,.;()!*'$~")
    if len(spelt) <= _LONGEST:
        return spelt
    return f"{spelt[:_LONGEST]}#{hashlib.blake2b(spelt.encode(), digest_size=10).hexdigest()}"
