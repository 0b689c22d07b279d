"""What needs single rows: latencies by tier, and the dearest calls."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Float, cast, func, select

from tuppence.spend.ledger.rows import TAG_COLUMNS
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.page.sections import DearCall
from tuppence.spend.ranks import Rank, ranked
from tuppence.spend.selection import Selection
from tuppence.spend.sums import tokens_in, tokens_out

_C = attempts.c
_QUANTILES = (Rank(0.5), Rank(0.95))


def latencies(connection: Connection, selection: Selection) -> dict[str, tuple[float, float]]:
    """Return the median and the 95th percentile of each tier's latencies in ms, by the nearest rank.

    Calls that waited in a batch are left out: nobody waited for them.
    """
    known = selection.met_by(attempts) & _C.latency_ms.is_not(None) & _C.processing.is_distinct_from("batch")
    rows = select(_C.tier.label("of"), _C.latency_ms.label("ms")).where(known)
    return {tier: (p50, p95) for tier, (p50, p95) in ranked(connection, rows, _QUANTILES).items()}


def dearest(connection: Connection, selection: Selection, *, top: int) -> tuple[DearCall, ...]:
    """Return the calls that cost most, all their attempts together."""
    # Float, for an order only: a sum of int64 may overflow.
    cost = func.sum(cast(_C.pico_usd, Float))
    ids = (
        select(_C.call_id).where(selection.met_by(attempts) & (_C.pico_usd > 0))
        .group_by(_C.call_id).order_by(cost.desc(), _C.call_id).limit(top)
    )  # fmt: skip
    found = {call_id: list[DearCall]() for (call_id,) in connection.execute(ids)}
    rows = (
        select(
            _C.call_id, _C.started_us, _C.tier, _C.pico_usd, tokens_in(attempts), tokens_out(attempts),
            *(_C[tag] for tag in TAG_COLUMNS),
        )
        .where(selection.met_by(attempts) & _C.call_id.in_(found)).order_by(_C.started_us, _C.n)
    )  # fmt: skip
    for call_id, at, tier, pico, tokens, written, *tags in connection.execute(rows):
        named = tuple((name, tag) for name, tag in zip(TAG_COLUMNS, tags, strict=True) if tag is not None)
        row = DearCall(call_id, at, (tier,), 1, pico or 0, int(pico is None), tokens, written, named)
        found[call_id].append(row)
    calls = (_together(rows) for rows in found.values())
    return tuple(sorted(calls, key=lambda call: (-call.pico_usd, call.call_id)))


def _together(rows: Sequence[DearCall]) -> DearCall:
    return DearCall(
        rows[0].call_id, rows[0].started_us, tuple(row.tiers[0] for row in rows), len(rows),
        sum(row.pico_usd for row in rows), sum(row.unpriced for row in rows),
        sum(row.input_tokens for row in rows), sum(row.output_tokens for row in rows), rows[0].tags,
    )  # fmt: skip
