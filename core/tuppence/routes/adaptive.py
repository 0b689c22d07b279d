"""Find each task's tier while it runs: start in the middle, go down where answers keep being good enough, up where they
are not. Believes checks and nobody else: an answer that was not checked teaches nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tuppence.attempts import Result
from tuppence.effects import Choice
from tuppence.errors import ConfigError
from tuppence.request import Request, Tags
from tuppence.routes.compose import Composable
from tuppence.routes.standings import Rule, Standing, Standings, TaskKey
from tuppence.tiers import Tier

# What a tier says on its own account, and not as somebody's helper.
_OWN = frozenset({"draft", "retry", "validation_retry"})


@dataclass(frozen=True, slots=True)
class Adaptive(Composable):
    """Starts where the request's task stands at the moment."""

    rule: Rule
    floors: Mapping[str, str]
    """Lowest tier by task; under the empty name that of all others."""
    standings: Standings = field(compare=False, repr=False)
    path: Path | None = None

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        if not ladder:
            return None
        key = _key(request.tags)
        standing = self.standings.of(key, tuple(tier.name for tier in ladder), self._floor(key))
        lowest = standing.order.index(standing.start)
        # Where a guard took the start away, the next higher tier is it; where none is left, the highest offered.
        index = next(
            (place for place, tier in enumerate(ladder) if standing.order.index(tier.name) >= lowest), len(ladder) - 1
        )
        return Choice(ladder[index:], f"{_said(key, standing)}: start at {ladder[index].name}")

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.floors.values())

    def learn(self, request: Request, result: Result) -> None:
        """Take in how the tier that tried first did, if its answer was checked."""
        seen = _seen(result)
        if seen is not None:
            self._saw(_key(request.tags), *seen)

    def feedback(self, *, task: str, tier: str, good: bool, tenant: str = "") -> None:
        """Take in what a user or a judge said afterwards of an answer that `tier` gave."""
        self._saw((tenant, task), tier, good)

    def standing(self, *, task: str, tenant: str = "") -> Standing | None:
        """Return where a task stands; None where it was not asked about, or is forgotten."""
        return self.standings.known((tenant, task))

    def apart(self) -> Adaptive:
        """Return a route that begins where this one stands, and neither moves it nor writes its file: for a replay."""
        return replace(self, standings=self.standings.copy(), path=None)

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write down where all tasks stand; to the path given at the start unless another is named."""
        target = path or self.path
        if target is None:
            raise ConfigError("there is no path to save to: give save(path), or adaptive(path=...)")
        self.standings.save(target)

    def _saw(self, key: TaskKey, tier: str, good: bool | None) -> None:
        moved = self.standings.saw(key, tier, good, self.rule, self._floor(key))
        # Moves are rare; writing every call down would make each wait for the disk.
        if moved and self.path is not None:
            self.standings.save(self.path)

    def _floor(self, key: TaskKey) -> str | None:
        return self.floors.get(key[1], self.floors.get(""))


def adaptive(
    *, target: float = 0.9, floor: str | Mapping[str, str] | None = None, demote_above: float = 0.95,
    promote_below: float = 0.2, retry_above: float = 0.5, prior_calls: float = 10.0, memory_calls: float = 500.0,
    max_tasks: int = 1_000, path: str | os.PathLike[str] | None = None,
) -> Adaptive:  # fmt: skip
    """Start each task (`tags["task"]`, within `tags["tenant"]`) at the tier that has proved itself on it.

    A tier is good enough for a task if at least `target` of its first answers pass their check. That rate is believed
    by Beta(prior_calls x target + passed, prior_calls x (1 - target) + rejected): at first, as if `prior_calls` calls
    had gone exactly as wanted. After each call, with P = P(rate >= target):

    - up one tier where P of the start tier is below `promote_below`;
    - down one tier where P of the start tier is above `demote_above`, and P of the tier below is above `retry_above`.
      The last tier, whose answers nobody checks, is left as soon as the second holds.

    `retry_above` is well above `promote_below`, so a task that was moved up stays until what was seen below has faded:
    all evidence of a task weighs 1 / memory_calls less after each of its calls. No task starts below its `floor`, one
    tier for all or one by task ("" for the others): name the lowest tier that your certificate covers. Only first
    answers count, for a tier that others escalate to gets the hard questions. Requests without a task are one task.

    Beyond `max_tasks` the one unused for longest is forgotten. With a `path` the standings are read from there and
    written whenever a task moves. Raises `ConfigError` for bounds that contradict each other, and an unreadable file.
    """
    rule = Rule(target, demote_above, promote_below, retry_above, prior_calls, memory_calls)
    standings = Standings(max_tasks)
    if path is not None and Path(path).exists():
        standings.load(path)
    floors = {"": floor} if isinstance(floor, str) else dict(floor or {})
    return Adaptive(rule, floors, standings, None if path is None else Path(path))


def _key(tags: Tags) -> TaskKey:
    return tags.get("tenant", ""), tags.get("task", "")


def _said(key: TaskKey, standing: Standing) -> str:
    seen = standing.belief(standing.start)
    task = f"task {key[1]!r}" if key[1] else "no task"
    return f"{task} stands at {standing.start}, {seen.good:.0f} good and {seen.bad:.0f} rejected there of late"


def _seen(result: Result) -> tuple[str, bool | None] | None:
    """Say which tier tried first, and whether its answer passed; None for a call that no tier tried."""
    first = next((attempt for attempt in result.attempts if attempt.cause == "draft"), None)
    if first is None:
        return None
    own = [attempt for attempt in result.attempts if attempt.tier == first.tier and attempt.cause in _OWN]
    outcomes = {attempt.outcome for attempt in own}
    if outcomes & {"rejected", "declined"}:
        passed = any(attempt.outcome == "accepted" and attempt.cause == "validation_retry" for attempt in own)
        return first.tier, passed and not result.decision.fell_short
    checked = any(attempt.outcome == "accepted" and attempt.score is not None for attempt in own)
    # What failed or broke off says nothing of how good the answers are: that is the tier's health, not its skill.
    return first.tier, True if checked else None
