"""Where each task starts, and what was seen of each tier on it: the memory of an adaptive route. Bounded, safe for many
threads, and able to lie in a file; holds names and counts, never a text.
"""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuppence.errors import ConfigError
from tuppence.routes.beliefs import Belief

FORMAT = "tuppence-adaptive/1"
UNSEEN = Belief()

TaskKey = tuple[str, str]
"""Tenant and task."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When to move a task; see `adaptive` for what the numbers mean."""

    target: float
    demote_above: float
    promote_below: float
    retry_above: float
    prior_calls: float
    memory_calls: float

    def __post_init__(self) -> None:
        if not 0.0 < self.target < 1.0:
            raise ConfigError(f"target is {self.target}: give the share of first answers that must pass, such as 0.9")
        bounds = (self.promote_below, self.retry_above, self.demote_above)
        if not 0.0 < bounds[0] < bounds[1] < bounds[2] < 1.0:
            raise ConfigError(
                f"promote_below, retry_above, demote_above are {bounds}: they must rise between 0 and 1, or a task "
                "would go up and down without end"
            )
        if not 0.0 < self.prior_calls < self.memory_calls:
            raise ConfigError(
                f"prior_calls is {self.prior_calls} and memory_calls {self.memory_calls}: both must be above 0, and "
                "more calls remembered than assumed"
            )
        untried = self.enough(UNSEEN)
        if untried <= self.retry_above:
            raise ConfigError(
                f"retry_above is {self.retry_above}, and a tier that was never tried has P = {untried:.2f}: no task "
                "would ever go down; lower retry_above or change prior_calls"
            )

    def enough(self, belief: Belief) -> float:
        """Return the probability that a tier is good enough at the target rate."""
        return belief.at_least(self.target, prior=self.prior_calls)

    def moved(self, place: int, beliefs: Sequence[Belief], floor: int) -> int:
        """Return the place to start from next: at most one rung up or down, never below `floor` nor above the last."""
        last = len(beliefs) - 1
        if place < last and self.enough(beliefs[place]) < self.promote_below:
            return place + 1
        if place <= floor or self.enough(beliefs[place - 1]) <= self.retry_above:
            return max(place, floor)
        # Nobody checks the last tier's answers: it is left as soon as the one below it deserves a try.
        certain = place == last or self.enough(beliefs[place]) > self.demote_above
        return place - 1 if certain else place


@dataclass(frozen=True, slots=True)
class Standing:
    """One task's place on the ladder."""

    order: tuple[str, ...]
    """The widest ladder seen, cheapest first."""
    start: str
    beliefs: Mapping[str, Belief]

    def belief(self, tier: str) -> Belief:
        return self.beliefs.get(tier, UNSEEN)

    def saw(self, tier: str, good: bool | None, rule: Rule, floor: str | None) -> Standing:
        """Return the standing after one more call; None for `good` where nobody looked at the answer."""
        keep = 1.0 - 1.0 / rule.memory_calls
        beliefs = {name: belief.faded(keep) for name, belief in self.beliefs.items()}
        if good is not None and tier in self.order:
            beliefs[tier] = beliefs.get(tier, UNSEEN).after(good)
        place = self.order.index(self.start)
        in_order = [beliefs.get(name, UNSEEN) for name in self.order]
        moved = rule.moved(place, in_order, floor_of(self.order, floor))
        return replace(self, start=self.order[moved], beliefs=beliefs)


def floor_of(order: Sequence[str], floor: str | None) -> int:
    """Return the lowest place allowed; one that is not offered forbids nothing but what it would have."""
    return order.index(floor) if floor is not None and floor in order else 0


class Standings:
    """The standings of the tasks used last."""

    __slots__ = ("_limit", "_lock", "_standings")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ConfigError(f"max_tasks is {limit}: it must be at least 1")
        self._limit = limit
        self._lock = threading.Lock()
        self._standings: OrderedDict[TaskKey, Standing] = OrderedDict()

    def __len__(self) -> int:
        return len(self._standings)

    def known(self, key: TaskKey) -> Standing | None:
        """Return a task's standing, if there is one."""
        with self._lock:
            return self._standings.get(key)

    def copy(self) -> Standings:
        """Return standings of the same content that go their own way."""
        made = Standings(self._limit)
        with self._lock:
            made._standings.update(self._standings)
        return made

    def of(self, key: TaskKey, offered: tuple[str, ...], floor: str | None) -> Standing:
        """Return a task's standing; one that is new starts in the middle of what is offered, or at its floor."""
        with self._lock:
            standing = _above(floor, _fitted(self._standings.get(key), offered))
            self._keep(key, standing)
            return standing

    def saw(self, key: TaskKey, tier: str, good: bool | None, rule: Rule, floor: str | None) -> bool:
        """Take in how a call ended; say whether the task moved. Tasks that were never asked about are passed over."""
        with self._lock:
            standing = self._standings.get(key)
            if standing is None:
                return False
            after = standing.saw(tier, good, rule, floor)
            self._keep(key, after)
            return after.start != standing.start

    def _keep(self, key: TaskKey, standing: Standing) -> None:
        self._standings[key] = standing
        self._standings.move_to_end(key)
        if len(self._standings) > self._limit:
            self._standings.popitem(last=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all standings as JSON, whole or not at all."""
        with self._lock:
            told = [_told(key, standing) for key, standing in self._standings.items()]
            target = Path(path)
            beside = target.with_name(f"{target.name}.{os.getpid()}.new")
            beside.write_text(json.dumps({"format": FORMAT, "tasks": told}, indent=1) + "\n", "utf-8")
            beside.replace(target)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read standings that were saved; raises `ConfigError` where the file holds none."""
        try:
            body = json.loads(Path(path).read_text("utf-8"))
            if body["format"] != FORMAT:
                raise ValueError(f"its format is {body['format']!r}, not {FORMAT!r}")
            found = [_read(told) for told in body["tasks"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path} holds no standings of an adaptive route ({type(error).__name__}: {error}): delete it to begin "
                "anew"
            ) from error
        with self._lock:
            for key, standing in found:
                self._keep(key, standing)


def _fitted(known: Standing | None, offered: tuple[str, ...]) -> Standing:
    """Fit a standing to the ladder offered: a guard may offer less than there is, a new configuration other tiers."""
    if known is not None and set(offered) <= set(known.order):
        return known
    middle = offered[(len(offered) - 1) // 2]
    if known is None:
        return Standing(offered, middle, {})
    return replace(known, order=offered, start=known.start if known.start in offered else middle)


def _above(floor: str | None, standing: Standing) -> Standing:
    """Lift a standing to its floor, which may be another one than when it was saved."""
    order, lowest = standing.order, floor_of(standing.order, floor)
    return standing if order.index(standing.start) >= lowest else replace(standing, start=order[lowest])


def _told(key: TaskKey, standing: Standing) -> dict[str, Any]:
    beliefs = {name: [round(one.good, 4), round(one.bad, 4)] for name, one in standing.beliefs.items()}
    return {
        "tenant": key[0], "task": key[1], "order": list(standing.order), "start": standing.start, "beliefs": beliefs,
    }  # fmt: skip


def _read(told: Mapping[str, Any]) -> tuple[TaskKey, Standing]:
    order = tuple(map(str, told["order"]))
    beliefs = {name: Belief(float(good), float(bad)) for name, (good, bad) in told["beliefs"].items()}
    if told["start"] not in order or any(min(one.good, one.bad) < 0 for one in beliefs.values()):
        raise ValueError(f"task {told['task']!r} starts at {told['start']!r} of {list(order)} with {told['beliefs']}")
    return (str(told["tenant"]), str(told["task"])), Standing(order, told["start"], beliefs)
