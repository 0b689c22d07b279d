"""Fine-tuning at OpenAI, or at a server that speaks its API, by the user's own client of the SDK.

Each step that makes something there is written down before it is taken, and has a twin that finds what an earlier try
left: files by the hash in their names, the job by the run's name in its metadata. So nothing is trained twice.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from tuppence.assembly import LedgerOption, open_ledger
from tuppence.distill.errors import TrainingError
from tuppence.distill.hosted.booking import booked, training_usd
from tuppence.distill.hosted.checking import check_training
from tuppence.distill.hosted.events import metrics_of, progress_of
from tuppence.distill.hosted.journal import Journal, State, alone
from tuppence.distill.trainers import OnProgress, Progress, Trained, TrainingData
from tuppence.failures import failed

_FIRST_WAIT_S, _LONGEST_WAIT_S, _GROWTH = 2.0, 60.0, 1.5
_PASSING = frozenset({"rate_limit", "timeout", "full", "server", "connection"})
_RUN = "tuppence_run"
_PATIENCE_S = (2.0, 5.0, 15.0)
_EVENTS = 100
_ENDED = frozenset({"succeeded", "failed", "cancelled"})


class OpenAIFineTune:
    """A `Trainer`: `OpenAIFineTune(OpenAI(), "gpt-4o-mini-2024-07-18", usd_per_mtok=Decimal("3.00"))`.

    `usd_per_mtok` is the price of a million training tokens, which no price list of tuppence's knows: without it the
    training is unpriced. `settings` are further arguments of `fine_tuning.jobs.create`, such as `method`, `seed` or
    `suffix`. With a `ledger` its cost is booked there, once, as what fine-tuning cost.
    """

    def __init__(
        self, client: Any, base: str, *, usd_per_mtok: Decimal | None = None, ledger: LedgerOption = None,
        settings: dict[str, Any] | None = None, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._client = client
        self._base = base
        self._usd_per_mtok = usd_per_mtok
        self._ledger = open_ledger(ledger)
        # As the journal reads them back.
        self._settings: dict[str, Any] = json.loads(json.dumps(settings or {}))
        self._sleep = sleep

    def train(self, data: TrainingData, *, out: Path, on_progress: OnProgress | None = None) -> Trained:
        """Train, or go on with a training that was begun in `out`, and wait for its end.

        Raises `TrainingError` for files that would not be taken, for a job that failed or was cancelled, and the SDK's
        own exceptions for a request that is refused.
        """
        check_training(data.train, data.validation)
        with alone(out):
            begun = State(uuid.uuid4().hex, "openai", data.data_hash, self._base, self._settings)
            journal = Journal(out, begun)
            if journal.state.result is None:
                job = self._ended(journal, self._job(journal, data), on_progress or _quiet)
                journal.write(result=self._result(job))
            return self._trained(journal.state)

    def _job(self, journal: Journal, data: TrainingData) -> str:
        """Return the id of the run's job; create it where there is none."""
        if journal.state.job is None:
            if journal.state.train_file is None:
                journal.write(train_file=self._file(data.train))
            if data.validation is not None and journal.state.validation_file is None:
                journal.write(validation_file=self._file(data.validation))
            journal.write(job=self._created(journal).id)
        assert journal.state.job is not None
        return journal.state.job

    def _file(self, path: Path) -> str:
        """Return the id of a file at the provider; upload it where it is not there yet."""
        with path.open("rb") as file:
            name = f"tuppence-{hashlib.file_digest(file, 'sha256').hexdigest()}.jsonl"
            for known in self._client.files.list(purpose="fine-tune"):
                if known.filename == name and known.status != "error":
                    return str(known.id)
            file.seek(0)
            return str(self._client.files.create(file=(name, file), purpose="fine-tune").id)

    def _created(self, journal: Journal) -> Any:
        """Create the job, unless an earlier try has; one whose answer was lost is looked for before another is made."""
        for wait_s in (*_PATIENCE_S, None):
            job = self._left_behind(journal.state) if journal.state.creating else None
            if job is not None:
                return job
            journal.write(creating=True)
            try:
                return self._create(journal.state)
            except Exception as error:
                if wait_s is None or failed(error).kind not in _PASSING:
                    raise
                self._sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def _left_behind(self, state: State) -> Any | None:
        """Find the job that an earlier try created before it was killed."""
        jobs = self._client.fine_tuning.jobs.list(limit=100)
        return next((job for job in jobs if (job.metadata or {}).get(_RUN) == state.run), None)

    def _create(self, state: State) -> Any:
        validation = {} if state.validation_file is None else {"validation_file": state.validation_file}
        given = dict(state.settings)
        metadata = {**(given.pop("metadata", None) or {}), _RUN: state.run, "tuppence_data": state.data_hash[:64]}
        # The SDK's own retry would create a second job where the answer to the first was lost.
        once = self._client.with_options(max_retries=0)
        return once.fine_tuning.jobs.create(
            model=state.base, training_file=state.train_file, metadata=metadata, **validation, **given
        )

    def _ended(self, journal: Journal, job_id: str, tell: OnProgress) -> Any:
        """Wait for a job's end; a passing failure of the provider's is waited out too."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                job = self._client.fine_tuning.jobs.retrieve(job_id)
                self._tell(journal, job_id, tell)
            except Exception as error:
                told = failed(error)
                if told.kind not in _PASSING:
                    raise
                tell(Progress(0, None, None, f"asked again later: {type(error).__name__}"))
                wait_s = max(wait_s, told.retry_after_s or 0.0)
            else:
                if job.status in _ENDED:
                    return _succeeded(job)
            self._sleep(wait_s)
            wait_s = min(_LONGEST_WAIT_S, wait_s * _GROWTH)

    def _tell(self, journal: Journal, job_id: str, tell: OnProgress) -> None:
        """Pass on what is new; events come newest first."""
        events = islice(self._client.fine_tuning.jobs.list_events(job_id, limit=_EVENTS), _EVENTS)
        new = list(takewhile(lambda event: event.id != journal.state.told, events))
        for event in reversed(new):
            tell(progress_of(event))
        if new:
            journal.write(told=new[0].id)

    def _result(self, job: Any) -> dict[str, Any]:
        events = islice(self._client.fine_tuning.jobs.list_events(job.id, limit=_EVENTS), _EVENTS)
        usd = training_usd(job.trained_tokens, self._usd_per_mtok)
        return {
            "job": job.id, "model": job.fine_tuned_model, "tokens": job.trained_tokens, "created_at": job.created_at,
            "seconds": float((job.finished_at or job.created_at) - job.created_at), "metrics": metrics_of(events),
            "usd": None if usd is None else f"{usd:f}",
        }  # fmt: skip

    def _trained(self, state: State) -> Trained:
        told = state.result
        assert told is not None
        usd = None if told["usd"] is None else Decimal(told["usd"])
        if self._ledger is not None:
            # Again on every call: its row has the job's own name and times, and is kept once.
            self._ledger.write(booked(told, state.base, usd))
            self._ledger.flush()
        return Trained(told["model"], state.base, None, told["seconds"], usd, told["metrics"], state.data_hash)


def _succeeded(job: Any) -> Any:
    if job.status == "succeeded":
        return job
    why = job.error.message if job.error is not None and job.error.message else "the provider does not say why"
    raise TrainingError(f"fine-tuning job {job.id} ended as {job.status}: {why}; begin anew in another folder")


def _quiet(_: Progress) -> None:
    """Tell nobody."""
