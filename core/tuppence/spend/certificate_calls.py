"""What the ledger says of the calls under one certificate: how many, what they saved, who answered, with what scores.

Figures only: what was promised, and whether this keeps it, is not for the ledger to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy import CTE, BigInteger, ColumnElement, Connection, Float, FromClause, and_, case, cast, func, select

from tuppence.prices import PicoUSD, usd
from tuppence.spend.comparing import ANSWER, APART, looked_at
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.selection import Selection, microseconds
from tuppence.spend.sums import summed, total

# Half the width of a normal 95% interval.
_Z95 = 1.959964

Asked = tuple[str, str]
"""A tier's name, and the model that its provider says answered."""


@dataclass(frozen=True, slots=True)
class CertificateCalls:
    """Calls of one period, and what was seen since the certificate was made."""

    calls: int
    """Logical calls under the certificate, those outside it and those from a cache included."""
    outside: int
    """Those of them whose policy ran outside it."""
    hits: int
    """Those that a cache answered: no part of any figure below."""
    other: int
    """Logical calls under no certificate, or another."""
    compared: int
    """Calls inside the certificate that a saving is known for."""
    baseline_pico: PicoUSD
    """What the strongest tier alone would have cost for them."""
    pico_usd: PicoUSD
    """What they cost, drafts and helpers included."""
    error_pico: float
    """Standard error of the saving, as the share that it is of these calls' baseline varies from call to call."""
    asked: Mapping[Asked, int]
    """Answers by who gave them, in all calls under the certificate since it was made."""
    asked_before: frozenset[Asked]
    """Who gave answers before that, under any policy."""
    scores: Mapping[str, list[float]]
    """What the check gave each tier, oldest first, in all calls inside the certificate since it was made."""

    @property
    def saved_usd(self) -> Decimal | None:
        """Saving in dollars, below 0 where more was paid; None where no call could be compared."""
        return usd(self.baseline_pico - self.pico_usd) if self.compared else None

    @property
    def saved_share(self) -> float | None:
        """The saving as a part of the strongest tier's cost."""
        return (self.baseline_pico - self.pico_usd) / self.baseline_pico if self.baseline_pico else None

    @property
    def saved_between(self) -> tuple[float, float] | None:
        """A 95% interval of the share, for calls like these."""
        if self.saved_share is None:
            return None
        reach = _Z95 * self.error_pico / self.baseline_pico
        return self.saved_share - reach, self.saved_share + reach


def certificate_calls(
    place: str | Path, certificate: str, *, made: datetime, since: datetime | None = None, until: datetime | None = None
) -> CertificateCalls:
    """Add up the calls under `certificate`, an id, that started in [since, until), and not before it was `made`.

    Times without a zone are UTC. Raises `LedgerError` for a place that is not a ledger.
    """
    begin = microseconds(made)
    end = 2**63 - 1 if until is None else microseconds(until)
    period = (begin if since is None else max(begin, microseconds(since)), end)
    with reading(place) as connection:
        under = _under(begin, end, certificate)
        return CertificateCalls(
            *_counts(connection, under, period), *_money(connection, under, period), *_seen(connection, under, begin),
            _scores(connection, under),
        )  # fmt: skip


_C = attempts.c


def _under(begin: int, end: int, certificate: str) -> CTE:
    """Spell the calls under the certificate. What is said of a call stands on its first row alone."""
    outside = case((_C.extra["outside"].as_boolean(), 1), else_=0)
    return (
        select(
            _C.call_id, func.max(outside).label("outside"), func.min(_C.started_us).label("started_us"),
            func.max(case((_C.outcome == "hit", 1), else_=0)).label("hit"),
        )
        .where(_C.started_us >= begin, _C.started_us < end, _C.extra["certificate"].as_string() == certificate)
        .group_by(_C.call_id)
        .cte("under")
        .prefix_with("MATERIALIZED")
    )  # fmt: skip


def _within(rows: FromClause, period: tuple[int, int]) -> ColumnElement[bool]:
    return and_(rows.c.started_us >= period[0], rows.c.started_us < period[1])


def _counts(connection: Connection, under: CTE, period: tuple[int, int]) -> tuple[int, int, int, int]:
    sums = (func.coalesce(func.sum(column), 0) for column in (under.c.outside, under.c.hit))
    calls, outside, hits = connection.execute(select(func.count(), *sums).where(_within(under, period))).one()
    others = select(func.count(_C.call_id.distinct())).where(
        _within(attempts, period), _C.call_id.not_in(select(under.c.call_id))
    )
    return calls, int(outside), int(hits), connection.execute(others).scalar_one()


def _compared(under: CTE, period: tuple[int, int]) -> CTE:
    """Spell the rows of the calls inside the certificate that can be compared, summed up call by call."""
    calls = select(under.c.call_id).where(_within(under, period), under.c.outside == 0, under.c.hit == 0)
    rows = looked_at(Selection(), calls.cte("inside"))
    answered = func.sum(rows.c.baseline_pico).filter(rows.c.part == ANSWER)
    return (
        select(cast(answered, BigInteger).label("baseline"), cast(func.sum(rows.c.pico_usd), BigInteger).label("cost"))
        .where(rows.c.part != APART)
        .group_by(rows.c.call_id)
        .cte("compared")
    )


def _money(connection: Connection, under: CTE, period: tuple[int, int]) -> tuple[int, PicoUSD, PicoUSD, float]:
    """Return how many calls inside the certificate can be compared, their baseline, their cost, the saving's error."""
    calls = _compared(under, period)
    ((compared, *sums),) = summed(
        connection, lambda adding: select(func.count(), adding(calls.c.baseline), adding(calls.c.cost))
    )
    baseline, cost = map(total, sums)
    if not baseline:
        return compared, baseline, cost, 0.0
    # A ratio estimator's standard error: W. Cochran, "Sampling Techniques", 3rd ed., 6.3.
    residual = cast(calls.c.cost, Float) - cost / baseline * cast(calls.c.baseline, Float)
    squares = connection.execute(select(func.sum(residual * residual))).scalar_one()
    return compared, baseline, cost, math.sqrt(squares)


def _seen(connection: Connection, under: CTE, begin: int) -> tuple[dict[Asked, int], frozenset[Asked]]:
    answered = _C.outcome.in_(("accepted", "rejected", "consulted"))
    asked = (_C.tier, _C.model)
    since = (
        select(*asked, func.count()).where(_C.call_id == under.c.call_id, answered).group_by(*asked).order_by(*asked)
    )
    before = select(*asked).where(_C.started_us < begin, answered).distinct()
    return (
        {(tier, model): count for tier, model, count in connection.execute(since)},
        frozenset((tier, model) for tier, model in connection.execute(before)),
    )


def _scores(connection: Connection, under: CTE) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    rows = (
        select(_C.tier, _C.score)
        .where(_C.call_id == under.c.call_id, _C.score.is_not(None), under.c.outside == 0)
        .order_by(_C.started_us, _C.id)
    )
    for tier, score in connection.execute(rows):
        found.setdefault(tier, []).append(score)
    return found
