"""What was saved: the named baseline's cost less everything that was really paid, drafts and judges included.

A saving must never be made of calls whose cost or baseline is unknown: those are left out, and counted. It
may be negative, and is then shown so.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuppence.attempts import Attempt
from tuppence.prices import PicoUSD

# A logical call has one baseline, that of its last answer: where a framework asked again, because it could
# not use an earlier answer, that one is overhead. (The baseline might have needed the retry too: this never
# flatters.)
COMPARED = """
    INSERT INTO compared (call_id, answer)
    SELECT calls.call_id, answer
    FROM (
        SELECT
            call_id,
            MAX(id) FILTER (WHERE outcome IN ('accepted', 'hit')) AS answer,
            COUNT(*) FILTER (WHERE pico_usd IS NULL) AS unpriced
        FROM attempts WHERE {condition} GROUP BY call_id
    ) AS calls
    CROSS JOIN attempts ON attempts.id = answer
    WHERE unpriced = 0 AND baseline_pico IS NOT NULL
"""
"""SQL that puts the calls that have a saving into the table `compared`, each with the row that answered. The join is
CROSS to hold SQLite to this order: it knows no sizes here, and the other order is quadratic."""

COMPARED_TABLE = "CREATE TEMP TABLE compared (call_id TEXT PRIMARY KEY, answer INTEGER NOT NULL) WITHOUT ROWID"


def saved_pico(attempts: Sequence[Attempt]) -> PicoUSD | None:
    """Return what one logical call saved against its baseline, below 0 where it cost more; None where nobody
    knows.
    """
    answers = [a for a in attempts if a.outcome in ("accepted", "hit")]
    costs = [a.pico_usd for a in attempts if a.pico_usd is not None]
    if not answers or len(costs) < len(attempts):
        return None
    baseline = answers[-1].baseline_pico
    return None if baseline is None else baseline - sum(costs)
