"""The batch lane as a model is given it: where requests wait, which calls go there, and how long they may take.

Which provider runs the batches, and when, is the worker's; what becomes of an answer is the flow's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tuppence.batch.queue.desk import Desk
from tuppence.batch.queue.queue import LaneQueue
from tuppence.errors import ConfigError
from tuppence.request import Tags

Choice = Literal["batch", "now"]

_DAY_S = 86_400.0


class Lane:
    """Calls that may wait, through a queue: `Lane("lane.sqlite", when={"workload": "nightly"})`.

    `queue` is a file, a `postgresql://` address or a `LaneQueue`. A call goes there where it says `lane="batch"`, or
    where its tags are those of `when`. It has its answer within `deadline_s` unless it says otherwise: `margin_s`
    before that it stops waiting and is asked at once, and with less than `least_s` to go it does not begin to wait.
    """

    def __init__(
        self, queue: LaneQueue | str | Path, *, when: Mapping[str, str | Sequence[str]] | None = None,
        deadline_s: float = _DAY_S, least_s: float = 600.0, margin_s: float = 120.0, look_s: float = 2.0,
    ) -> None:  # fmt: skip
        """`look_s` is how often the queue is looked at for answers."""
        for name, value in (("deadline_s", deadline_s), ("look_s", look_s)):
            if not value > 0:
                raise ConfigError(f"Lane({name}={value!r}): give seconds above 0")
        for name, value in (("least_s", least_s), ("margin_s", margin_s)):
            if not value >= 0:
                raise ConfigError(f"Lane({name}={value!r}): give seconds, 0 or more")
        self.queue = queue if isinstance(queue, LaneQueue) else LaneQueue(queue)
        self.when = {name: (one,) if isinstance(one, str) else tuple(one) for name, one in (when or {}).items()}
        self.deadline_s = deadline_s
        self.least_s = max(least_s, margin_s)
        self.margin_s = margin_s
        self._look_s = look_s
        self.desk = Desk(self.queue, look_s=look_s)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (
            self.queue,
            {
                "when": self.when, "deadline_s": self.deadline_s, "least_s": self.least_s, "margin_s": self.margin_s,
                "look_s": self._look_s,
            },
        )  # fmt: skip

    def deadline_of(self, choice: Any, deadline_s: Any, tags: Tags) -> float | None:
        """Return in how many seconds a call must have its answer; None for one that does not wait.

        Raises `ConfigError` for a choice that there is not.
        """
        if choice not in ("batch", "now", None):
            raise ConfigError(f"lane is {choice!r}: it is 'batch', 'now', or left out")
        if deadline_s is not None and (isinstance(deadline_s, bool) or not isinstance(deadline_s, int | float)):
            raise ConfigError(f"deadline_s is {deadline_s!r}: give seconds, such as 3600")
        waits = choice == "batch" or (choice is None and self._is_for(tags))
        return (self.deadline_s if deadline_s is None else float(deadline_s)) if waits else None

    def _is_for(self, tags: Tags) -> bool:
        return bool(self.when) and all(tags.get(name) in values for name, values in self.when.items())


def _rebuilt(queue: LaneQueue, options: Mapping[str, Any]) -> Lane:
    return Lane(queue, **options)


def open_lane(option: Any) -> Lane:
    """Open what a user named: a `Lane`, a queue or the place of one; raises `ConfigError` for anything else."""
    if isinstance(option, Lane):
        return option
    if isinstance(option, LaneQueue | str | Path):
        return Lane(option)
    raise ConfigError(f"lane is {option!r}: give a file, a postgresql:// address, a Lane, or None")


def deadline_without_lane(choice: Any, deadline_s: Any) -> None:
    """Raise `ConfigError` for a call that shall wait where there is nowhere to wait."""
    if choice == "batch":
        raise ConfigError("lane is 'batch', but the model has no batch lane: give it one, such as lane='lane.sqlite'")
    if choice not in ("now", None):
        raise ConfigError(f"lane is {choice!r}: it is 'batch', 'now', or left out")
    if deadline_s is not None and choice is None:
        raise ConfigError(f"deadline_s is {deadline_s!r}, but the call does not wait: add lane='batch'")
