"""Where the saving comes from: from what everything would have cost, step by step, down to what was paid.

The steps add up to the pico-dollar. Measures overlap, so each step is taken at the prices that those before it left;
the order is fixed (`docs/accounting.md`). A step that cost money is shown with what it cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, case, func, select

from tuppence.prices import PicoUSD, usd
from tuppence.spend.comparing import ANSWER, APART, OVERHEAD, Part, doubtful, looked_at, own, plain_part
from tuppence.spend.hours import summed_up
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import LEVER_COLUMNS, days
from tuppence.spend.selection import Selection
from tuppence.spend.sums import Adding, summed, total

STEPS = ("cache", "prune", "route", "output", "batch", "self_host")
ESTIMATED = frozenset({"prune", "output"})
"""Nobody knows what a model would have made of the longer prompt, or would have written without a limit."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one measure took off the cost; below 0 where it added to it."""

    name: str
    pico_usd: PicoUSD
    estimated: bool

    @property
    def saved_usd(self) -> Decimal:
        return usd(self.pico_usd)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """full_baseline - steps + overhead + not_compared = paid."""

    full_baseline: PicoUSD
    """What the compared calls would have cost, each answered at once by the strongest tier, as it was asked."""
    steps: tuple[Step, ...]
    """In the order in which they are taken away; all of `STEPS`, those of 0 too."""
    overhead: Mapping[str, PicoUSD]
    """What was paid for other attempts than those that answered, by their cause, the dearest first."""
    not_compared: PicoUSD
    """What was paid for calls that cannot be compared: not answered, of unknown price, or only watched."""
    paid: PicoUSD
    """What all priced attempts cost."""
    calls: int
    """Logical calls."""
    compared: int
    """Those of them that were compared."""
    unpriced: int
    """Attempts of unknown price: they are missing from what was paid."""
    baselines: tuple[str, ...] = ()
    """Names of the tiers that this is measured against, as the calls' policies say."""

    @property
    def saved(self) -> PicoUSD:
        """All steps less the overhead, below 0 where more was paid than the baseline would have cost."""
        return sum(step.pico_usd for step in self.steps) - sum(self.overhead.values())

    @property
    def saved_usd(self) -> Decimal | None:
        """The same in dollars; None where no call could be compared."""
        return usd(self.saved) if self.compared else None

    @property
    def saved_share(self) -> float | None:
        """The saving as a part of the full baseline; None where there is none."""
        return self.saved / self.full_baseline if self.full_baseline else None


def waterfall(
    place: str | Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    where: Mapping[str, str] | None = None,
) -> Waterfall:
    """Add up the attempts of a ledger that started in [since, until) and carry all the tags of `where`.

    Raises `LedgerError` where the ledger cannot be read.
    """
    with reading(place) as connection:
        return waterfall_of(connection, Selection(since, until, where or {}))


def waterfall_of(connection: Connection, selection: Selection) -> Waterfall:
    """Do the same in a snapshot that is open already."""
    books = _Books()
    for cause, outcome, baseline, *figures in summed_up(connection, selection, _everything):
        books.named(baseline)
        books.add(cause, outcome, plain_part(cause, outcome), *map(total, figures))
    doubted = looked_at(selection, doubtful(connection, selection))
    for cause, outcome, part, *figures in summed(connection, lambda adding: _looked_at(doubted, adding)):
        found = [total(figure) for figure in figures]
        books.add(cause, outcome, plain_part(cause, outcome), *(-figure for figure in found))
        books.add(cause, outcome, part, *found)
    if selection.in_days():
        for cause, outcome, baseline, *figures in summed(connection, lambda adding: _rolled_up(selection, adding)):
            books.named(baseline)
            books.add_days(cause, outcome, *map(total, figures))
    return books.closed()


def _everything(rows: FromClause, adding: Adding) -> Select[Any]:
    c = rows.c
    kind = (c.cause, c.outcome, c.baseline)
    begun = adding(c.attempts, and_(c.first == 1, c.again == 0))
    return select(*kind, adding(c.attempts), begun, *_figures(rows, c.unpriced, adding)).group_by(*kind)


def _looked_at(rows: FromClause, adding: Adding) -> Select[Any]:
    kind = (rows.c.cause, rows.c.outcome, rows.c.part)
    unpriced = case((rows.c.pico_usd.is_(None), 1), else_=0)
    begun = func.count().filter(own(rows))
    return select(*kind, func.count(), begun, *_figures(rows, unpriced, adding)).group_by(*kind)


def _figures(rows: FromClause, unpriced: ColumnElement[int], adding: Adding) -> list[Any]:
    return [adding(unpriced), *(adding(rows.c[name]) for name in ("pico_usd", "baseline_pico", *LEVER_COLUMNS))]


def _rolled_up(selection: Selection, adding: Adding) -> Select[Any]:
    c = days.c
    kind = (c.cause, c.outcome, c.baseline)
    sums = ("calls", "attempts", "unpriced", "pico_usd", "compared", "compared_pico", "answer_pico", "baseline_pico")
    figures = [adding(c[name]) for name in (*sums, *LEVER_COLUMNS)]
    return select(*kind, *figures).where(selection.met_by_day()).group_by(*kind)


class _Books:
    """The sums of a waterfall while rows are added to them."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._sums: Counter[str] = Counter()
        self._overhead: Counter[str] = Counter()

    def named(self, baseline: str | None) -> None:
        if baseline:
            self._names.add(baseline)

    def add(
        self, cause: str, outcome: str, part: Part, rows: int, calls: int, unpriced: int, pico: PicoUSD,
        baseline: PicoUSD = 0, prune: PicoUSD = 0, output: PicoUSD = 0, batch: PicoUSD = 0, self_host: PicoUSD = 0,
    ) -> None:  # fmt: skip
        """Add rows of one kind to where they belong; negative sums take rows away."""
        self._sums.update(calls=calls, unpriced=unpriced, paid=pico)
        if part == APART:
            self._sums["not_compared"] += pico
        elif part == OVERHEAD:
            self._overhead[cause] += pico
        else:
            self._sums.update(compared=rows, prune=prune, output=output, full_baseline=baseline + prune + output)
            if outcome == "hit":
                # Whatever serving it cost is no part of the answer's price.
                self._sums["cache"] += baseline
                self._overhead[cause] += pico
            else:
                self._sums.update(batch=batch, self_host=self_host, route=baseline - pico - batch - self_host)

    def add_days(
        self, cause: str, outcome: str, calls: int, rows: int, unpriced: int, pico: PicoUSD, compared: int,
        compared_pico: PicoUSD, answers: PicoUSD, *levers: PicoUSD,
    ) -> None:  # fmt: skip
        """Add rolled-up rows: their answers, what else belongs to compared calls, and the rest."""
        self.add(cause, outcome, ANSWER, compared, 0, 0, answers, *levers)
        self.add(cause, outcome, OVERHEAD, 0, 0, 0, compared_pico - answers)
        self.add(cause, outcome, APART, rows - compared, calls, unpriced, pico - compared_pico)

    def closed(self) -> Waterfall:
        sums = self._sums
        steps = tuple(Step(name, sums[name], name in ESTIMATED) for name in STEPS)
        overhead = {cause: pico for cause, pico in self._overhead.most_common() if pico}
        return Waterfall(
            sums["full_baseline"], steps, overhead, sums["not_compared"], sums["paid"], sums["calls"],
            sums["compared"], sums["unpriced"], tuple(sorted(self._names)),
        )  # fmt: skip
