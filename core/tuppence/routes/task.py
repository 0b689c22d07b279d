"""Route by the task that the caller names in the tag `task`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuppence.effects import Choice
from tuppence.errors import ConfigError
from tuppence.request import Request
from tuppence.routes.compose import Composable
from tuppence.routes.rungs import start_from, start_on
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class TaskPolicy:
    """Where calls of one task start, and what score is enough for them."""

    start: str | None
    """Name of a tier; None for the strongest."""
    threshold: float | None = None
    """In [0, 1]; None leaves it to the policy."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise ConfigError(f"a task's threshold is {self.threshold}: scores lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class ByTask(Composable):
    """Start as the request's task says; nothing to say for other tasks."""

    tasks: Mapping[str, TaskPolicy]

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        task = request.tags.get("task")
        wanted = None if task is None else self.tasks.get(task)
        if wanted is None:
            return None
        if wanted.start is None:
            return start_on(ladder, "highest", f"task {task!r}", threshold=wanted.threshold)
        return start_from(ladder, wanted.start, f"task {task!r}", threshold=wanted.threshold)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(task.start for task in self.tasks.values() if task.start is not None)


def by_task(tasks: Mapping[str, TaskPolicy]) -> ByTask:
    """Start by `request.tags["task"]`: `by_task({"classify": TaskPolicy("small", 0.6), "legal": strongest()})`."""
    return ByTask(dict(tasks))


def strongest(*, threshold: float | None = None) -> TaskPolicy:
    """Send a task to the strongest tier that may answer."""
    return TaskPolicy(None, threshold)
