"""What a file of experiments holds, as two arms of units. Reads in one pass; keeps a few numbers an arm, no rows.

A unit belongs to the arm in which it was first exposed; what it did in the other, after the share had grown, is left
out. A call that a framework made again under the same id is one call: its money and time added up, its last end counts.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuppence.evidence.experiments.file import ExperimentError, reading
from tuppence.evidence.experiments.moments import Moments, Unit
from tuppence.prices import PicoUSD

_UNITS = """
WITH calls AS (
    SELECT o.unit AS unit, o.call_id AS call_id, max(o.at) AS at, o.failed AS failed,
        CASE WHEN count(*) = count(o.pico_usd) THEN sum(o.pico_usd) END AS pico,
        CASE WHEN count(*) = count(o.latency_ms) THEN sum(o.latency_ms) END AS latency
    FROM observations o JOIN exposures e ON e.experiment = o.experiment AND e.unit = o.unit
    WHERE o.experiment = :experiment AND o.arm = e.arm
    GROUP BY o.unit, o.call_id
)
SELECT e.arm, count(*), sum(c.pico),
    count(c.pico), total(1.0 * c.pico * c.pico), avg(c.latency), count(c.latency), total(c.latency * c.latency),
    avg(c.failed), count(c.failed), total(c.failed), avg(s.score), count(s.score), total(s.score * s.score)
FROM calls c JOIN exposures e ON e.experiment = :experiment AND e.unit = c.unit
LEFT JOIN scores s ON s.call_id = c.call_id
GROUP BY c.unit
"""
_MOVED = """
SELECT count(DISTINCT o.unit) FROM observations o
JOIN exposures e ON e.experiment = o.experiment AND e.unit = o.unit
WHERE o.experiment = ? AND o.arm <> e.arm
"""


@dataclass(slots=True)
class ArmSeen:
    """One arm, unit by unit."""

    exposed: int = 0
    """Units that were sent this way."""
    calls: int = 0
    scored: int = 0
    """Calls whose answer was graded."""
    pico_usd: PicoUSD = 0
    """Sum of the priced calls."""
    priced: int = 0
    quality: Moments = field(default_factory=Moments)
    """Mean score of each unit that has one."""
    errors: Moments = field(default_factory=Moments)
    """Share of each unit's calls that nothing answered."""
    latency_ms: Moments = field(default_factory=Moments)
    cost: Moments = field(default_factory=Moments)
    """Pico-USD a call of each unit."""

    def count(
        self, calls: int, pico_usd: PicoUSD, *, cost: Unit | None, latency_ms: Unit | None, errors: Unit | None,
        quality: Unit | None,
    ) -> None:  # fmt: skip
        """Count what one unit has done; None where a measure is not known of any of its calls."""
        self.calls += calls
        self.pico_usd += pico_usd
        self.priced += 0 if cost is None else cost.calls
        self.scored += 0 if quality is None else quality.calls
        measured = ((self.cost, cost), (self.latency_ms, latency_ms), (self.errors, errors), (self.quality, quality))
        for moments, unit in measured:
            if unit is not None:
                moments.add(unit)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an experiment has seen so far."""

    experiment: str
    treatment: ArmSeen
    control: ArmSeen
    moved: int = 0
    """Units that met the other arm later: only what they did in their first counts."""
    shares: tuple[tuple[float, int, int], ...] = ()
    """Each share that was in force, oldest first, with the units that treatment and control got under it."""
    first: float | None = None
    """When the first unit was exposed, Unix seconds."""
    last: float | None = None
    """When the last unit was."""


def experiments_in(path: str | Path) -> list[str]:
    """Name the experiments of a file, in order; raise `ExperimentError` for a file that is none."""
    with reading(Path(path)) as rows:
        return [name for (name,) in rows.execute("SELECT DISTINCT experiment FROM exposures ORDER BY experiment")]


def read_experiment(path: str | Path, experiment: str) -> Seen:
    """Read one experiment; raise `ExperimentError` for a file that is none, or a name that it does not hold."""
    with reading(Path(path)) as rows:
        # One view of the file, whatever is written meanwhile.
        rows.execute("BEGIN")
        arms = {"treatment": ArmSeen(), "control": ArmSeen()}
        shares = _shares(rows, experiment, arms)
        if not shares:
            known = [name for (name,) in rows.execute("SELECT DISTINCT experiment FROM exposures ORDER BY 1")]
            raise ExperimentError(f"{path} holds no experiment {experiment!r}: it has {', '.join(known) or 'none yet'}")
        for arm, calls, pico, *sums in rows.execute(_UNITS, {"experiment": experiment}):
            _count(arms[arm], calls, pico, sums)
        (moved,) = rows.execute(_MOVED, (experiment,)).fetchone()
        first, last = rows.execute(
            "SELECT min(at), max(at) FROM exposures WHERE experiment = ?", (experiment,)
        ).fetchone()
    return Seen(experiment, arms["treatment"], arms["control"], moved, shares, first, last)


def _count(arm: ArmSeen, calls: int, pico: int | None, sums: list[Any]) -> None:
    priced, pico_squares, latency, timed, latency_squares, failed, ended, failures, score, scored, score_squares = sums
    arm.count(
        calls, pico or 0,
        cost=_unit(None if pico is None else pico / priced, priced, pico_squares),
        latency_ms=_unit(latency, timed, latency_squares),
        errors=_unit(failed, ended, failures),
        quality=_unit(score, scored, score_squares),
    )  # fmt: skip


def _unit(mean: float | None, calls: int, squares: float) -> Unit | None:
    """Make a unit of its calls' mean, number, and sum of squares around 0."""
    return None if mean is None else Unit(mean, calls, max(0.0, squares - calls * mean * mean))


def _shares(rows: sqlite3.Connection, experiment: str, arms: dict[str, ArmSeen]) -> tuple[tuple[float, int, int], ...]:
    found = []
    for share, treated, kept in rows.execute(
        "SELECT share, sum(arm = 'treatment'), sum(arm = 'control') FROM exposures WHERE experiment = ? "
        "GROUP BY share ORDER BY min(at)",
        (experiment,),
    ):
        found.append((share, treated, kept))
        arms["treatment"].exposed += treated
        arms["control"].exposed += kept
    return tuple(found)
