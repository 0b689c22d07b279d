"""Trials: processes write into one ledger, each is killed at some moment, and it is held against their tallies."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ledger_parts.writing import opened, read_tally, write_until_killed
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts

LONGEST_S = 1.5
"""A process lives for up to this long after it began to write."""


@dataclass
class Outcome:
    """What one trial found, or all of them together."""

    rows: int = 0
    acknowledged: int = 0
    lost_durable: int = 0
    lost_in_window: int = 0
    oldest_lost_ms: float = 0.0
    duplicates: int = 0
    tally_equal: bool = True

    def add(self, other: Outcome) -> None:
        self.rows += other.rows
        self.acknowledged += other.acknowledged
        self.lost_durable += other.lost_durable
        self.lost_in_window += other.lost_in_window
        self.oldest_lost_ms = max(self.oldest_lost_ms, other.oldest_lost_ms)
        self.duplicates += other.duplicates
        self.tally_equal &= other.tally_equal


def trial(place: str, *, processes: int, seed: int) -> Outcome:
    """Let processes write, kill each at a moment of its own, have another program open the ledger, and compare."""
    drawn = random.Random(seed)
    opened(place).close()
    with tempfile.TemporaryDirectory() as name:
        tallies = [Path(name) / f"{k}.tally" for k in range(processes)]
        children = [
            _forked(lambda k=k: write_until_killed(place, tallies[k], f"p{k}", 1000 * seed + k))  # type: ignore[misc]
            for k in range(processes)
        ]
        _wait_for(tallies)
        killed = _kill_at_random(children, drawn)
        # What a killed process had begun, the database takes back or completes now.
        opened(place).close()
        return _compared(place, tallies, killed)


def _forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return child


def _wait_for(tallies: list[Path]) -> None:
    while not all(tally.exists() and tally.stat().st_size for tally in tallies):
        time.sleep(0.005)


def _kill_at_random(children: list[int], drawn: random.Random) -> list[float]:
    """Return when each was killed, in the order of the children."""
    began = time.monotonic()
    moments = {child: began + drawn.random() * LONGEST_S for child in children}
    killed = {}
    for child, moment in sorted(moments.items(), key=lambda item: item[1]):
        time.sleep(max(0.0, moment - time.monotonic()))
        os.kill(child, signal.SIGKILL)
        killed[child] = time.monotonic()
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            raise RuntimeError(f"a writer ended by itself with {status}")
    return [killed[child] for child in children]


def _compared(place: str, tallies: list[Path], killed: list[float]) -> Outcome:
    with reading(place) as connection:
        found = connection.execute(attempts.select().with_only_columns(attempts.c.call_id, attempts.c.pico_usd)).all()
    counts = Counter(row.call_id for row in found)
    outcome = Outcome(rows=len(found), duplicates=len(found) - len(counts))
    expected = 0
    for tally, moment in zip(map(read_tally, tallies), killed, strict=True):
        acknowledged = set(tally.acknowledged)
        outcome.acknowledged += len(acknowledged)
        for call_id, pico in tally.pico_usd.items():
            if call_id in counts:
                expected += pico
            elif call_id in acknowledged:
                outcome.lost_durable += 1
            else:
                outcome.lost_in_window += 1
                age_ms = 1000 * (moment - tally.written_at[call_id])
                outcome.oldest_lost_ms = max(outcome.oldest_lost_ms, age_ms)
    # A row that no tally knows makes these differ too.
    outcome.tally_equal = sum(row.pico_usd for row in found) == expected
    return outcome
