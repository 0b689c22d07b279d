"""How long answers were and how they ended, one line a call: what limits on the next answers are learned from.

Answers to callers only: hits and failures have no length of their own, a judge's grades are no answers. No text
is read, as the ledger holds none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tuppence.spend.ledger import reading


class PastOutput(NamedTuple):
    """One answer."""

    task: str
    """The call's `task` tag, its `endpoint` where there is none, or nothing."""
    model: str
    output_tokens: int
    """Hidden reasoning included."""
    reasoning_tokens: int
    finish: str | None
    """`length` for an answer that a limit cut off, `abandoned` for one whose caller left; None where nobody said."""


def past_outputs(place: str | Path, *, since: float = 0.0) -> Iterator[PastOutput]:
    """Read the answers of a ledger from a moment on (Unix seconds), oldest first.

    Raises `LedgerError` for a place that is not a ledger.
    """
    from sqlalchemy import case, func, select

    from tuppence.spend.ledger.tables import attempts

    c = attempts.c
    finish = case((c.outcome == "abandoned", "abandoned"), else_=c.extra["finish"].as_string())
    answers = (
        select(func.coalesce(c.task, c.endpoint, ""), c.model, c.output, c.reasoning, finish)
        .where(c.output > 0, c.outcome.in_(("accepted", "rejected", "abandoned", "observed")))
        .where(c.started_us >= int(since * 1e6))
        .order_by(c.started_us, c.id)
    )
    with reading(place) as connection:
        for row in connection.execution_options(yield_per=10_000).execute(answers):
            yield PastOutput(*row)
