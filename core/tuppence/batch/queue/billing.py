"""Bills for answers that nobody came for: their callers were killed, or had gone on by another way.

A caller who is there settles its call itself, with everything that is known of it. Here is only what would otherwise
be missing from the ledger, once: a bill is the same row however often it is written.
"""

from __future__ import annotations

import time
from dataclasses import replace

from tuppence.assembly import databases
from tuppence.attempts import Attempt, CostStatus, Decision, Result
from tuppence.batch.lines import Answer
from tuppence.batch.queue.errands import Unbilled
from tuppence.batch.queue.queue import LaneQueue
from tuppence.batch.written import read, spelt
from tuppence.spend import Ledger
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts

_GRACE_S = 900.0
"""How long after its deadline a caller may still be about to settle: checks, judges and other tiers take minutes."""


def attempt_of(answer: Answer) -> str | None:
    """Spell what an answer used and cost; None where an equal request of its batch was billed for it."""
    if answer.usage is None:
        return None
    model = str((answer.body or {}).get("model") or "")
    status: CostStatus = "unpriced" if answer.pico_usd is None else "exact"
    return spelt(Attempt("", model, "draft", "abandoned", answer.usage, answer.pico_usd, status, "", 0.0, 0.0))


class Billing:
    """Brings into `ledger` what callers left unpaid in `queue`."""

    def __init__(self, queue: LaneQueue, ledger: Ledger, *, grace_s: float = _GRACE_S) -> None:
        self._queue = queue
        self._ledger = ledger
        self._grace_s = grace_s

    def bill(self) -> None:
        """Write down what is due. Killed at any point, the next time writes the same rows or none."""
        due = self._queue.unbilled(now=time.time(), grace_s=self._grace_s)
        if not due:
            return
        # A caller that was killed after its books were written did not come to say so.
        known = self._settled_already({one.errand.call_id for one in due if not one.left_behind})
        for one in due:
            if one.left_behind or one.errand.call_id not in known:
                self._ledger.write(_result(one))
        self._ledger.flush()
        self._queue.settled([one.id for one in due])

    def _settled_already(self, call_ids: set[str]) -> set[str]:
        found: set[str] = set()
        for database in databases(self._ledger) if call_ids else ():
            with reading(database.place) as rows:
                query = attempts.select().with_only_columns(attempts.c.call_id).distinct()
                found.update(rows.execute(query.where(attempts.c.call_id.in_(call_ids))).scalars())
        return found


def _result(one: Unbilled) -> Result:
    attempt = replace(
        read(one.attempt), tier=one.errand.tier, started_at=one.put_at, latency_ms=(one.done_at - one.put_at) * 1000
    )
    # A caller who went on by another way has settled the call: this is one more try of it.
    decision = Decision("optimise", again=one.left_behind, policy_version=one.errand.policy_version)
    return Result(one.errand.call_id, None, [attempt], decision, one.errand.tags)
