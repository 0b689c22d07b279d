"""A made-up month added up as the ledger would be read, without a ledger."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from months import Month
from months.columns import Day
from months.hours import hour_cells

from tuppence.spend.alerts.facts import SUMS, Facts, Run, Totals
from tuppence.spend.digest.segments import segment

HOUR_US = 3_600_000_000


def facts_of(made: Month, days: Iterable[Day] | None = None) -> Facts:
    """Add up a month, or some of its days."""
    first, hours = int(made.start.timestamp()) // 3600, made.world.days * 24
    sums: dict[Any, np.ndarray] = {}
    users: list[dict[str, int]] = [{} for _ in range(hours)]
    scores = np.zeros((2, hours))
    facts = Facts(first)
    for day in made.days() if days is None else days:
        for cell in hour_cells(made.world, [day], ("endpoint", "tier", "model", "outcome"), "hour"):
            hour = cell.start_us // HOUR_US - first
            if hour < hours:
                held = sums.setdefault(cell.key[:3], np.zeros((len(SUMS), hours), np.int64))
                held[:, hour] += [getattr(segment(cell), name) for name in SUMS]
        for cell in hour_cells(made.world, [day], ("user",), "hour"):
            hour = cell.start_us // HOUR_US - first
            if hour < hours and cell.key[0]:
                tokens = cell.input_tokens + cell.output_tokens
                users[hour][cell.key[0]] = users[hour].get(cell.key[0], 0) + tokens
        calls, graded = day.grades
        at = (day.calls.at[calls] // 3600).astype(int)
        np.add.at(scores[0], at, graded)
        np.add.at(scores[1], at, 1)
        facts.runs += _runs(day)
    facts.sums = {key: tuple(Totals(column) for column in held.tolist()) for key, held in sums.items()}
    facts.users = users
    facts.runs.sort(key=lambda run: run.hour)
    facts.scores = Totals(scores[0].tolist()), Totals(scores[1].tolist())
    return facts


def _runs(day: Day) -> Iterator[Run]:
    """Yield a day's sessions: what their first call was given, and how many calls they made."""
    rows, calls = day.rows, day.calls
    own = np.flatnonzero(day.own)
    call = rows.call[own]
    session = calls.session[call]
    order = np.lexsort((calls.at[call], session))
    session, call, own = session[order], call[order], own[order]
    begins = np.flatnonzero(np.diff(session, prepend=-1))
    lengths = np.diff(begins, append=len(session))
    size = rows.used[own[begins], :3].sum(axis=1)
    hour = (calls.at[call[begins]] // 3600).astype(int)
    names = [f"{one.workflow} {one.name}" for one in day.world.endpoints]
    place = calls.endpoint[call[begins]]
    for at, tokens, length, endpoint in zip(
        hour.tolist(), size.tolist(), lengths.tolist(), place.tolist(), strict=True
    ):
        if tokens:
            yield Run(names[endpoint], at, tokens, length)


def kept(folder: Path | None, seed: int, made: Month) -> Facts:
    """Return a month's facts from a folder, or add it up and keep it there: adding up takes most of a run."""
    if folder is None:
        return facts_of(made)
    path = folder / f"f{seed}.pkl"
    if not path.exists():
        found = facts_of(made)
        folder.mkdir(parents=True, exist_ok=True)
        hours = {key: [one.before for one in totals] for key, totals in found.sums.items()}
        scores = [one.before for one in found.scores]
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(pickle.dumps((found.first, hours, scores, found.users, found.runs), -1))
        part.replace(path)
    first, hours, scores, users, runs = pickle.loads(path.read_bytes())[:5]
    sums = {key: tuple(map(_totals, columns)) for key, columns in hours.items()}
    return Facts(first, sums, tuple(map(_totals, scores)), users, runs)


def _totals(before: list[float]) -> Totals:
    made = Totals(())
    made.before = before
    return made
