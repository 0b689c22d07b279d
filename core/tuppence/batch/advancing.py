"""One step of a job: everything that can be done now for each of its parts, and nothing that waits.

What is about to be made at a provider is written down before, and what came of it after. A part that is found between
the two is one whose process was killed, or whose connection broke: what may have been made is looked for, and made
again only where it is not there.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tuppence.batch.outcomes import ForeignBatch, Outcomes
from tuppence.batch.pace import Pace
from tuppence.batch.parts import Part, Parts, PartState
from tuppence.batch.provider import CANCELLED, BatchProvider, Parcel, Trouble
from tuppence.batch.room import Room
from tuppence.batch.settling import Settlement
from tuppence.batch.store import BatchStore
from tuppence.batch.taking import Packing
from tuppence.errors import BudgetError, BudgetExceeded, LedgerError
from tuppence.failures import failed
from tuppence.request import Tags

_REFUSALS = ("auth", "bad_request", "context_length")
"""Kinds of failure that come back for the same request until somebody changes something."""
_PASSING = ("rate_limit", "server", "timeout", "connection")
_UNDER_WAY = ("uploading", "creating", "created", "ended", "fetched")


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job, as its steps need it."""

    job: int
    id: str
    tags: Tags
    window: str
    cancelling: bool


@dataclass(slots=True)
class Report:
    """What a step has to say."""

    note: str = ""
    """What went wrong and is tried again."""
    blocked: str = ""
    """What a provider refused, until somebody does something."""
    lacking: str = ""
    """What budgets had no room for; parts that end may leave some."""


class Steps:
    """The steps of the jobs of one store and one provider."""

    def __init__(
        self, store: BatchStore, parts: Parts, provider: BatchProvider, outcomes: Outcomes, settlement: Settlement,
        room: Room, *, pace: Pace, grace_s: float,
    ) -> None:  # fmt: skip
        self._store = store
        self._parts = parts
        self._provider = provider
        self._outcomes = outcomes
        self._settlement = settlement
        self._room = room
        self._pace = pace
        self._grace_s = grace_s

    def advance(self, job: JobRow) -> None:
        """Do what can be done now; the caller drives the job alone."""
        report = Report()
        for number in self._parts.unsettled(job.job):
            self._advance_part(job, number, report)
        self._outcomes.send_again(job.job, Packing(self._provider, job.id), next_at=time.time() + self._pace.wait_s(0))
        with self._store.writing() as rows:
            _conclude(rows, job, report)

    # -- one part

    def _advance_part(self, job: JobRow, number: int, report: Report) -> None:
        """Move a part as far as it goes; what stops it is told, and the other parts go on."""
        part = self._parts.get(job.job, number)
        try:
            while (moved := self._step(job, part)) is not None:
                part = moved
            if part.state == "settled":
                # What it held is free: who lacked room before it in this step may have it in the next.
                report.lacking = ""
        except (BudgetExceeded, BudgetError) as error:
            self._later(self._parts.get(job.job, number), 0.0)
            report.lacking = str(error)
        except LedgerError as error:
            self._later(self._parts.get(job.job, number), 0.0)
            report.note = str(error)
        except Exception as error:  # noqa: BLE001 - what is none of a provider's failures is raised again
            self._failed(self._parts.get(job.job, number), error, report)

    def _failed(self, part: Part, error: Exception, report: Report) -> None:
        """Note what a provider's exception means for the part; raise what is none of a provider's."""
        failure = failed(error)
        said = f"{self._provider.name}: {type(error).__name__}: {error}"[:500]
        if failure.kind in _REFUSALS:
            report.blocked = said
        elif failure.kind in _PASSING:
            report.note = said
        else:
            raise error
        self._later(part, failure.retry_after_s or 0.0)

    def _later(self, part: Part, least_s: float) -> None:
        wait_s = max(least_s, self._pace.wait_s(part.looks))
        self._parts.move(part, part.state, next_at=time.time() + wait_s, looks=part.looks + 1)

    def _step(self, job: JobRow, part: Part) -> Part | None:
        """Make the next move of a part and return it as it is then; None where it has to wait, or is settled."""
        if part.state in ("ended", "fetched"):
            return self._fetch(job, part) if part.state == "ended" else self._settlement.settle(part, job.id, job.tags)
        if part.state == "settled" or part.next_at > time.time():
            return None
        if job.cancelling and part.state in ("planned", "uploading", "uploaded"):
            return self._drop(part)
        if part.state == "planned":
            return self._upload(job, self._reserve(job, part))
        if part.state == "uploading":
            return self._resume_upload(job, part)
        if part.state == "uploaded":
            return self._create(job, part)
        return self._resume_create(job, part) if part.state == "creating" else self._look(job, part)

    def _reserve(self, job: JobRow, part: Part) -> Part:
        now = time.time()
        self._room.reserve(part, job.tags, now)
        return self._parts.move(part, "uploading", reserved_at=now, intended_at=now)

    def _drop(self, part: Part) -> Part:
        """Give a part up that was never begun at the provider."""
        self._outcomes.rest(part, Trouble(CANCELLED, permanent=True), cancelling=True)
        return self._parts.move(part, "fetched")

    # -- making things at the provider

    def _upload(self, job: JobRow, part: Part) -> Part:
        with tempfile.TemporaryDirectory(prefix="tuppence-batch-") as folder, self._undone(part, "planned"):
            file_id = self._provider.upload(self._parcel(job, part, Path(folder)))
        return self._parts.move(part, "uploaded", file_id=file_id, looks=0)

    @contextmanager
    def _undone(self, part: Part, state: PartState) -> Iterator[None]:
        """Put a part back where it was when the provider refuses what was about to be made: then there is none."""
        try:
            yield
        except Exception as error:
            if failed(error).kind in _REFUSALS:
                self._parts.move(part, state)
            raise

    def _resume_upload(self, job: JobRow, part: Part) -> Part | None:
        """Go on with an upload of which nobody knows whether it arrived."""
        file_id = self._provider.find_upload(part.parcel(job.window, Path()))
        if file_id is not None:
            return self._parts.move(part, "uploaded", file_id=file_id, looks=0)
        if self._may_yet_arrive(part):
            return None
        return self._upload(job, self._parts.move(part, "uploading", intended_at=time.time()))

    def _create(self, job: JobRow, part: Part) -> Part:
        now = time.time()
        with tempfile.TemporaryDirectory(prefix="tuppence-batch-") as folder:
            # The lines go along where there is no file of them at the provider.
            parcel = part.parcel(job.window, Path()) if part.file_id else self._parcel(job, part, Path(folder))
            part = self._parts.move(part, "creating", intended_at=now)
            with self._undone(part, "uploaded"):
                batch_id = self._provider.create(replace(parcel, intended_at=now), part.file_id)
        return self._created(part, batch_id)

    def _resume_create(self, job: JobRow, part: Part) -> Part | None:
        """Go on with a batch of which nobody knows whether it was made."""
        taken = self._parts.batch_ids() | set(part.foreign_ids)
        batch_id = self._provider.find_batch(part.parcel(job.window, Path()), part.file_id, taken)
        if batch_id is not None:
            return self._created(part, batch_id, supposed=not self._provider.proves)
        if self._may_yet_arrive(part):
            return None
        if job.cancelling:
            return self._drop(part)
        return self._create(job, part)

    def _may_yet_arrive(self, part: Part) -> bool:
        """Say whether what was sent shortly before a kill may still become something, and wait for that."""
        until = part.intended_at + self._grace_s
        if time.time() >= until:
            return False
        self._parts.move(part, part.state, next_at=until)
        return True

    def _created(self, part: Part, batch_id: str, *, supposed: bool = False) -> Part:
        soon = time.time() + self._pace.wait_s(0)
        return self._parts.move(
            part, "created", batch_id=batch_id, supposed=supposed, created_at=part.intended_at, next_at=soon, looks=0
        )  # fmt: skip

    def _parcel(self, job: JobRow, part: Part, folder: Path) -> Parcel:
        return self._parts.write_parcel(part, self._provider, job.window, folder / f"{part.token}.jsonl")

    # -- what came of it

    def _look(self, job: JobRow, part: Part) -> Part | None:
        self._room.keep(part, job.tags, time.time())
        progress = self._provider.progress(part.batch_id)
        if progress.state == "running":
            if job.cancelling and not part.supposed:
                # What may be another's runs to its end.
                self._provider.cancel(part.batch_id)
            wait_s = self._pace.wait_s(part.looks)
            self._parts.move(
                part, "created", done=progress.done, looks=part.looks + 1, next_at=time.time() + wait_s
            )  # fmt: skip
            return None
        ended_at = progress.ended_at or time.time()
        if progress.state == "refused":
            self._outcomes.refused(replace(part, ended_at=ended_at), progress.troubles, cancelling=job.cancelling)
            return self._parts.move(part, "fetched", ended_at=ended_at)
        return self._parts.move(
            part, "ended", ended_at=ended_at, sources=progress.sources, gpu_ms=progress.gpu_ms, done=progress.done
        )  # fmt: skip

    def _fetch(self, job: JobRow, part: Part) -> Part:
        try:
            answers = self._provider.answers(part.batch_id, part.sources)
            self._outcomes.take(part, answers, cancelling=job.cancelling)
        except ForeignBatch:
            foreign = (*part.foreign_ids, part.batch_id)
            return self._parts.move(part, "creating", batch_id="", foreign_ids=foreign, created_at=0.0, ended_at=0.0)
        return self._parts.move(part, "fetched")


def _conclude(rows: sqlite3.Connection, job: JobRow, report: Report) -> None:
    """Write down what the step had to say, and that the job is done once it is."""
    states = [state for (state,) in rows.execute("SELECT state FROM parts WHERE job = ?", (job.job,))]
    note, blocked = report.note, report.blocked
    if report.lacking and any(state in _UNDER_WAY for state in states):
        note = report.lacking
    elif report.lacking:
        blocked = report.lacking
    rows.execute("UPDATE jobs SET note = ?, blocked = ? WHERE job = ?", (note, blocked, job.job))
    if all(state == "settled" for state in states):
        rows.execute("UPDATE jobs SET state = 'done' WHERE job = ?", (job.job,))


def job_row(row: sqlite3.Row) -> JobRow:
    """Read a job's row."""
    return JobRow(row["job"], row["id"], json.loads(row["tags"]), row["window"], row["state"] == "cancelling")
