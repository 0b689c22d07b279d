"""What the page should say, asked of the ledger anew: the driver's own SQL, nothing of the package."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

DAY_US = 86_400_000_000
_INPUT = "input + cache_read + cache_write_5m + cache_write_1h + audio_input + audio_cache_read + media_input"
_TIERS = f"""
    SELECT tier, SUM(outcome <> 'hit'), SUM(outcome = 'hit'), SUM(outcome = 'failed'),
        SUM(cause IN ('retry', 'validation_retry')), SUM(COALESCE(pico_usd, 0)), SUM(pico_usd IS NULL),
        SUM(status = 'estimated'), SUM(CASE WHEN outcome <> 'hit' THEN {_INPUT} ELSE 0 END),
        SUM(CASE WHEN outcome <> 'hit' THEN cache_read + audio_cache_read ELSE 0 END),
        SUM(CASE WHEN outcome <> 'hit' THEN output + audio_output + media_output ELSE 0 END)
    FROM attempts GROUP BY tier
"""
_COMPARED = """
    SELECT COUNT(*), SUM(cost), SUM(baseline + prune + spared) FROM (
        SELECT SUM(pico_usd) AS cost,
            MAX(CASE WHEN outcome IN ('accepted', 'hit') THEN baseline_pico END) AS baseline,
            SUM(COALESCE(prune_pico, 0)) AS prune, SUM(COALESCE(output_pico, 0)) AS spared
        FROM attempts GROUP BY call_id HAVING COUNT(*) = COUNT(pico_usd) AND baseline IS NOT NULL
    )
"""
_DEAREST = "SELECT call_id, SUM(pico_usd) AS cost FROM attempts GROUP BY call_id ORDER BY cost DESC, call_id LIMIT 15"


def plain_figures(path: Path) -> dict[str, Any]:
    """Ask for every figure that the page shows of a ledger of whole days; amounts in pico-USD."""
    with closing(sqlite3.connect(path)) as connection:
        ask = connection.execute
        tiers = {tier: tuple(figures) for tier, *figures in ask(_TIERS)}
        first = ask(f"SELECT MIN(started_us) / {DAY_US} FROM attempts").fetchone()[0]
        return {
            "tiers": tiers,
            "calls": ask("SELECT COUNT(DISTINCT call_id) FROM attempts").fetchone()[0],
            "quantiles": {tier: tuple(_ranked(connection, tier)) for tier in tiers},
            "compared": ask(_COMPARED).fetchone(),
            "paid": ask("SELECT SUM(pico_usd) FROM attempts").fetchone()[0],
            "dearest": ask(_DEAREST).fetchall(),
            **{by: _by_day(connection, by, first) for by in ("tier", "user", "endpoint")},
        }


def shown_figures(facts: Any) -> dict[str, Any]:
    """Return the same of the page's facts, in the same form."""
    saved = facts.savings
    return {
        "tiers": {
            line.tier: (
                line.attempts, line.hits, line.failed, line.retries, line.pico_usd, line.unpriced, line.estimated,
                line.input_tokens, line.cached_tokens, line.output_tokens,
            )
            for line in facts.tiers
        },
        "calls": facts.calls,
        "quantiles": {line.tier: (line.p50_ms, line.p95_ms) for line in facts.tiers},
        "compared": (saved.compared, saved.compared_pico, saved.full_pico),
        "paid": facts.pico_usd,
        "dearest": [(call.call_id, call.pico_usd) for call in facts.dearest],
        **{split.by: _shown_by_day(split) for split in facts.splits},
    }  # fmt: skip


def _ranked(connection: sqlite3.Connection, tier: str) -> list[float]:
    live = "FROM attempts WHERE tier = ? AND processing IS NOT 'batch' AND latency_ms IS NOT NULL"
    (rows,) = connection.execute(f"SELECT COUNT(*) {live}", (tier,)).fetchone()
    query = f"SELECT latency_ms {live} ORDER BY latency_ms LIMIT 1 OFFSET ?"
    places = (math.ceil(share * rows) - 1 for share in (0.5, 0.95))
    return [connection.execute(query, (tier, place)).fetchone()[0] for place in places]


def _by_day(connection: sqlite3.Connection, by: str, first: int) -> Counter[tuple[int, Any]]:
    """Add up by day and label; beyond the eight dearest, where there are more than nine, under the label `rest`."""
    named = f'"{by}"'
    sums = connection.execute(f"SELECT {named}, SUM(pico_usd) AS cost FROM attempts GROUP BY 1 ORDER BY cost DESC, 1")
    dear = [label for label, _ in sums]
    told = dear if len(dear) <= 9 else dear[:8]
    found: Counter[tuple[int, Any]] = Counter()
    query = f"SELECT started_us / {DAY_US} - {first}, {named}, SUM(pico_usd) FROM attempts GROUP BY 1, 2"
    for day, label, pico in connection.execute(query):
        found[day, label if label in told else "rest"] += pico or 0
    return +found


def _shown_by_day(split: Any) -> Counter[tuple[int, Any]]:
    found: Counter[tuple[int, Any]] = Counter()
    labelled = [(share.label, share) for share in split.shares] + ([("rest", split.rest)] if split.rest else [])
    for label, share in labelled:
        for day, pico in enumerate(share.pico_usd):
            found[day, label] += pico
    return +found
