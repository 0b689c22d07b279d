"""A month of made-up traffic: its results for the real ledger, its hours for big simulations, its truth.

    made = month(17, faults=("retry_storm",))
    made.results(), made.cells(by=("tier",)), made.truth.levers, made.changes[0].start_hour

Seeds up to 999 are for development; what is reported is measured on seeds from 10,000 on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from months import rows
from months.columns import Day
from months.drawing import drawn, fitted
from months.faults import Change
from months.hours import HourCell, hour_cells
from months.seasons import expected
from months.truth import Truth, truth_of
from months.world import World, world
from tuppence.attempts import Result

if TYPE_CHECKING:
    from tuppence.spend import Feedback


class Month:
    """Made day by day, anew at every pass, so that no month has to fit into memory."""

    def __init__(self, made: World, changes: Sequence[Change]) -> None:
        self.world = made
        self.changes = tuple(changes)
        """What was injected, with its moment and size."""

    @property
    def start(self) -> datetime:
        """The first moment, a first of a month in UTC."""
        return self.world.start

    @property
    def end(self) -> datetime:
        return self.world.start + timedelta(days=self.world.days)

    @property
    def control(self) -> Month:
        """The same month with nothing injected."""
        return Month(self.world, ())

    @cached_property
    def expected(self) -> np.ndarray:
        """Mean sessions by [endpoint, hour]."""
        return expected(self.world, self.changes)

    def days(self) -> Iterator[Day]:
        """Yield the calls that began on each day."""
        for number in range(self.world.days):
            yield Day(self.world, self.changes, self.expected, number)

    def results(self) -> Iterator[Result]:
        """Yield settled results, those of a day together."""
        for day in self.days():
            yield from rows.results(day)

    def feedback(self) -> Iterator[Feedback]:
        """Yield what judges of live traffic gave."""
        for day in self.days():
            yield from rows.feedback(day)

    def cells(self, *, by: Sequence[str] = ("tier",), every: str = "hour") -> list[HourCell]:
        """Add up by tier, model, cause, outcome, mode or a tag, and by hour or day."""
        return hour_cells(self.world, self.days(), by, every)

    def scores(self) -> list[tuple[int, int, float]]:
        """Return hours with judged calls: hour of the month, calls judged, sum of their scores."""
        found: dict[int, tuple[int, float]] = {}
        for day in self.days():
            calls, scores = day.grades
            for hour, score in zip((day.calls.at[calls] // 3600).astype(int).tolist(), scores.tolist(), strict=True):
                count, total = found.get(hour, (0, 0.0))
                found[hour] = count + 1, total + score
        return [(hour, *found[hour]) for hour in sorted(found)]

    @cached_property
    def truth(self) -> Truth:
        return truth_of(self.world, self.changes, self.days())


def month(seed: int, *, days: int = 31, faults: Sequence[str | Change] = (), calls_a_day: float | None = None) -> Month:
    """Make a month, or several in one piece, from a seed; a fault is drawn by its name, or given.

    A month of more days begins as one of fewer. Up to the day on which its first fault starts, a month is the same,
    call by call, as its `control`. `calls_a_day` sets the volume in place of the drawn one.
    """
    made = world(seed, days=days, calls_a_day=calls_a_day)
    given = [one for one in faults if isinstance(one, Change)]
    made = fitted(made, [one.kind if isinstance(one, Change) else one for one in faults], given)
    return Month(made, [one if isinstance(one, Change) else drawn(seed, one, made) for one in faults])
