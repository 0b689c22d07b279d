"""One day's calls answered: cache, batch lane, drafts, retries, escalations; every attempt a row, unpriced as yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from months.arrivals import HOUR_S, Calls
from months.faults import Change
from months.ladder import BATCH, STANDARD
from months.world import World

CAUSES = (
    "draft", "retry", "validation_retry", "escalation", "fallback", "judge", "hit", "observed",
)  # fmt: skip
OUTCOMES = ("accepted", "rejected", "failed", "abandoned", "consulted", "hit", "observed")
STATUSES = ("exact", "estimated", "unpriced")
DRAFT, RETRY, VALIDATION, ESCALATION, FALLBACK, JUDGE, HIT_CAUSE, OBSERVED_CAUSE = range(len(CAUSES))
ACCEPTED, REJECTED, FAILED, ABANDONED, CONSULTED, HIT, OBSERVED = range(len(OUTCOMES))
EXACT, ESTIMATED, UNPRICED = range(len(STATUSES))
CACHE, SIMILAR = -1, -2
"""Places of the caches among the tiers."""
_RETRIES = 2


@dataclass(slots=True)
class Attempts:
    """Attempts of one day, a row each, in the order of their calls; `call` is the place among the day's calls."""

    call: np.ndarray
    again: np.ndarray
    judged: np.ndarray
    order: np.ndarray
    """Rounds, rising within a call: what attempts of a call are numbered by."""
    at: np.ndarray
    latency_ms: np.ndarray
    tier: np.ndarray
    cause: np.ndarray
    outcome: np.ndarray
    status: np.ndarray
    lane: np.ndarray
    used: np.ndarray
    """Tokens by [row, bucket]."""
    score: np.ndarray
    """What the check gave, NaN where there was none."""

    def __len__(self) -> int:
        return len(self.call)

    def only(self, these: np.ndarray) -> Attempts:
        return Attempts(*(getattr(self, one.name)[these] for one in fields(self)))


def joined(parts: Sequence[Attempts]) -> Attempts:
    return Attempts(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Attempts)))


class Climb:
    """The calls of one day on their way up."""

    def __init__(self, world: World, changes: Sequence[Change], calls: Calls, day: int) -> None:
        self.world = world
        self.changes = changes
        self.calls = calls
        self.rng = np.random.default_rng([world.seed, 4, day])
        self.rows: list[Attempts] = []
        self.now = calls.at.copy()
        self.round = 0
        self.grades: tuple[np.ndarray, np.ndarray] = (calls.turn[:0], calls.at[:0])
        """Calls that a judge graded, and its scores."""
        self.speed = np.array([tier.tokens_per_s for tier in world.tiers])
        self.writes = np.array([tier.writes for tier in world.tiers])

    def all(self) -> Attempts:
        """Answer every call, and let a framework try again what failed; return the attempts by call, in order."""
        kind = self._of("kind")
        plain = np.flatnonzero((kind == "chat") | (kind == "run"))
        asked = plain[~self._hits(plain)]
        batched = self.rng.random(len(asked)) < self._of("batched")[asked]
        self._once(asked[batched], self.world.ladder - 1, DRAFT, ACCEPTED, BATCH)
        self._once(np.flatnonzero(kind == "odd"), self.world.ladder, DRAFT, ACCEPTED, STANDARD)
        self._once(np.flatnonzero(kind == "embed"), self.world.ladder + 1, OBSERVED_CAUSE, OBSERVED, STANDARD)
        failed = self._up(asked[~batched], again=False)
        retried = failed[self.rng.random(len(failed)) < 0.5]
        self.now[retried] += 5.0
        self._up(retried, again=True)
        self._grade()
        made = joined(self.rows)
        return made.only(np.lexsort((made.order, made.call)))

    def _grade(self) -> None:
        """Let a judge of live traffic grade a share of the answers, afterwards and under the calls that it judges."""
        answered = np.concatenate([rows.call[rows.outcome == ACCEPTED] for rows in self.rows])
        graded = np.sort(answered[self.rng.random(len(answered)) < self.world.judged])
        self.round += 1
        self.now[graded] += 60.0
        used = np.zeros((len(graded), 4), np.int64)
        used[:, 0], used[:, 3] = self.calls.prompt[graded] + self.calls.answer[graded] + 400, 60
        self._write(graded, self.world.ladder - 1, JUDGE, CONSULTED, STANDARD, used, again=True)
        self.rows[-1].judged[:] = 1
        drift = self._level("judge_drift", graded)
        self.grades = (graded, np.clip(self.rng.beta(8, 2, len(graded)) - drift, 0.0, 1.0))

    def _of(self, name: str) -> np.ndarray:
        return np.array([getattr(one, name) for one in self.world.endpoints])[self.calls.endpoint]

    def _level(self, kind: str, calls: np.ndarray) -> np.ndarray:
        """Return the sizes of all changes of one kind at these calls, added up."""
        level = np.zeros(len(calls))
        for change in self.changes:
            if change.kind == kind:
                here = change.endpoint is None or self.calls.endpoint[calls] == change.endpoint
                level += np.where(here, change.level(self.calls.at[calls] / HOUR_S) * change.size, 0.0)
        return level

    def _hits(self, calls: np.ndarray) -> np.ndarray:
        """Serve from the cache what it holds; say which calls those are."""
        held = 1.0 - np.minimum(1.0, self._level("cache_broken", calls))
        draw = self.rng.random(len(calls))
        first = self.calls.turn[calls] == 0
        exact = np.where(first, 1.0, 0.25) * self._of("exact")[calls] * held
        similar = exact + np.where(first, 1.0, 0.1) * self._of("similar")[calls] * held
        for tier, these in ((CACHE, draw < exact), (SIMILAR, (draw >= exact) & (draw < similar))):
            hit = calls[these]
            self._write(hit, tier, HIT_CAUSE, HIT, STANDARD, np.zeros((len(hit), 4), np.int64), again=False)
        return np.asarray(draw < similar)

    def _once(self, calls: np.ndarray, tier: int, cause: int, outcome: int, lane: int) -> None:
        """Ask one tier, which answers: no check, no prompt cache."""
        self.round += 1
        used = np.zeros((len(calls), 4), np.int64)
        used[:, 0], used[:, 3] = self.calls.prompt[calls], self.calls.answer[calls]
        self._write(calls, tier, cause, outcome, lane, used, again=False)

    def _up(self, calls: np.ndarray, *, again: bool) -> np.ndarray:
        """Climb the ladder round by round; return the calls that nobody answered."""
        top = self.world.ladder - 1
        drafted = (1.0 - self._of("straight")[calls]) * (1.0 - np.minimum(1.0, self._level("tier_shift", calls)))
        straight = self.rng.random(len(calls)) >= drafted
        tier = np.where(straight, top, 0)
        cause = np.full(len(calls), RETRY if again else DRAFT)
        tries = np.zeros(len(calls), np.int64)
        unanswered = [calls[:0]]
        while len(calls):
            self.round += 1
            outcome = self._ask(calls, tier, cause, tries, again=again)
            failed, invalid = outcome == FAILED, (outcome == REJECTED) & (tier == top)
            tries = np.where(failed | invalid, tries + 1, 0)
            spent = tries > _RETRIES
            lost = failed & spent & (tier == top)
            unanswered.append(calls[lost])
            go_on = (failed | (outcome == REJECTED)) & ~lost
            cause = np.select([failed & spent, failed, invalid], [FALLBACK, RETRY, VALIDATION], ESCALATION)
            up = (outcome == REJECTED) & ~invalid | (failed & spent)
            tier = np.minimum(top, tier + up)
            tries = np.where(up, 0, tries)
            calls, tier, cause, tries = calls[go_on], tier[go_on], cause[go_on], tries[go_on]
        return np.concatenate(unanswered)

    def _ask(self, calls: np.ndarray, tier: np.ndarray, cause: np.ndarray, tries: np.ndarray, *, again: bool) -> Any:
        """Ask each call's tier once, write it down and return the outcomes."""
        top = self.world.ladder - 1
        storm = self._level("retry_storm", calls)
        flavour = next((one.flavour for one in self.changes if one.kind == "retry_storm"), 0)
        failing = self.world.failing + (storm if flavour % 2 else 0.0)
        invalid = np.where(cause == VALIDATION, 0.5, 1.0) * (0.003 + (0.0 if flavour % 2 else storm))
        draw, check = self.rng.random(len(calls)), self.rng.random(len(calls))
        good = check < np.where(tier == top, 1.0 - invalid, self._of("accepted")[calls])
        # What fails its validation too often is let through, as the last answer there will be.
        good |= (tier == top) & (tries >= _RETRIES)
        outcome = np.where(draw < failing, FAILED, np.where(good, ACCEPTED, REJECTED))
        outcome = np.where((outcome != FAILED) & (draw > 0.998), ABANDONED, outcome)
        billed = self.rng.random(len(calls)) < self.world.billed_failures
        used = self._tokens(calls, tier)
        used[outcome == FAILED, 3] = 0
        used[(outcome == FAILED) & ~billed] = 0
        status = np.where(((outcome == FAILED) & billed) | (outcome == ABANDONED), ESTIMATED, EXACT)
        score = np.where(tier == top, np.nan, np.where(good, 0.7 + 0.3 * check, 0.7 * check))
        score[(outcome == FAILED) | (outcome == ABANDONED)] = np.nan
        self._write(calls, tier, cause, outcome, STANDARD, used, again=again, status=status, score=score)
        if self.world.asks_a_judge:
            self._consult(calls[(tier < top) & (outcome < FAILED)], again=again)
        return outcome

    def _consult(self, calls: np.ndarray, *, again: bool) -> None:
        """Let the smallest model of the ladder check the drafts."""
        self.round += 1
        used = np.zeros((len(calls), 4), np.int64)
        used[:, 0], used[:, 3] = self.calls.answer[calls] + 250, 12
        self._write(calls, 0, JUDGE, CONSULTED, STANDARD, used, again=again)

    def _tokens(self, calls: np.ndarray, tier: np.ndarray) -> np.ndarray:
        """Split prompts by what the provider's cache holds."""
        held = 1.0 - np.minimum(1.0, self._level("cache_broken", calls))
        warm = self.rng.random(len(calls)) < self._of("warm")[calls] * held
        prefix = np.where(self.calls.prefix[calls] >= 1024, self.calls.prefix[calls] // 128 * 128, 0)
        used = np.zeros((len(calls), 4), np.int64)
        used[:, 1] = np.where(warm, prefix, 0)
        used[:, 2] = np.where(~warm & self.writes[tier], prefix, 0)
        used[:, 0] = self.calls.prompt[calls] - used[:, 1] - used[:, 2]
        used[:, 3] = self.calls.answer[calls]
        return used

    def _write(
        self, calls: np.ndarray, tier: np.ndarray | int, cause: np.ndarray | int, outcome: np.ndarray | int, lane: int,
        used: np.ndarray, *, again: bool, status: np.ndarray | int = EXACT, score: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        count = len(calls)
        tiers = np.broadcast_to(np.asarray(tier), (count,)).copy()
        latency = 250 + 1000 * used[:, 3] / self.speed[tiers] + used[:, 0] / 40
        latency = np.round(latency * np.exp(self.rng.normal(0, 0.25, count)), 3)
        latency[np.broadcast_to(np.asarray(outcome) == HIT, (count,))] = 0.0
        if lane == BATCH:
            latency += 1_800_000.0

        def column(value: np.ndarray | int) -> np.ndarray:
            return np.broadcast_to(np.asarray(value), (count,)).copy()

        self.rows.append(Attempts(
            calls, column(int(again)), column(0), column(self.round), self.now[calls], latency, tiers, column(cause),
            column(outcome), column(status), column(lane), used, np.full(count, np.nan) if score is None else score,
        ))  # fmt: skip
        self.now[calls] += latency / 1000 + 0.05
