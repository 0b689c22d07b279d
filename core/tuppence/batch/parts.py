"""How far each part of a job is, and each of its requests: reading and moving rows, one transaction a move.

A part moves on only from the state that it was seen in, so a move that was made already changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from tuppence.batch.provider import BatchProvider, Parcel
from tuppence.batch.store import BatchStore
from tuppence.prices import PicoUSD

PartState = Literal["planned", "uploading", "uploaded", "creating", "created", "ended", "fetched", "settled"]


@dataclass(frozen=True, slots=True)
class Part:
    """One batch of a job, as the store has it."""

    job: int
    number: int
    state: PartState
    token: str
    url: str
    model: str
    lines: int
    worst: PicoUSD | None
    reserved_at: float
    intended_at: float
    file_id: str
    batch_id: str
    supposed: bool
    """The batch was found, and nothing proves yet that it is ours."""
    foreign_ids: tuple[str, ...]
    """Batches that looked like this one and were another's."""
    created_at: float
    ended_at: float
    sources: tuple[str, ...]
    gpu_ms: int
    looks: int
    next_at: float

    def parcel(self, window: str, path: Path) -> Parcel:
        return Parcel(self.token, self.url, self.lines, window, self.intended_at, path)

    def request_of(self, custom_id: str) -> int | None:
        """Return the request that a line's name at the provider stands for; None for another's line."""
        token, _, number = custom_id.rpartition("-")
        return int(number) if token == self.token and number.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that is out, as much of it as its answer needs."""

    url: str
    model: str
    tries: int


class Parts:
    """The parts and requests of a store."""

    def __init__(self, store: BatchStore) -> None:
        self._store = store

    def unsettled(self, job: int) -> list[int]:
        with self._store.reading() as rows:
            found = rows.execute("SELECT part FROM parts WHERE job = ? AND state != 'settled' ORDER BY part", (job,))
            return [part for (part,) in found]

    def get(self, job: int, number: int) -> Part:
        with self._store.reading() as rows:
            row = rows.execute("SELECT * FROM parts WHERE job = ? AND part = ?", (job, number)).fetchone()
        return Part(
            job, number, row["state"], row["token"], row["url"], row["model"], row["lines"],
            None if row["worst"] is None else int(row["worst"]), row["reserved_at"], row["intended_at"],
            row["file_id"], row["batch_id"], bool(row["supposed"]), tuple(json.loads(row["foreign_ids"])),
            row["created_at"], row["ended_at"], tuple(json.loads(row["sources"])), row["gpu_ms"], row["looks"],
            row["next_at"],
        )  # fmt: skip

    def move(self, part: Part, state: PartState, **changes: Any) -> Part:
        """Persist that a part is in another state, with what is known since; return it as it is now."""
        with self._store.writing() as rows:
            moved(rows, part, state, **changes)
        return self.get(part.job, part.number)

    def batch_ids(self) -> set[str]:
        """List the batches that parts of this store own."""
        with self._store.reading() as rows:
            return {one for (one,) in rows.execute("SELECT batch_id FROM parts WHERE batch_id != ''")}

    def write_parcel(self, part: Part, provider: BatchProvider, window: str, path: Path) -> Parcel:
        """Write the lines of a part into a file, as its provider spells them; memory holds one at a time."""
        parcel = part.parcel(window, path)
        with self._store.reading() as rows, path.open("w", encoding="utf-8", newline="\n") as file:
            for r, body in rows.execute(
                "SELECT q.r, b.body FROM requests q JOIN bodies b ON b.job = q.job AND b.r = q.r "
                "WHERE q.job = ? AND q.part = ? ORDER BY q.r",
                (part.job, part.number),
            ):
                file.write(f"{provider.spell(parcel.custom_id(r), part.url, body)}\n")
        return parcel

    def still_sent(self, part: Part) -> Iterator[list[int]]:
        """Yield the requests of a part that have no outcome, a page at a time, until none is left."""
        while True:
            with self._store.reading() as rows:
                found = rows.execute(
                    "SELECT r FROM requests WHERE job = ? AND part = ? AND state = 'sent' LIMIT 1000",
                    (part.job, part.number),
                ).fetchall()
            if not found:
                return
            yield [r for (r,) in found]

    def at_line(self, part: Part, line: int) -> int | None:
        """Return the request that was written as this line of the part's file, counted from 1."""
        with self._store.reading() as rows:
            row = rows.execute(
                "SELECT r FROM requests WHERE job = ? AND part = ? ORDER BY r LIMIT 1 OFFSET ?",
                (part.job, part.number, line - 1),
            ).fetchone()
        return None if row is None else int(row[0])


def moved(rows: sqlite3.Connection, part: Part, state: PartState, **changes: Any) -> None:
    """Move a part within the caller's transaction."""
    told = {name: json.dumps(value) if isinstance(value, tuple) else value for name, value in changes.items()}
    settings = ", ".join(f"{name} = ?" for name in ("state", *told))
    rows.execute(
        f"UPDATE parts SET {settings} WHERE job = ? AND part = ? AND state = ?",
        (state, *told.values(), part.job, part.number, part.state),
    )


def sent(rows: sqlite3.Connection, part: Part, r: int) -> Sent | None:
    """Return a request of the part that has no outcome yet."""
    row = rows.execute(
        "SELECT url, model, tries FROM requests WHERE job = ? AND r = ? AND part = ? AND state = 'sent'",
        (part.job, r, part.number),
    ).fetchone()
    return None if row is None else Sent(row["url"], row["model"], row["tries"])


def body_of(rows: sqlite3.Connection, job: int, r: int) -> dict[str, Any]:
    (body,) = rows.execute("SELECT body FROM bodies WHERE job = ? AND r = ?", (job, r)).fetchone()
    found: dict[str, Any] = json.loads(body)
    return found


def pages(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Deal items out in lists of up to `size`."""
    while page := list(islice(items, size)):
        yield page
