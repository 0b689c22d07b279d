"""Settling a part: every line of it is one call in the ledger, its answer goes into the cache, its budgets are charged.

All of it may be done again after a kill. The rows are the same rows, and a ledger keeps a row once.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuppence.attempts import Attempt, Decision, Result
from tuppence.batch.keeping import Keeper
from tuppence.batch.parts import Part, Parts
from tuppence.batch.room import Room
from tuppence.batch.store import BatchStore
from tuppence.batch.written import read
from tuppence.prices import PicoUSD
from tuppence.request import Tags
from tuppence.spend import Ledger
from tuppence.usage import Usage

log = logging.getLogger("tuppence.batch")

_PAGE = 500
_FLUSH_S = 60.0
"""Longest wait for the ledger; what it does not take in by then is settled at the next step."""
MODE = "batch"
"""What the ledger calls the way in which these calls came about."""


def call_id(job_id: str, line: int) -> str:
    """Name a line's logical call, the same whoever settles it."""
    return f"batch-{job_id}-{line}"


@dataclass(slots=True)
class _Sums:
    answered: int = 0
    failed: int = 0
    spent: PicoUSD = 0


@dataclass(frozen=True, slots=True)
class _Ended:
    """A request that has its outcome, with its lines and tries."""

    r: int
    state: str
    url: str
    lines: list[int]
    attempts: list[Attempt]


class Settlement:
    """Where the outcomes of parts are accounted."""

    def __init__(
        self, store: BatchStore, parts: Parts, room: Room, *, provider: str, ledger: Ledger | None,
        keeper: Keeper | None,
    ) -> None:  # fmt: skip
        self._store = store
        self._parts = parts
        self._room = room
        self._provider = provider
        self._ledger = ledger
        self._keeper = keeper

    def settle(self, part: Part, job_id: str, tags: Tags) -> Part:
        """Account for a part that was fetched; raises `LedgerError` or `BudgetError` where that must be tried again."""
        sums = _Sums()
        for page in self._pages(part):
            for ended in page:
                self._count(ended, sums)
                self._write(ended, job_id, tags)
            if self._ledger is not None:
                # Page by page: a ledger that cannot keep up must not have the whole batch in memory.
                self._ledger.flush(_FLUSH_S)
            if self._keeper is not None:
                self._keep(part, page, job_id, tags, self._keeper)
        self._room.close(part, tags, sums.spent)
        return self._parts.move(
            part, "settled", answered=sums.answered, failed=sums.failed, spent=str(sums.spent)
        )  # fmt: skip

    def _count(self, ended: _Ended, sums: _Sums) -> None:
        sums.answered += ended.state == "answered"
        sums.failed += ended.state == "failed"
        sums.spent += sum(one.pico_usd or 0 for one in ended.attempts)

    def _write(self, ended: _Ended, job_id: str, tags: Tags) -> None:
        if self._ledger is None or not ended.attempts:
            return
        first, *others = ended.lines
        decision = Decision(MODE, route=f"batch lane of {self._provider}", baseline=ended.attempts[-1].tier)
        self._ledger.write(Result(call_id(job_id, first), None, ended.attempts, decision, tags))
        if ended.state == "answered":
            for line in others:
                shared = Decision(MODE, cache="an equal line of the job", baseline=decision.baseline)
                self._ledger.write(Result(call_id(job_id, line), None, [_shared(ended.attempts[-1])], shared, tags))

    def _keep(self, part: Part, page: list[_Ended], job_id: str, tags: Tags, keeper: Keeper) -> None:
        """Put answers into the cache; one that breaks is said once a page, and costs nobody anything."""
        for ended in page:
            if ended.state != "answered":
                continue
            asked, answer = self._texts(part.job, ended.r)
            cost, origin = ended.attempts[-1].pico_usd or 0, call_id(job_id, ended.lines[0])
            try:
                keeper.keep(ended.url, asked, answer, origin=origin, pico_usd=cost, tags=tags)
            except Exception as error:  # noqa: BLE001 - a cache is an optimisation: whatever it raises, the job goes on
                log.warning("answers of batch %s are not kept in the cache: %r", part.batch_id, error)
                return

    def _texts(self, job: int, r: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        with self._store.reading() as rows:
            asked, answer = rows.execute(
                "SELECT b.body, a.body FROM bodies b JOIN answers a ON a.job = b.job AND a.r = b.r "
                "WHERE b.job = ? AND b.r = ?",
                (job, r),
            ).fetchone()
        return json.loads(asked), json.loads(answer)

    def _pages(self, part: Part) -> Iterator[list[_Ended]]:
        """Yield the part's requests that have their outcome, in order; those to be sent again are another part's."""
        last = -1
        while True:
            with self._store.reading() as rows:
                found = rows.execute(
                    "SELECT r, state, url FROM requests WHERE job = ? AND part = ? AND r > ? "
                    "AND state IN ('answered', 'failed') ORDER BY r LIMIT ?",
                    (part.job, part.number, last, _PAGE),
                ).fetchall()
                page = [_ended(rows, part.job, row) for row in found]
            if not page:
                return
            yield page
            last = page[-1].r


def _ended(rows: sqlite3.Connection, job: int, row: sqlite3.Row) -> _Ended:
    lines = rows.execute("SELECT n FROM lines WHERE job = ? AND r = ? ORDER BY n", (job, row["r"])).fetchall()
    tries = rows.execute("SELECT attempt FROM attempts WHERE job = ? AND r = ? ORDER BY n", (job, row["r"])).fetchall()
    return _Ended(row["r"], row["state"], row["url"], [n for (n,) in lines], [read(text) for (text,) in tries])


def _shared(paid: Attempt) -> Attempt:
    """Describe a line that an equal one answered: it cost nothing, and would have cost the same at once."""
    return Attempt(
        "cache", paid.model, "hit", "hit", Usage(), 0, "exact", "", paid.started_at, 0.0,
        baseline_pico=paid.baseline_pico,
    )  # fmt: skip
