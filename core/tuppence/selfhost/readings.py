"""Meter readings of a server: totals that never go back, kept in a file, so that no hour of a GPU is forgotten.

vLLM's counters start at 0 again with each of its processes. A reading adds up over them, as an electricity meter does,
and what lies between any two is then a subtraction. What was served between the last scrape and the end of a process
nobody counted: it is missing, which makes the rest dearer and never cheaper.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import platformdirs

from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.metrics import GENERATED, PROMPT, Scrape

_BUSY_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS readings (
    server TEXT NOT NULL, at_us INTEGER NOT NULL, started_us INTEGER, counts TEXT NOT NULL, totals TEXT NOT NULL,
    PRIMARY KEY (server, at_us)
) WITHOUT ROWID
"""
# A process says when it began to the hundredth of a second; clocks that are being set right move by less than this.
_SAME_START_S = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server had served in all at one moment, over all its processes since the first that was seen."""

    server: str
    at: float
    """Unix seconds."""
    totals: Mapping[str, float]
    """As `Scrape.counts`. What is missing was not counted all the time."""


@dataclass(frozen=True, slots=True)
class Served:
    """What one server did between two readings. None: its version does not count that."""

    server: str
    since: float
    until: float
    """Unix seconds. All the time between them counts, busy or idle, up or down."""
    counts: Mapping[str, float]

    @property
    def seconds(self) -> float:
        return self.until - self.since

    @property
    def prompt_tokens(self) -> int:
        return round(self.counts[PROMPT])

    @property
    def generated_tokens(self) -> int:
        return round(self.counts[GENERATED])

    @property
    def computed_tokens(self) -> int | None:
        """Prompt tokens that were computed here: not found in the prefix cache, nor fetched from another server."""
        computed = self.counts.get("source:local_compute")
        if computed is not None:
            return round(computed)
        cached = self.counts.get("prompt_tokens_cached")
        return None if cached is None else self.prompt_tokens - round(cached)

    @property
    def prompt_tokens_by_source(self) -> Mapping[str, int]:
        marked = {name: value for name, value in self.counts.items() if name.startswith("source:")}
        return {name.removeprefix("source:"): round(value) for name, value in marked.items()}

    @property
    def prefix_hit_share(self) -> float | None:
        """Part of the prompt tokens looked up in the prefix cache that were found there."""
        return _ratio(self.counts.get("prefix_hits"), self.counts.get("prefix_queries"))

    @property
    def inter_token_s(self) -> float | None:
        """Mean time from one token of an answer to the next."""
        return _ratio(self.counts.get("inter_token_s"), self.counts.get("inter_tokens"))

    @property
    def prefill_s(self) -> float | None:
        """Time that requests spent being read, added up over requests: many at a time count each."""
        return self.counts.get("prefill_s")

    @property
    def decode_s(self) -> float | None:
        """Time that requests spent being answered, added up likewise."""
        return self.counts.get("decode_s")

    @property
    def refused(self) -> int | None:
        """Requests that were turned away with 503, because the queue was full."""
        refused = self.counts.get("refused")
        return None if refused is None else round(refused)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def begun(scrape: Scrape) -> tuple[Reading, ...]:
    """Make the first readings of a server: nothing at its process's start, then what was counted since.

    Where the start is unknown what was counted before is not used, for nobody knows over how long.
    """
    none = MappingProxyType(dict.fromkeys(scrape.counts, 0.0))
    if scrape.started_at is None or scrape.started_at >= scrape.at:
        return (Reading(scrape.server, scrape.at, none),)
    return (Reading(scrape.server, scrape.started_at, none), Reading(scrape.server, scrape.at, scrape.counts))


def followed(reading: Reading, before: Scrape, scrape: Scrape) -> Reading:
    """Make the reading after `reading`, which was made of the scrape `before`."""
    again = _restarted(before, scrape)
    totals = {
        name: total + value - (0.0 if again else before.counts[name])
        for name, value in scrape.counts.items()
        if (total := reading.totals.get(name)) is not None and (again or name in before.counts)
    }
    return Reading(scrape.server, scrape.at, MappingProxyType(totals))


def _restarted(before: Scrape, scrape: Scrape) -> bool:
    """Say whether another process answers: one that began later, or whose counters went back."""
    one, other = before.started_at, scrape.started_at
    if one is not None and other is not None and abs(other - one) > _SAME_START_S:
        return True
    return any(value < before.counts.get(name, -math.inf) for name, value in scrape.counts.items())


def between(first: Reading, last: Reading) -> Served:
    """Say what was served between two readings of one server, the earlier one first."""
    counts = {name: value - first.totals[name] for name, value in last.totals.items() if name in first.totals}
    return Served(last.server, first.at, last.at, MappingProxyType(counts))


def default_place() -> Path:
    """Return where this user's readings are, unless another place is named: `TUPPENCE_READINGS`, or the data folder."""
    named = os.environ.get("TUPPENCE_READINGS")
    return Path(named) if named else platformdirs.user_data_path("tuppence", appauthor=False) / "readings.sqlite"


class ReadingLog:
    """Readings in one SQLite file, for many processes; opened anew for each question, a few times a minute at most.

    Raises `SelfHostError` where the file cannot be opened, read or written.
    """

    def __init__(self, place: str | Path | None = None) -> None:
        self.place = (default_place() if place is None else Path(place)).expanduser().absolute()

    def add(self, scrape: Scrape) -> Reading:
        """Keep a scrape and return the reading that it makes; one older than the last is answered with the last."""
        with self._open(writing=True) as rows:
            found = _last(rows, scrape.server)
            if found is None:
                made = begun(scrape)
            elif scrape.at <= found[0].at:
                return found[0]
            else:
                made = (followed(*found, scrape),)
            rows.executemany(
                "INSERT INTO readings VALUES (?, ?, ?, ?, ?)",
                [(one.server, _us(one.at), _started(scrape), _json(scrape.counts), _json(one.totals)) for one in made],
            )
            return made[-1]

    def servers(self) -> list[str]:
        """List the servers that there are readings of."""
        with self._open() as rows:
            return [name for (name,) in rows.execute("SELECT DISTINCT server FROM readings ORDER BY server")]

    def served(self, server: str, *, since: float | None = None, until: float | None = None) -> Served | None:
        """Say what a server did in a window (Unix seconds), to the nearest readings; None with fewer than two in it.

        It begins at the last reading before `since`, or the first there is, and ends at the last before `until`.
        """
        with self._open() as rows:
            last = _reading(rows, server, "at_us <= ? ORDER BY at_us DESC", _us(until if until is not None else 1e11))
            first = None
            if since is not None:
                first = _reading(rows, server, "at_us <= ? ORDER BY at_us DESC", _us(since))
            first = first or _reading(rows, server, "at_us >= ? ORDER BY at_us", 0)
        if first is None or last is None or last.at <= first.at:
            return None
        return between(first, last)

    @contextmanager
    def _open(self, *, writing: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.place, timeout=_BUSY_S, isolation_level=None)) as rows:
                rows.execute("PRAGMA journal_mode=WAL")
                rows.execute(_SCHEMA)
                rows.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                yield rows
                rows.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise SelfHostError(
                f"readings cannot be kept in {self.place} ({error}): name a file in a folder that can be written"
            ) from error


def _last(rows: sqlite3.Connection, server: str) -> tuple[Reading, Scrape] | None:
    row = rows.execute(
        "SELECT at_us, started_us, counts, totals FROM readings WHERE server = ? ORDER BY at_us DESC LIMIT 1", (server,)
    ).fetchone()
    if row is None:
        return None
    at, started, counts, totals = row
    scrape = Scrape(server, at / 1e6, None if started is None else started / 1e6, json.loads(counts))
    return Reading(server, at / 1e6, json.loads(totals)), scrape


def _reading(rows: sqlite3.Connection, server: str, which: str, at_us: int) -> Reading | None:
    row = rows.execute(
        f"SELECT at_us, totals FROM readings WHERE server = ? AND {which} LIMIT 1",
        (server, at_us),
    ).fetchone()
    return None if row is None else Reading(server, row[0] / 1e6, json.loads(row[1]))


def _us(at: float) -> int:
    return round(at * 1e6)


def _started(scrape: Scrape) -> int | None:
    return None if scrape.started_at is None else _us(scrape.started_at)


def _json(counts: Mapping[str, float]) -> str:
    return json.dumps(dict(counts), separators=(",", ":"))
