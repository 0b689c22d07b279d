"""The steps of the SQLite counters: each is called inside a transaction that shuts all others out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from tuppence.effects import Charge, Granted, Refused, Release, Reserve
from tuppence.prices import PicoUSD
from tuppence.spend.budgets.closing import Cancel
from tuppence.spend.budgets.counters import FORGET_S, Correction, Count, Swept, as_pico, as_text

_READ = 'SELECT spent, held, "limit", until FROM counters WHERE counter = ?'
_WRITE = (
    "INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (counter) DO UPDATE SET spent = excluded.spent, "
    'held = excluded.held, "limit" = excluded."limit", until = excluded.until'
)
_HOLD = (
    "INSERT INTO holds VALUES (?, ?, ?, ?) ON CONFLICT (hold, counter) DO UPDATE SET amount = excluded.amount, "
    "at = max(at, excluded.at)"
)


def reserve(rows: sqlite3.Connection, reserve: Reserve, releases: Sequence[Release] = ()) -> Granted | Refused:
    """Hold room in all counters or in none, once these reservations are closed."""
    release(rows, releases)
    hold = dict(rows.execute("SELECT counter, amount FROM holds WHERE hold = ?", (reserve.hold,)).fetchall())
    changes = []
    for charge in reserve.charges:
        had = as_pico(hold.get(charge.counter, "0"))
        rise = max(0, reserve.pico_usd - had)
        spent, held, limit, until = _read(rows, charge)
        if charge.limit is not None and rise and spent + held + rise > charge.limit:
            return Refused(charge, spent, held)
        changes.append((charge, spent, held + rise, limit, until, had + rise))
    for charge, spent, held, limit, until, amount in changes:
        _write(rows, charge, spent, held, limit, until)
        rows.execute(_HOLD, (reserve.hold, charge.counter, as_text(amount), reserve.at))
    if not hold:
        rows.execute("DELETE FROM swept WHERE hold = ?", (reserve.hold,))
    return Granted()


def release(rows: sqlite3.Connection, releases: Iterable[Release]) -> None:
    """Close reservations: each once, those that were swept too."""
    for one in releases:
        if isinstance(one, Cancel):
            _sweep_one(rows, one.hold)
        elif _gave_back(rows, one.hold) or _was_swept(rows, one.hold):
            for charge in one.charges if one.pico_usd else ():
                known = rows.execute("SELECT spent FROM counters WHERE counter = ?", (charge.counter,)).fetchone()
                if known is not None:
                    spent = as_text(as_pico(known[0]) + one.pico_usd)
                    rows.execute("UPDATE counters SET spent = ? WHERE counter = ?", (spent, charge.counter))


def sweep(rows: sqlite3.Connection, before: float, at: float) -> Swept:
    """Release the reservations made up to `before`, and forget what is long over."""
    old = [hold for (hold,) in rows.execute("SELECT hold FROM holds GROUP BY hold HAVING max(at) <= ?", (before,))]
    total = sum(_sweep_one(rows, hold) for hold in old)
    rows.execute(
        "DELETE FROM counters WHERE until <= ? AND counter NOT IN (SELECT counter FROM holds)", (at - FORGET_S,)
    )
    rows.execute("DELETE FROM swept WHERE until <= ?", (at - FORGET_S,))
    return Swept(len(old), total)


def counts(rows: sqlite3.Connection) -> list[Count]:
    """Read all counters."""
    found = rows.execute('SELECT counter, budget, spent, held, "limit", until FROM counters ORDER BY counter')
    return [
        Count(counter, budget, as_pico(spent), as_pico(held), None if limit is None else as_pico(limit), until)
        for counter, budget, spent, held, limit, until in found
    ]


def correct(rows: sqlite3.Connection, corrections: Sequence[Correction]) -> None:
    """Set what was spent."""
    for one in corrections:
        spent, held, limit, until = _read(rows, one.charge)
        _write(rows, one.charge, one.of(spent), held, limit, until)


def _read(rows: sqlite3.Connection, charge: Charge) -> tuple[PicoUSD, PicoUSD, str | None, float]:
    found = rows.execute(_READ, (charge.counter,)).fetchone()
    if found is None:
        return 0, 0, None, charge.until
    spent, held, limit, until = found
    return as_pico(spent), as_pico(held), limit, until


def _write(
    rows: sqlite3.Connection, charge: Charge, spent: PicoUSD, held: PicoUSD, limit: str | None, until: float
) -> None:
    limited = limit if charge.limit is None else as_text(charge.limit)
    values = (charge.counter, charge.budget, as_text(spent), as_text(held), limited, max(until, charge.until))
    rows.execute(_WRITE, values)


def _gave_back(rows: sqlite3.Connection, hold: str) -> bool:
    """Give back what a reservation holds; say whether there was one."""
    return bool(_let_go(rows, hold))


def _was_swept(rows: sqlite3.Connection, hold: str) -> bool:
    return rows.execute("DELETE FROM swept WHERE hold = ?", (hold,)).rowcount > 0


def _sweep_one(rows: sqlite3.Connection, hold: str) -> PicoUSD:
    """Give back what a reservation holds, and remember that nobody closed it; return how much it was."""
    amounts = _let_go(rows, hold)
    if not amounts:
        return 0
    marks = ",".join("?" * len(amounts))
    (until,) = rows.execute(f"SELECT max(until) FROM counters WHERE counter IN ({marks})", list(amounts)).fetchone()
    rows.execute("INSERT OR REPLACE INTO swept VALUES (?, ?)", (hold, until))
    return max(amounts.values())


def _let_go(rows: sqlite3.Connection, hold: str) -> dict[str, PicoUSD]:
    found = rows.execute("SELECT counter, amount FROM holds WHERE hold = ?", (hold,)).fetchall()
    amounts = {counter: as_pico(amount) for counter, amount in found}
    for counter, amount in amounts.items():
        (held,) = rows.execute("SELECT held FROM counters WHERE counter = ?", (counter,)).fetchone()
        rows.execute("UPDATE counters SET held = ? WHERE counter = ?", (as_text(as_pico(held) - amount), counter))
    rows.execute("DELETE FROM holds WHERE hold = ?", (hold,))
    return amounts
