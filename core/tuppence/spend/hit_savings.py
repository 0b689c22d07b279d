"""What the answer caches gave: how many calls they served, the money and the time that it saved, and why they did not.

Only calls that went through a policy count: neither those that were just watched nor cached embeddings. A figure that
nobody knows must never look like a zero.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tuppence.prices import PicoUSD, usd
from tuppence.spend.sums import exact_money, joined

KINDS = {"cache": "exact", "similar": "similar"}
"""Tier of the rows of hits, and what they are called."""
TOP_MISSES = 5


@dataclass(frozen=True, slots=True)
class HitLine:
    """Hits of one kind."""

    kind: str
    hits: int
    compared: int
    """Those of them that a saving is known for."""
    saved_pico: PicoUSD
    """Baseline of these answers less all that their calls cost, a verifier included."""
    median_ms: float
    """Middle time from the question to the answer."""
    total_ms: float

    @property
    def saved_usd(self) -> Decimal | None:
        return usd(self.saved_pico) if self.compared else None


@dataclass(frozen=True, slots=True)
class WrongHits:
    """What audits say of hits that would be served: handed to the report, for the ledger does not know it."""

    audits: int
    wrong: int
    interval: tuple[float, float]
    """95 % interval of the share of wrong ones."""

    @property
    def share(self) -> float | None:
        return self.wrong / self.audits if self.audits else None


@dataclass(frozen=True, slots=True)
class HitReport:
    """Hits beside the calls that models answered."""

    calls: int
    """Logical calls through a policy, hits included."""
    lines: tuple[HitLine, ...]
    asked_median_ms: float | None
    """Middle time that a call took which models answered, checks and retries included; None where there was none."""
    missed: tuple[tuple[str, int], ...]
    """Most frequent reasons why a cache did not serve, and the calls of each."""
    wrong: WrongHits | None = None

    def rate(self, line: HitLine) -> float:
        """Return the share of all calls that hits of this kind served."""
        return line.hits / self.calls if self.calls else 0.0

    def saved_s(self, line: HitLine) -> float | None:
        """Estimate the seconds saved: each hit against the middle time of calls that models answered."""
        if self.asked_median_ms is None:
            return None
        return (line.hits * self.asked_median_ms - line.total_ms) / 1000


def hit_report(
    connection: sqlite3.Connection, condition: str, values: Sequence[str | int], wrong: WrongHits | None
) -> HitReport | None:
    """Read what caches gave to the calls that meet `condition`; None where no cache was asked.

    Reads the table `compared` (see `savings`).
    """
    condition = f"{condition} AND policy_version <> ''"
    found = dict(connection.execute(_MISSED.format(condition=condition), values).fetchall())
    lines = tuple(_line(connection, tier, condition, values) for tier in KINDS)
    if not found and not any(line.hits for line in lines):
        return None
    (calls,) = connection.execute(f"SELECT COUNT(DISTINCT call_id) FROM attempts WHERE {condition}", values).fetchone()
    asked = _median(connection, _ASKED.format(condition=condition), values)
    return HitReport(calls, lines, asked, tuple(found.items())[:TOP_MISSES], wrong)


_MISSED = """
    SELECT json_extract(extra, '$.missed') AS why, COUNT(DISTINCT call_id)
    FROM attempts WHERE {condition} AND extra IS NOT NULL AND why IS NOT NULL
    GROUP BY why ORDER BY 2 DESC, 1
"""
_ASKED = """
    SELECT SUM(latency_ms) AS ms FROM attempts WHERE {condition} AND mode IS NOT 'judged' GROUP BY call_id
    HAVING SUM(outcome = 'accepted') > 0 AND SUM(outcome = 'hit') = 0
"""
_SERVED = "SELECT latency_ms AS ms FROM attempts WHERE {condition} AND outcome = 'hit' AND tier = '{tier}'"


def _line(connection: sqlite3.Connection, tier: str, condition: str, values: Sequence[str | int]) -> HitLine:
    served = _SERVED.format(condition=condition, tier=tier)
    (hits, total_ms) = connection.execute(f"SELECT COUNT(*), TOTAL(ms) FROM ({served})", values).fetchone()
    compared, *parts = connection.execute(_saved(tier, condition), values).fetchone()
    return HitLine(
        KINDS[tier], hits, compared, joined(*parts[:3]) - joined(*parts[3:]),
        _median(connection, served, values) or 0.0, total_ms,
    )  # fmt: skip


def _saved(tier: str, condition: str) -> str:
    """Spell the baseline of the answers that hits of this kind gave, and what their calls cost."""
    return f"""
        SELECT
            COUNT(DISTINCT attempts.call_id),
            {exact_money("attempts.baseline_pico", "attempts.id = compared.answer")},
            {exact_money("attempts.pico_usd", "TRUE")}
        FROM attempts
        JOIN compared ON compared.call_id = attempts.call_id
        WHERE {condition} AND EXISTS (
            SELECT 1 FROM attempts AS answers
            WHERE answers.id = compared.answer AND answers.outcome = 'hit' AND answers.tier = '{tier}'
        )
    """


def _median(connection: sqlite3.Connection, rows: str, values: Sequence[str | int]) -> float | None:
    """Return the middle of the column `ms` of `rows`, or the mean of the two in the middle."""
    (count,) = connection.execute(f"SELECT COUNT(ms) FROM ({rows})", values).fetchone()
    if not count:
        return None
    middle = f"SELECT ms FROM ({rows}) WHERE ms IS NOT NULL ORDER BY ms LIMIT {2 - count % 2} OFFSET {(count - 1) // 2}"
    found = [ms for (ms,) in connection.execute(middle, values)]
    return float(sum(found) / len(found))
