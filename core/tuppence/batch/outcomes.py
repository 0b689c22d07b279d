"""What providers say of lines becomes answers, errors, and lines to be sent again: each once, whatever is read twice.

A line is sent again where that may help, and only so often; what would fail the same way for ever is its answer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator

from tuppence.attempts import Cause
from tuppence.batch.parts import Part, Parts, Sent, body_of, pages, sent
from tuppence.batch.pricing import Pricing
from tuppence.batch.provider import CANCELLED, Outcome, Trouble
from tuppence.batch.store import BatchStore
from tuppence.batch.taking import Packing, plan_parts
from tuppence.batch.written import spelt

_PAGE = 500
"""Answers a transaction: what memory holds of a batch."""
_MISSING = Trouble("the provider gave no answer and no error for this line", permanent=False)


class ForeignBatch(Exception):
    """A batch that was taken for one of ours holds another's lines."""


class Outcomes:
    """Writes down what came of the lines of parts."""

    def __init__(self, store: BatchStore, parts: Parts, pricing: Pricing, *, tries: int) -> None:
        self._store = store
        self._parts = parts
        self._pricing = pricing
        self._tries = tries

    def take(self, part: Part, outcomes: Iterator[Outcome], *, cancelling: bool) -> None:
        """Store the outcomes of a part's lines, and of those that none is told of; raises `ForeignBatch`."""
        for page in pages(outcomes, _PAGE):
            known = [(part.request_of(one.custom_id), one) for one in page]
            if all(r is None for r, _ in known):
                raise ForeignBatch
            self._store_page(part, ((r, one) for r, one in known if r is not None), cancelling)
        self.rest(part, Trouble(CANCELLED, permanent=True) if cancelling else _MISSING, cancelling=cancelling)

    def refused(self, part: Part, troubles: Iterable[tuple[int, Trouble]], *, cancelling: bool) -> None:
        """Store that a batch was not taken: the lines at fault have their answer, the others are sent again."""
        whole = _MISSING
        for line, trouble in troubles:
            r = self._parts.at_line(part, line) if line else None
            if r is None:
                whole = trouble
            else:
                self._store_page(part, [(r, Outcome("", None, trouble))], cancelling)
        self.rest(part, whole, cancelling=cancelling)

    def rest(self, part: Part, trouble: Trouble, *, cancelling: bool) -> None:
        """Store one trouble for all lines of a part that nothing is known of."""
        for page in self._parts.still_sent(part):
            self._store_page(part, ((r, Outcome("", None, trouble)) for r in page), cancelling)

    def send_again(self, job: int, packing: Packing, *, next_at: float) -> None:
        """Put the lines that wait into new parts, all of them or none."""
        with self._store.writing() as rows:
            (first,) = rows.execute("SELECT max(part) + 1 FROM parts WHERE job = ?", (job,)).fetchone()
            packing.next_part = first
            waiting = "SELECT r, url, model, bytes, inputs FROM requests WHERE job = ? AND state = 'waiting' LIMIT 1000"
            while page := rows.execute(waiting, (job,)).fetchall():
                for r, url, model, size, inputs in page:
                    rows.execute(
                        "UPDATE requests SET part = ?, state = 'sent', tries = tries + 1 WHERE job = ? AND r = ?",
                        (packing.place(url, model, size, inputs), job, r),
                    )
            plan_parts(rows, job, packing, first)
            rows.execute("UPDATE parts SET next_at = ? WHERE job = ? AND part >= ?", (next_at, job, first))

    def _store_page(self, part: Part, found: Iterable[tuple[int, Outcome]], cancelling: bool) -> None:
        with self._store.writing() as rows:
            for r, outcome in found:
                request = sent(rows, part, r)
                if request is not None:
                    self._store_one(rows, part, r, request, outcome, cancelling)

    def _store_one(
        self, rows: sqlite3.Connection, part: Part, r: int, request: Sent, outcome: Outcome, cancelling: bool
    ) -> None:  # fmt: skip
        cause: Cause = "draft" if request.tries == 1 else "retry"
        ended_at = part.ended_at or part.intended_at
        if outcome.body is not None:
            attempt = self._pricing.answered(
                request.url, request.model, outcome.body, lambda: body_of(rows, part.job, r), cause=cause,
                started_at=part.created_at, ended_at=ended_at, gpu_ms=part.gpu_ms // part.lines,
            )  # fmt: skip
            state, body, error = "answered", json.dumps(outcome.body, ensure_ascii=False), None
        else:
            trouble = outcome.trouble or _MISSING
            attempt = self._pricing.failed(
                request.model, trouble.message, cause=cause, started_at=part.created_at, ended_at=ended_at
            )
            final = trouble.permanent or cancelling or request.tries >= self._tries
            state, body, error = ("failed" if final else "waiting"), None, trouble.message
        if part.created_at:
            # Otherwise nobody was asked: the job was cancelled before.
            rows.execute("INSERT INTO attempts VALUES (?, ?, ?, ?)", (part.job, r, request.tries, spelt(attempt)))
        if state != "waiting":
            rows.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (part.job, r, body, error))
        rows.execute("UPDATE requests SET state = ? WHERE job = ? AND r = ?", (state, part.job, r))
