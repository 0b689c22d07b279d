"""A process that writes calls into a ledger and keeps, in a file of its own, what it did: the tally.

The tally knows nothing of the ledger. A call is in it, synced to the disk, before it is handed to the ledger; and that
a flush returned is in it as soon as that is so.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tuppence import Usage
from tuppence.attempts import Attempt, Decision, Result
from tuppence.spend.ledger import Ledger, PostgresLedger, SqliteLedger
from tuppence.spend.ledger.places import is_address

MOST_AT_ONCE = 24
FLUSH_SHARE = 0.05


def opened(place: str) -> Ledger:
    return PostgresLedger(place) if is_address(place) else SqliteLedger(place)


def call(call_id: str, pico_usd: int) -> Result:
    """Make a call of one attempt, as a policy with a check leaves one."""
    attempt = Attempt(
        "small", "gpt-4o-mini", "draft", "accepted", Usage(input=812, output=190), pico_usd, "exact", "2025-11-01",
        time.time(), 950.0, score=0.93, baseline_pico=4 * pico_usd,
    )  # fmt: skip
    tags = {"user": f"u{hash(call_id) % 500}", "endpoint": "/chat", "task": "support"}
    return Result(call_id, None, [attempt], Decision("optimise", policy_version="p1", baseline="large"), tags)


def write_until_killed(place: str, tally: Path, name: str, seed: int) -> None:
    """Write handfuls of calls, at times with a flush after them, at a service's pace."""
    drawn = random.Random(seed)
    ledger = opened(place)
    count = 0
    with tally.open("w", buffering=1) as lines:
        while True:
            handful = [(f"{name}-{count + k}", drawn.randrange(10**12)) for k in range(drawn.randint(1, MOST_AT_ONCE))]
            at = time.monotonic()
            lines.writelines(f"W {call_id} {pico} {at}\n" for call_id, pico in handful)
            _sync(lines.fileno())
            for call_id, pico in handful:
                ledger.write(call(call_id, pico))
            count += len(handful)
            if drawn.random() < FLUSH_SHARE:
                ledger.flush(60)
                lines.write(f"D {count}\n")
                _sync(lines.fileno())
            time.sleep(drawn.random() * 0.01)


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)


@dataclass
class Tally:
    """What one process says that it did."""

    pico_usd: dict[str, int] = field(default_factory=dict)
    written_at: dict[str, float] = field(default_factory=dict)
    durable: int = 0
    """Calls, from the first on, that a flush has acknowledged."""

    @property
    def acknowledged(self) -> Iterator[str]:
        ids = iter(self.pico_usd)
        return (next(ids) for _ in range(self.durable))


def read_tally(path: Path) -> Tally:
    """Read a tally whose last line may have been cut."""
    found = Tally()
    if not path.exists():
        return found
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        kind, *values = line.split()
        if kind == "W":
            call_id, pico, at = values
            found.pico_usd[call_id], found.written_at[call_id] = int(pico), float(at)
        else:
            found.durable = int(values[0])
    return found
