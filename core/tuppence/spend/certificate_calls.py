"""What the ledger says of the calls under one certificate: how many, what they saved, who answered, with what scores.

Figures only: what was promised, and whether this keeps it, is not for the ledger to say.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tuppence.errors import LedgerError
from tuppence.prices import PicoUSD, usd
from tuppence.spend.ledger.schema import read_only
from tuppence.spend.savings import COMPARED, COMPARED_TABLE
from tuppence.spend.sums import exact_money, joined

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
    path: str | Path, certificate: str, *, made: datetime, since: datetime | None = None, until: datetime | None = None
) -> CertificateCalls:
    """Add up the calls under `certificate`, an id, that started in [since, until), and not before it was `made`.

    Times without a zone are UTC. Raises `LedgerError` for a file that is not a ledger.
    """
    begin = _microseconds(made)
    end = 2**63 - 1 if until is None else _microseconds(until)
    period = (begin if since is None else max(begin, _microseconds(since)), end)
    path = Path(path).absolute()
    try:
        with closing(read_only(path)) as connection:
            # One snapshot for all queries, though others go on writing.
            connection.execute("BEGIN")
            connection.execute(_TABLE)
            connection.execute(_UNDER, (begin, end, certificate))
            return CertificateCalls(
                *_counts(connection, period), *_money(connection, period), *_seen(connection, begin),
                _scores(connection),
            )  # fmt: skip
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} cannot be read ({error})") from error


def _microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


_TABLE = "CREATE TEMP TABLE under (call_id TEXT PRIMARY KEY, outside INTEGER, started_us INTEGER, hit INTEGER)"
# What is said of a call stands on its first row alone.
_UNDER = """
    INSERT INTO under
    SELECT call_id, MAX(COALESCE(json_extract(extra, '$.outside'), 0)), MIN(started_us), MAX(outcome = 'hit')
    FROM attempts
    WHERE started_us >= ? AND started_us < ? AND json_extract(extra, '$.certificate') = ?
    GROUP BY call_id
"""


def _counts(connection: sqlite3.Connection, period: tuple[int, int]) -> tuple[int, int, int, int]:
    (calls, outside, hits) = connection.execute(
        "SELECT COUNT(*), COALESCE(SUM(outside), 0), COALESCE(SUM(hit), 0) FROM under "
        "WHERE started_us >= ? AND started_us < ?", period,
    ).fetchone()  # fmt: skip
    (other,) = connection.execute(
        "SELECT COUNT(DISTINCT call_id) FROM attempts WHERE started_us >= ? AND started_us < ? "
        "AND call_id NOT IN (SELECT call_id FROM under)", period,
    ).fetchone()  # fmt: skip
    return calls, outside, hits, other


def _money(connection: sqlite3.Connection, period: tuple[int, int]) -> tuple[int, PicoUSD, PicoUSD, float]:
    """Return how many calls inside the certificate can be compared, their baseline, their cost, the saving's error."""
    inside = (
        "attempts.call_id IN "
        "(SELECT call_id FROM under WHERE NOT outside AND NOT hit AND started_us >= ? AND started_us < ?)"
    )
    connection.execute(COMPARED_TABLE)
    connection.execute(COMPARED.format(condition=inside), period)
    query = f"""
        SELECT COUNT(DISTINCT compared.call_id), {exact_money("baseline_pico", "attempts.id = compared.answer")},
            {exact_money("pico_usd", "TRUE")}
        FROM attempts JOIN compared ON compared.call_id = attempts.call_id
    """
    compared, *parts = connection.execute(query).fetchone()
    baseline, cost = joined(*parts[:3]), joined(*parts[3:])
    return compared, baseline, cost, _error(connection, cost / baseline) if baseline else 0.0


def _error(connection: sqlite3.Connection, share: float) -> float:
    """Return the standard error of the summed cost, given its share of the baseline (a ratio estimator's: W. Cochran,
    "Sampling Techniques", 3rd ed., 6.3).
    """
    query = """
        SELECT TOTAL(residual * residual) FROM (
            SELECT TOTAL(pico_usd) - ? * TOTAL(baseline_pico) FILTER (WHERE attempts.id = compared.answer) AS residual
            FROM attempts JOIN compared ON compared.call_id = attempts.call_id
            GROUP BY attempts.call_id
        )
    """
    (squares,) = connection.execute(query, (share,)).fetchone()
    return math.sqrt(squares)


def _seen(connection: sqlite3.Connection, begin: int) -> tuple[dict[Asked, int], frozenset[Asked]]:
    answered = "outcome IN ('accepted', 'rejected', 'consulted')"
    since = connection.execute(
        f"SELECT tier, model, COUNT(*) FROM attempts JOIN under USING (call_id) WHERE {answered} "
        "GROUP BY tier, model ORDER BY tier, model"
    )
    before = connection.execute(
        f"SELECT DISTINCT tier, model FROM attempts WHERE started_us < ? AND {answered}", (begin,)
    )
    return {(tier, model): count for tier, model, count in since}, frozenset(before)


def _scores(connection: sqlite3.Connection) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    rows = connection.execute(
        "SELECT tier, score FROM attempts JOIN under USING (call_id) WHERE score IS NOT NULL AND NOT outside "
        "ORDER BY attempts.started_us, attempts.id"
    )
    for tier, score in rows:
        found.setdefault(tier, []).append(score)
    return found
