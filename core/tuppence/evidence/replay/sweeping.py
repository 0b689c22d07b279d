"""The curve of a policy over thresholds: what each row would have cost, and been worth, at any of them. The policy is
played once with no draft kept, and every threshold is then read off the scores that its drafts got.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuppence.effects import Choice, Route
from tuppence.evidence.metrics.curves import Curve
from tuppence.evidence.replay.playing import Played, Player
from tuppence.evidence.replay.recorded import Recorded, outcome_of
from tuppence.policy import Policy
from tuppence.request import Request
from tuppence.tiers import Tier

GRID = tuple(index / 100 for index in range(101))
_PICO_PER_USD = 10**12


@dataclass(frozen=True, slots=True)
class KeepNothing:
    """A policy's own route, with a threshold that no draft reaches; a threshold that the route gives is put aside."""

    inner: Route | None

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice:
        choice = None if self.inner is None else self.inner(request, ladder)
        return replace(choice or Choice(ladder, "cheapest first"), threshold=math.inf)


class Sweep:
    """Sums of cost and quality at each of a few thresholds."""

    __slots__ = ("_climbs", "_player", "_rows", "_sums", "_tiers", "thresholds")

    def __init__(self, policy: Policy, thresholds: Sequence[float]) -> None:
        retries = replace(policy.retries, validation=0)
        self._player = Player(policy.override(route=KeepNothing(policy.route), retries=retries))
        self._tiers = {tier.name: tier for tier in self._player.policy.tiers}
        self.thresholds = np.append(np.asarray(thresholds, dtype=np.float64), math.inf)
        self._sums = np.zeros((3, len(self.thresholds)))
        self._rows = 0
        self._climbs: list[list[tuple[float, float, float]]] = []

    def add(self, row: Recorded) -> None:
        """Play a row up the whole ladder; one that lacks an outcome is left out."""
        played = self._player.play(row)
        if not played.missing and played.answered and played.pico_usd is not None:
            climb = self._climb(played, row)
            if climb is not None:
                self._climbs.append(climb)

    def curve(self) -> Curve | None:
        """Return the curve over the rows so far; None without any. The last threshold keeps no draft."""
        self.flush()
        if not self._rows:
            return None
        kept, cost, quality = self._sums / self._rows
        return Curve(self.thresholds, kept, cost, quality)

    def flush(self) -> None:
        """Read every threshold off the rows that wait."""
        if not self._climbs:
            return
        rungs = max(map(len, self._climbs))
        table = np.array([climb + climb[-1:] * (rungs - len(climb)) for climb in self._climbs])
        enough = table[:, :, 0, None] >= self.thresholds
        chosen = enough.argmax(axis=1)
        rows = np.arange(len(table))[:, None]
        first = (chosen == 0) & (np.array(list(map(len, self._climbs))) > 1)[:, None]
        self._sums += first.sum(axis=0), table[rows, chosen, 1].sum(axis=0), table[rows, chosen, 2].sum(axis=0)
        self._rows += len(table)
        self._climbs.clear()

    def _climb(self, played: Played, row: Recorded) -> list[tuple[float, float, float]] | None:
        """Return score, cost so far in USD, and quality of each rung's answer; None where one is not graded."""
        assert played.result is not None
        rungs: list[tuple[float, float, float]] = []
        spent = 0
        for attempt in played.result.attempts:
            spent += attempt.pico_usd or 0
            if attempt.outcome == "consulted" and rungs:
                # A check's helper is paid before its draft can be kept.
                rungs[-1] = (rungs[-1][0], spent / _PICO_PER_USD, rungs[-1][2])
                continue
            outcome = outcome_of(self._tiers[attempt.tier], row.outcomes.by_model)
            if outcome is None or outcome.score is None:
                return None
            score = math.inf if attempt.outcome == "accepted" else attempt.score or 0.0
            rungs.append((score, spent / _PICO_PER_USD, outcome.score))
        return rungs
