"""Counters read anew from the ledger: for a budget that begins in the middle of a month, or a store that lost them.

What calls under way hold is not touched. The ledger is asked for calls that had ended when the counters were read, and
what the counters take in after that is added: no call is missed; one that is being closed at that moment, its answer
there and its cost not yet counted, is counted twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tuppence.effects import Charge
from tuppence.errors import BudgetError
from tuppence.prices import PicoUSD, usd
from tuppence.request import Tags
from tuppence.spend.budgets.budget import Budget, Per
from tuppence.spend.budgets.counters import Correction, Counters
from tuppence.spend.budgets.periods import DAY_S, Period

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from tuppence.spend.sums import Adding

log = logging.getLogger("tuppence.budgets")

WRITTEN_S = 1.0
"""How long the ledger may take to write a call that the counters know of: four of its windows."""


class Charging(Protocol):
    """What knows the counter of a call: `Budgets`."""

    @property
    def budgets(self) -> Sequence[Budget]: ...
    def charge(self, budget: Budget, tags: Tags, at: float, /) -> Charge: ...
    def period(self, per: Per, at: float, /) -> Period: ...


def rebuild(charging: Charging, counters: Counters, ledger: str | Path, at: float) -> None:
    """Set the counters of the periods around `at` to what the ledger says was spent in them.

    Raises `LedgerError` and `BudgetError` where either cannot be read, and has then changed nothing.
    """
    counters.flush()
    names = {one.name for one in charging.budgets if one.per != "call"}
    known = {one.counter: one for one in counters.counts() if one.budget in names and one.until > at}
    ended_by = max(at, time.time())
    if known:
        time.sleep(WRITTEN_S)
    found = spent(charging, ledger, at, ended_by)
    for one in known.values():
        found.setdefault(one.counter, (Charge(one.counter, one.budget, one.limit, one.until), 0))
    counters.correct([
        Correction(charge, pico, known[key].spent if key in known else 0) for key, (charge, pico) in found.items()
    ])  # fmt: skip


def spent(charging: Charging, ledger: str | Path, at: float, ended_by: float) -> dict[str, tuple[Charge, PicoUSD]]:
    """Return what calls that had ended by then cost, by counter, in the periods around `at`."""
    from tuppence.spend.ledger import reading

    sums: dict[str, tuple[Charge, PicoUSD]] = {}
    with reading(ledger) as connection:
        for budget in charging.budgets:
            if budget.per == "call":
                continue
            nobodys = 0
            for tags, pico in _by_tags(connection, budget, charging.period(budget.per, at), ended_by):
                if not budget.applies(tags):
                    continue
                try:
                    charge = charging.charge(budget, tags, at)
                except BudgetError:
                    nobodys += pico
                    continue
                sums[charge.counter] = (charge, sums.get(charge.counter, (charge, 0))[1] + pico)
            if nobodys:
                log.warning(
                    "calls that lack a tag of %s cost $%s, which no counter of budget %r takes in",
                    " and ".join(budget.split_by), f"{usd(nobodys):f}", budget.name,
                )  # fmt: skip
    return sums


def _by_tags(connection: Connection, budget: Budget, period: Period, ended_by: float) -> Iterator[tuple[Tags, PicoUSD]]:
    """Yield the sum of each combination of the tags that a budget goes by."""
    from tuppence.spend.ledger.rows import TAG_COLUMNS
    from tuppence.spend.ledger.tables import DAY_KEYS
    from tuppence.spend.sums import summed, total

    names = list(dict.fromkeys((*budget.split_by, *budget.where)))
    columns = [name for name in names if name in TAG_COLUMNS]
    others = len(columns) < len(names)
    for pico, *values in summed(connection, lambda adding: _of_rows(adding, columns, others, period, ended_by)):
        rest: Mapping[str, str] = (values.pop() if others else None) or {}
        yield {**rest, **_present(columns, values)}, total(pico)
    if not others and set(columns) <= set(DAY_KEYS):
        for pico, *values in summed(connection, lambda adding: _of_days(adding, columns, period)):
            yield _present(columns, values), total(pico)


def _of_rows(adding: Adding, columns: Sequence[str], others: bool, period: Period, ended_by: float) -> Select[Any]:
    from sqlalchemy import func, select

    from tuppence.spend.ledger.tables import attempts

    rows = attempts.c
    until = min(period.until, ended_by)
    # A call's rows are written together when it has ended; one that ended later is in its counter, or will be.
    late = select(rows.call_id).where(
        rows.started_us >= int((ended_by - DAY_S) * 1e6),
        rows.started_us + func.coalesce(rows.latency_ms, 0) * 1000 > ended_by * 1e6,
    )
    by = [rows[name] for name in columns] + ([rows.tags] if others else [])
    return (
        select(adding(rows.pico_usd), *by)
        .where(rows.started_us >= int(period.start * 1e6), rows.started_us < int(until * 1e6), rows.pico_usd > 0)
        .where(rows.call_id.not_in(late))
        .group_by(*by)
    )


def _of_days(adding: Adding, columns: Sequence[str], period: Period) -> Select[Any]:
    """Ask for days whose rows are gone; a day counts where it begins, in UTC."""
    from sqlalchemy import select

    from tuppence.spend.ledger.tables import days

    rows = days.c
    by = [rows[name] for name in columns]
    within = (rows.day_us >= int(period.start * 1e6), rows.day_us < int(period.until * 1e6))
    return select(adding(rows.pico_usd), *by).where(*within).group_by(*by)


def _present(columns: Sequence[str], values: Sequence[Any]) -> dict[str, str]:
    return {name: value for name, value in zip(columns, values, strict=True) if value is not None}
