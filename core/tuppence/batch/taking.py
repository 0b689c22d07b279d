"""Taking a job in: its lines go to disk as they come, equal ones as one request, and are packed into parts.

A job is there once all of it is, so a process that ends in the middle leaves nothing that would be sent.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from tuppence.batch.lines import EMBEDDINGS, BatchError, Job, Line, digest_of
from tuppence.batch.pricing import Pricing
from tuppence.batch.provider import BatchProvider
from tuppence.batch.store import BatchStore
from tuppence.errors import TuppenceError
from tuppence.prices import PicoUSD
from tuppence.request import Tags

_CHUNK = 2000
"""Lines a transaction: what memory holds of a job."""


class Allows(Protocol):
    """Says, by raising, what a single line may not cost."""

    def __call__(self, custom_id: str, worst: PicoUSD | None, tags: Tags, /) -> None: ...


@dataclass(slots=True)
class _Filling:
    """A part that takes more lines."""

    part: int
    lines: int = 0
    bytes: int = 0
    inputs: int = 0


@dataclass(slots=True)
class Packing:
    """Deals requests out to parts: one address and one model each, within the provider's limits."""

    provider: BatchProvider
    job_id: str
    next_part: int = 0
    _open: dict[tuple[str, str], _Filling] = field(default_factory=dict)

    def place(self, url: str, model: str, size: int, inputs: int) -> int:
        """Return the part that takes a request of `size` bytes."""
        limits = self.provider.limits
        filling = self._open.get((url, model))
        if filling is None or (
            filling.lines >= limits.lines
            or filling.bytes + size > limits.bytes
            or (limits.inputs is not None and filling.inputs + inputs > limits.inputs)
        ):
            filling = self._open[url, model] = _Filling(self.next_part)
            self.next_part += 1
        filling.lines += 1
        filling.bytes += size
        filling.inputs += inputs
        return filling.part

    def token(self, part: int) -> str:
        """Name a part at the provider."""
        return hashlib.blake2b(f"{self.job_id}/{part}".encode(), digest_size=16).hexdigest()


class Intake:
    """Takes jobs in for one provider."""

    def __init__(self, store: BatchStore, provider: BatchProvider, pricing: Pricing, allows: Allows) -> None:
        self._store = store
        self._provider = provider
        self._pricing = pricing
        self._allows = allows

    def take(self, lines: Iterable[Line], *, name: str, tags: Tags, window: str) -> Job:
        """Store a job; raises `BatchError` for the first line that cannot be sent, and then keeps nothing of it."""
        self._forget_unfinished()
        job_id = os.urandom(8).hex()
        with self._store.driving(job_id):
            with self._store.writing() as rows:
                row = rows.execute(
                    "INSERT INTO jobs (id, state, provider, window, tags, made_at) VALUES (?, 'planning', ?, ?, ?, ?)",
                    (job_id, self._provider.name, window, json.dumps(dict(tags)), time.time()),
                )  # fmt: skip
                job = int(row.lastrowid or 0)
            try:
                return self._fill(job, job_id, lines, name=name, tags=tags)
            except BaseException:
                self._store.remove(job)
                raise

    def _fill(self, job: int, job_id: str, lines: Iterable[Line], *, name: str, tags: Tags) -> Job:
        packing = Packing(self._provider, job_id)
        source, number = iter(lines), 0
        while chunk := list(islice(source, _CHUNK)):
            with self._store.writing() as rows:
                for line in chunk:
                    self._add(rows, job, number, line, packing, tags)
                    number += 1
        if not number:
            raise BatchError("the job has no lines: give it one at least")
        with self._store.writing() as rows:
            return _opened(rows, job, job_id, name, packing)

    def _add(
        self, rows: sqlite3.Connection, job: int, number: int, line: Line, packing: Packing, tags: Tags
    ) -> None:  # fmt: skip
        spelt = line.spelt()
        if line.url not in self._provider.urls:
            raise BatchError(
                f"line {line.custom_id!r} is meant for {line.url!r}, and {self._provider.name} takes batches for "
                f"{', '.join(sorted(self._provider.urls))}"
            )
        digest = digest_of(line.url, spelt)
        known = rows.execute("SELECT r FROM requests WHERE job = ? AND digest = ?", (job, digest)).fetchone()
        if known is None:
            self._add_request(rows, job, number, line, spelt, digest, packing, tags)
        try:
            rows.execute(
                "INSERT INTO lines VALUES (?, ?, ?, ?)", (job, number, line.custom_id, known[0] if known else number)
            )
        except sqlite3.IntegrityError:
            raise BatchError(
                f"two lines are called {line.custom_id!r}: name each line of a job differently, for answers are told "
                "apart by that"
            ) from None

    def _add_request(
        self, rows: sqlite3.Connection, job: int, r: int, line: Line, spelt: str, digest: bytes, packing: Packing,
        tags: Tags,
    ) -> None:  # fmt: skip
        model = str(line.body["model"])
        try:
            worst = self._pricing.worst(line.url, line.body, at=time.time())
        except (TuppenceError, AttributeError, KeyError, TypeError) as error:
            raise BatchError(f"line {line.custom_id!r} is no request for {line.url}: {error}") from error
        self._allows(line.custom_id, worst, tags)
        size = len(self._provider.spell(_LONGEST_ID, line.url, spelt).encode()) + 1
        inputs = _inputs(line)
        limits = self._provider.limits
        if size > limits.bytes or (limits.inputs is not None and inputs > limits.inputs):
            raise BatchError(
                f"line {line.custom_id!r} alone is larger than one batch of {self._provider.name} may be ({size:,} "
                f"bytes, {inputs:,} inputs): split it"
            )
        part = packing.place(line.url, model, size, inputs)
        rows.execute(
            "INSERT INTO requests VALUES (?, ?, ?, ?, 'sent', 1, ?, ?, ?, ?, ?)",
            (job, r, digest, part, size, inputs, None if worst is None else str(worst), line.url, model),
        )  # fmt: skip
        rows.execute("INSERT INTO bodies VALUES (?, ?, ?)", (job, r, spelt))

    def _forget_unfinished(self) -> None:
        """Remove what processes left that ended while they took a job in."""
        with self._store.reading() as rows:
            left = rows.execute("SELECT job, id FROM jobs WHERE state = 'planning'").fetchall()
        for job, job_id in left:
            with self._store.driving(job_id) as alone:
                if alone:
                    self._store.remove(job)


def plan_parts(rows: sqlite3.Connection, job: int, packing: Packing, first: int) -> None:
    """Write down the parts from number `first` on, as the requests in them say; the caller's transaction."""
    for part, url, model, lines in rows.execute(
        "SELECT part, min(url), min(model), count(*) FROM requests WHERE job = ? AND part >= ? GROUP BY part",
        (job, first),
    ).fetchall():
        worst = sum_or_none(
            value for (value,) in rows.execute("SELECT worst FROM requests WHERE job = ? AND part = ?", (job, part))
        )
        rows.execute(
            "INSERT INTO parts (job, part, state, token, url, model, lines, worst) "
            "VALUES (?, ?, 'planned', ?, ?, ?, ?, ?)",
            (job, part, packing.token(part), url, model, lines, worst),
        )  # fmt: skip


def sum_or_none(values: Iterator[str | None]) -> str | None:
    """Add amounts up; None where one is not known."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += int(value)
    return str(total)


def _opened(rows: sqlite3.Connection, job: int, job_id: str, name: str, packing: Packing) -> Job:
    plan_parts(rows, job, packing, 0)
    worst = sum_or_none(value for (value,) in rows.execute("SELECT worst FROM parts WHERE job = ?", (job,)))
    (lines,) = rows.execute("SELECT count(*) FROM lines WHERE job = ?", (job,)).fetchone()
    (requests,) = rows.execute("SELECT count(*) FROM requests WHERE job = ?", (job,)).fetchone()
    try:
        rows.execute(
            "UPDATE jobs SET state = 'open', name = ?, lines = ?, requests = ?, worst = ? WHERE job = ?",
            (name or None, lines, requests, worst, job),
        )
    except sqlite3.IntegrityError:
        raise BatchError(
            f"another process has just submitted a job named {name!r}: look at it, or name this otherwise"
        ) from None
    return Job(job_id, lines, requests)


def _inputs(line: Line) -> int:
    """Count the texts that a line has embedded."""
    given = line.body.get("input")
    return len(given) if line.url == EMBEDDINGS and isinstance(given, list) and not _is_tokens(given) else 1


def _is_tokens(given: list[object]) -> bool:
    return bool(given) and isinstance(given[0], int)


_LONGEST_ID = f"{'0' * 32}-{10**9}"
