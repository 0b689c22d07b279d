"""Batch jobs as a program uses them: submit, advance or wait, read the answers in the order of the lines.

All that is known stands in the store, so any process with that file can go on with any job of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tuppence.batch.advancing import Steps, job_row
from tuppence.batch.keeping import Keeper
from tuppence.batch.lines import Answer, BatchError, Job, JobStatus, Line
from tuppence.batch.outcomes import Outcomes
from tuppence.batch.pace import Pace
from tuppence.batch.parts import Parts
from tuppence.batch.pricing import Pricing
from tuppence.batch.provider import BatchProvider
from tuppence.batch.reading import answers, found, statuses
from tuppence.batch.room import Room
from tuppence.batch.settling import Settlement
from tuppence.batch.store import BatchStore
from tuppence.batch.taking import Intake
from tuppence.context import checked_tags, current_tags
from tuppence.errors import ConfigError
from tuppence.prices import PriceBook
from tuppence.spend import Ledger

if TYPE_CHECKING:
    from tuppence.spend.budgets import Budgets

GRACE_S = 30.0
"""How long something may be under way to a provider after its sender was killed; batches wait for longer things."""


class BatchJobs:
    """The jobs of one store at one provider.

    `ledger`, `budgets` and `cache` (such as `ClientCache(client)`) take part where they are given. A line that fails
    for a reason that may pass, or expires, is sent up to `tries` times. `grace_s` is how long what was sent right
    before a kill is waited for before it is taken for lost. Safe to share between threads.
    """

    def __init__(
        self, store: BatchStore, provider: BatchProvider, *, ledger: Ledger | None = None,
        budgets: Budgets | None = None, cache: Keeper | None = None, price_book: PriceBook | None = None,
        pace: Pace | None = None, tries: int = 3, grace_s: float = GRACE_S,
    ) -> None:  # fmt: skip
        if tries < 1:
            raise ConfigError(f"tries is {tries!r}: each line is sent once at least")
        self.store = store
        self.provider = provider
        self._pace = pace or Pace()
        pricing = Pricing(provider, price_book or PriceBook.default())
        parts, self._room = Parts(store), Room(budgets)
        settlement = Settlement(store, parts, self._room, provider=provider.name, ledger=ledger, keeper=cache)
        outcomes = Outcomes(store, parts, pricing, tries=tries)
        self._intake = Intake(store, provider, pricing, self._room.allows)
        self._steps = Steps(
            store, parts, provider, outcomes, settlement, self._room, pace=self._pace, grace_s=grace_s
        )  # fmt: skip

    def submit(
        self, lines: Iterable[Line], *, tags: Mapping[str, str] | None = None, window: str = "24h", name: str = ""
    ) -> Job:
        """Take a job in: on disk when this returns, and nothing sent yet. Lines are read one by one.

        `tags`, and those set around this call, go into the ledger and say which budgets apply. A job of the same `name`
        is returned as it is, and `lines` are not read: so whoever was killed before he knew can submit again. Raises
        `BatchError` for the first line that cannot be sent, `BudgetExceeded` or `BudgetError` where a budget forbids
        one or cannot be checked.
        """
        known = self.find(name) if name else None
        if known is not None:
            return known
        given = checked_tags({**current_tags(), **(tags or {})})
        self._room.check(given, time.time())
        return self._intake.take(lines, name=name, tags=given, window=window)

    def advance(self, job_id: str) -> JobStatus:
        """Do everything for a job that can be done now, and say how it stands; never waits for a batch.

        Raises what a provider's SDK raises where that is no passing failure and no refusal of the provider's.
        """
        with self.store.driving(job_id) as alone:
            row = found(self.store, job_id)
            self._fits(job_id, row["provider"])
            if alone and row["state"] != "done":
                self._steps.advance(job_row(row))
        return self._status(job_id, elsewhere=not alone)

    def wait(self, job_id: str, *, on_progress: Callable[[JobStatus], object] | None = None) -> JobStatus:
        """Advance a job until it is done, asking ever less often; may be interrupted and called again.

        Raises `BatchError` where it cannot go on before somebody does something; calling this again then goes on.
        """
        while True:
            status = self.advance(job_id)
            if on_progress is not None:
                on_progress(status)
            if status.done:
                return status
            if status.blocked:
                raise BatchError(f"job {job_id} cannot go on: {status.blocked}")
            pause_s = self._pace.first_s if status.elsewhere else status.next_at - time.time()
            time.sleep(min(max(pause_s, 0.0), self._pace.most_s))

    def cancel(self, job_id: str) -> JobStatus:
        """End a job early: what was not sent never is, what was answered by then is fetched and accounted.

        Call `advance` or `wait` until it is done.
        """
        found(self.store, job_id)
        with self.store.writing() as rows:
            rows.execute("UPDATE jobs SET state = 'cancelling' WHERE id = ? AND state = 'open'", (job_id,))
            rows.execute(
                "UPDATE parts SET next_at = 0 WHERE state != 'settled' AND job = (SELECT job FROM jobs WHERE id = ?)",
                (job_id,),
            )
        return self.advance(job_id)

    def forget(self, job_id: str) -> None:
        """Remove a job that is done, with all its texts; the ledger and the cache keep theirs. Raises `BatchError`."""
        row = found(self.store, job_id)
        if row["state"] != "done":
            raise BatchError(f"job {job_id} is not done: cancel it, and wait until what was answered is accounted")
        self.store.remove(row["job"])

    def find(self, name: str) -> Job | None:
        """Return the job of a name that was given to `submit`."""
        with self.store.reading() as rows:
            row = rows.execute(
                "SELECT id, lines, requests FROM jobs WHERE name = ? AND state != 'planning'", (name,)
            ).fetchone()
        return None if row is None else Job(row["id"], row["lines"], row["requests"])

    def status(self, job_id: str) -> JobStatus:
        """Say how a job stands, as far as the store knows; asks nobody. Raises `BatchError` for an unknown job."""
        return self._status(job_id, elsewhere=False)

    def statuses(self) -> list[JobStatus]:
        """Say how all jobs of the store stand, newest first."""
        return statuses(self.store)

    def results(self, job_id: str) -> Iterator[Answer]:
        """Yield what came of each line, in the order of the lines; raises `BatchError` before the job is done."""
        return answers(self.store, job_id)

    def _status(self, job_id: str, *, elsewhere: bool) -> JobStatus:
        (status,) = statuses(self.store, job_id, elsewhere=elsewhere)
        return status

    def _fits(self, job_id: str, provider: str) -> None:
        if provider != self.provider.name:
            raise BatchError(
                f"job {job_id} is one of {provider}, and this is {self.provider.name}: continue it with that provider"
            )
