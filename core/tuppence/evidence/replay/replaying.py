"""Replay recorded traffic through one policy, or two beside each other, in memory that does not grow with the traffic.

What is shown never stands alone: the same rows are put through every single model, a random mix of the same cost, the
task's label and the oracle, and all of it gets intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from tuppence.errors import ConfigError
from tuppence.evidence.outcomes import Outcomes, RecordedCall
from tuppence.evidence.replay.bootstrap import DRAWS, PoissonBootstrap, row_key
from tuppence.evidence.replay.columns import Layout
from tuppence.evidence.replay.counting import Counts
from tuppence.evidence.replay.playing import Played, Player
from tuppence.evidence.replay.recorded import Recorded, alone, recorded
from tuppence.evidence.replay.report import Report
from tuppence.evidence.replay.summing_up import summed_up
from tuppence.evidence.replay.sweeping import Sweep
from tuppence.evidence.replay.task_labels import Labels
from tuppence.policy import Policy

# Rows that wait to be resampled together: enough for numpy to be quick, some 16 MB with a thousand resamples.
_CHUNK = 2_048
_Measured = tuple[float, ...]
Row = Outcomes | RecordedCall | Recorded | None
"""What can be replayed; None is a recorded call that only a cache answered."""


def replay(
    rows: Iterable[Row], policy: Policy, *, against: Policy | None = None, thresholds: Sequence[float] = (),
    draws: int = DRAWS,
) -> Report:  # fmt: skip
    """Run recorded rows through `policy`, and through `against` where there is one, and say what would have come of it.

    The rows are read once and none is kept. `thresholds` asks for the curve of `policy` over them, at the price of one
    more run; `draws` is the number of resamples that intervals come from. A row is *compared* where both policies can
    be replayed on it; what a row lacks is never guessed. No model is called, and a policy's cache and prefix planner
    are not replayed. A route that learns begins afresh, and learns from the replay.
    """
    replaying = Replaying(policy, against=against, thresholds=thresholds, draws=draws)
    for row in rows:
        replaying.add(row)
    return replaying.report()


class Replaying:
    """A replay under way: rows may be added, and the report asked for, at any time."""

    __slots__ = (
        "_bootstrap", "_counts", "_labels", "_layout", "_models", "_only_cached", "_players", "_sweep", "_waiting",
        "rows",
    )  # fmt: skip

    def __init__(
        self, policy: Policy, *, against: Policy | None = None, thresholds: Sequence[float] = (), draws: int = DRAWS
    ) -> None:
        policies = (policy,) if against is None else (policy, against)
        self._players = tuple(Player(one) for one in policies)
        self._counts = tuple(Counts() for _ in policies)
        self._models = tuple(tier for tier in self._players[0].policy.tiers if tier.answer is None)
        if not self._models:
            raise ConfigError("the policy has functions for tiers and no model: add the model that would answer else")
        self._layout = Layout(policies=len(policies), models=len(self._models))
        self._bootstrap = PoissonBootstrap(self._layout.width, draws=draws)
        self._labels = Labels(len(self._models))
        self._sweep = Sweep(policy, thresholds) if len(thresholds) else None
        # One list: Ctrl-C may come between two.
        self._waiting: list[tuple[_Measured, int, str]] = []
        self._only_cached = 0
        self.rows = 0

    def add(self, given: Row) -> None:
        """Play one row; of a call that only a cache answered, nobody knows what a model would have said."""
        row = None if given is None else recorded(given)
        if row is None:
            self.rows += 1
            self._only_cached += 1
            return
        played = [player.play(row) for player in self._players]
        values = self._measured(row.outcomes, played)
        self.rows += 1
        if values is None:
            return
        if self._sweep is not None and not any(map(math.isnan, values)):
            self._sweep.add(row)
        told = row.outcomes
        self._waiting.append((values, row_key(told.id), told.task or told.dataset))
        if len(self._waiting) >= _CHUNK:
            self._flush()

    def report(self) -> Report:
        """Say what came of the rows so far."""
        self._flush()
        curve = None if self._sweep is None else self._sweep.curve()
        return summed_up(
            self.rows, self._only_cached, [tier.name for tier in self._models], self._counts, self._bootstrap,
            self._layout, self._labels, curve,
        )  # fmt: skip

    def _measured(self, row: Outcomes, played: Sequence[Played]) -> _Measured | None:
        """Return cost (USD) and quality of each policy, then of each model alone; None for a row that is left out."""
        # Each policy counts what it cannot be replayed on, whatever the others can.
        left_out = [counts.left_out(one) for counts, one in zip(self._counts, played, strict=True)]
        if any(left_out):
            return None
        values: list[float] = []
        for counts, one in zip(self._counts, played, strict=True):
            counts.add(one)
            values += _usd(one.pico_usd), _known(one.score)
        for tier in self._models:
            pico, score = alone(tier, row)
            values += _usd(pico), _known(score)
        return tuple(values)

    def _flush(self) -> None:
        if self._sweep is not None:
            self._sweep.flush()
        if not self._waiting:
            return
        measured, hashed, tasks = zip(*self._waiting, strict=True)
        values, keys = np.array(measured), np.array(hashed, dtype=np.uint64)
        self._bootstrap.add(keys, self._layout.columns(values))
        complete, cost, quality = self._layout.alone(values)
        self._labels.add([task for task, whole in zip(tasks, complete, strict=True) if whole], keys[complete],
                         quality[complete], cost[complete])  # fmt: skip
        self._waiting.clear()


def _usd(pico: int | None) -> float:
    return math.nan if pico is None else pico / 10**12


def _known(score: float | None) -> float:
    return math.nan if score is None else score
