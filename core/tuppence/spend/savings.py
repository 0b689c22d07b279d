"""What was saved: the named baseline's cost less everything that was really paid, drafts and judges included.

A saving must never be made of calls whose cost or baseline is unknown: those are left out, and counted. It
may be negative, and is then shown so.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuppence.attempts import Attempt
from tuppence.prices import PicoUSD


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
