"""One day of a month with everything about it, a column each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from months.arrivals import arrived
from months.climbs import (
    ACCEPTED,
    CAUSES,
    FAILED,
    HIT,
    OBSERVED,
    OUTCOMES,
    RETRY,
    SIMILAR,
    VALIDATION,
    Climb,
)
from months.faults import Change
from months.pricing import priced
from months.world import World

Names = Callable[[int], str | None]


class Day:
    """Calls that began on one day, their attempts and their money."""

    def __init__(self, world: World, changes: Sequence[Change], expected: np.ndarray, number: int) -> None:
        self.world = world
        self.number = number
        self.calls = arrived(world, changes, expected, number)
        climb = Climb(world, changes, self.calls, number)
        self.rows = climb.all()
        self.grades = climb.grades
        self.money = priced(world, changes, self.calls, self.rows)
        rows = self.rows
        # Results of one call follow each other: the call's own, a framework's further try, a judge's.
        result = rows.call * 4 + rows.again * 2 + rows.judged
        self.begins = np.flatnonzero(np.diff(result, prepend=-1))
        self.n = np.arange(len(rows)) - np.repeat(self.begins, np.diff(self.begins, append=len(rows))) + 1
        self.own = (self.n == 1) & (rows.again == 0)
        self.hit = rows.outcome == HIT
        self.failed = rows.outcome == FAILED
        self.retry = (rows.cause == RETRY) | (rows.cause == VALIDATION)
        self.compared, self.answers = self._compared()

    def _compared(self) -> tuple[np.ndarray, np.ndarray]:
        """Mark all rows of the calls that have a saving, and of these the rows that answered."""
        rows, count = self.rows, len(self.calls)
        answer = (rows.outcome == ACCEPTED) | self.hit
        unpriced = np.zeros(count, bool)
        unpriced[rows.call[self.money.pico < 0]] = True
        answered = np.zeros(count, bool)
        answered[rows.call[answer & (self.money.baseline >= 0)]] = True
        compared = (answered & ~unpriced)[rows.call]
        return compared, answer & compared

    def labels(self, name: str) -> tuple[np.ndarray, Names]:
        """Return a dimension as one number a row, and what the numbers mean."""
        world, rows, calls = self.world, self.rows, self.calls
        if name in ("tier", "model"):
            spell = tier_name if name == "tier" else _model
            return rows.tier, lambda code: spell(world, code)
        if name in ("cause", "outcome"):
            spelt = list(CAUSES if name == "cause" else OUTCOMES)
            return getattr(rows, name), lambda code: spelt[code]
        if name == "mode":
            mode = np.where(rows.judged == 1, 2, (rows.outcome == OBSERVED).astype(int))
            return mode, lambda code: ("optimise", "observed", "judged")[code]
        column = {"user": calls.user, "tenant": calls.user % world.tenants, "session": calls.session}
        codes = column.get(name, calls.endpoint)[rows.call]
        return codes, lambda code: tag(world, name, code)


def tag(world: World, name: str, code: int) -> str | None:
    """Spell a tag's value."""
    if name == "endpoint":
        return world.endpoints[code].name
    if name == "workflow":
        return world.endpoints[code].workflow
    if name == "task":
        return world.endpoints[code].kind
    return {"user": f"user-{code:04}", "tenant": f"tenant-{code}", "session": f"session-{code}"}[name]


def _model(world: World, code: int) -> str:
    return world.tiers[code if code >= 0 else world.ladder - 1].model


def tier_name(world: World, code: int) -> str:
    return world.tiers[code].name if code >= 0 else "similar" if code == SIMILAR else "cache"
