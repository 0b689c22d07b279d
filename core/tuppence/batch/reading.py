"""Reading a store of jobs: how they stand, and what came of their lines. Asks nobody and changes nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace

from tuppence.batch.lines import Answer, BatchError, JobStatus
from tuppence.batch.settling import call_id
from tuppence.batch.store import BatchStore
from tuppence.batch.written import read
from tuppence.prices import usd

_PAGE = 500


def found(store: BatchStore, job_id: str) -> sqlite3.Row:
    """Return a job's row; raises `BatchError` where there is none."""
    with store.reading() as rows:
        row: sqlite3.Row | None = rows.execute(
            "SELECT * FROM jobs WHERE id = ? AND state != 'planning'", (job_id,)
        ).fetchone()
    if row is None:
        raise BatchError(f"no job {job_id!r} is in {store.path}: name one that `tuppence batch status` lists")
    return row


def statuses(store: BatchStore, job_id: str | None = None, *, elsewhere: bool = False) -> list[JobStatus]:
    """Say how jobs stand, newest first; with an id that one alone. Raises `BatchError` for an unknown id."""
    if job_id is not None:
        found(store, job_id)
    with store.reading() as rows:
        jobs = rows.execute(
            "SELECT * FROM jobs WHERE state != 'planning' AND (id = ?1 OR ?1 IS NULL) ORDER BY made_at DESC, job DESC",
            (job_id,),
        ).fetchall()
        return [_status(rows, row, elsewhere=elsewhere) for row in jobs]


def _status(rows: sqlite3.Connection, job: sqlite3.Row, *, elsewhere: bool) -> JobStatus:
    parts = rows.execute("SELECT * FROM parts WHERE job = ?", (job["job"],)).fetchall()
    settled = [one for one in parts if one["state"] == "settled"]
    open_parts = [one for one in parts if one["state"] != "settled"]
    answered = sum(one["answered"] for one in settled)
    failed = sum(one["failed"] for one in settled)
    there = sum(one["lines"] if one["state"] in ("ended", "fetched") else one["done"] for one in open_parts)
    status = JobStatus(
        id=job["id"], name=job["name"] or "", state=job["state"], lines=job["lines"], requests=job["requests"],
        answered=answered, failed=failed, ended_there=answered + failed + there, parts=len(parts),
        in_flight=sum(one["batch_id"] != "" for one in open_parts), usd=usd(sum(int(one["spent"]) for one in parts)),
        worst_usd=None if job["worst"] is None else usd(int(job["worst"])), made_at=job["made_at"], eta_s=None,
        note=job["note"], blocked=job["blocked"], next_at=min((one["next_at"] for one in open_parts), default=0.0),
        elsewhere=elsewhere,
    )  # fmt: skip
    begun = min((one["created_at"] for one in parts if one["created_at"]), default=0.0)
    return replace(status, eta_s=_eta(status, begun))


def _eta(status: JobStatus, begun: float) -> float | None:
    if status.done or not begun or not status.ended_there:
        return 0.0 if status.done else None
    return (time.time() - begun) / status.ended_there * (status.requests - status.ended_there)


def answers(store: BatchStore, job_id: str) -> Iterator[Answer]:
    """Yield what came of each line, in the order of the lines, holding a page at a time."""
    job = found(store, job_id)
    if job["state"] != "done":
        raise BatchError(f"job {job_id} is not done: wait for it, or look how it stands with `tuppence batch status`")
    return _pages(store, job["job"], job_id)


def _pages(store: BatchStore, job: int, job_id: str) -> Iterator[Answer]:
    last = -1
    while True:
        with store.reading() as rows:
            page = rows.execute(
                "SELECT l.n, l.custom_id, l.r, a.body, a.error FROM lines l "
                "JOIN answers a ON a.job = l.job AND a.r = l.r WHERE l.job = ? AND l.n > ? ORDER BY l.n LIMIT ?",
                (job, last, _PAGE),
            ).fetchall()
            told = [_answer(rows, job, job_id, row) for row in page]
        if not told:
            return
        yield from told
        last = page[-1]["n"]


def _answer(rows: sqlite3.Connection, job: int, job_id: str, row: sqlite3.Row) -> Answer:
    body = None if row["body"] is None else json.loads(row["body"])
    name = call_id(job_id, row["n"])
    if row["n"] != row["r"]:
        return Answer(row["custom_id"], body, row["error"], None, 0, name)
    tries = [
        read(text)
        for (text,) in rows.execute("SELECT attempt FROM attempts WHERE job = ? AND r = ? ORDER BY n", (job, row["r"]))
    ]
    unpriced = any(one.pico_usd is None for one in tries)
    pico = None if unpriced else sum(one.pico_usd or 0 for one in tries)
    return Answer(row["custom_id"], body, row["error"], tries[-1].usage if body is not None else None, pico, name)
