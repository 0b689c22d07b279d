"""What is said once and done in threads and on event loops alike: a generator of steps, and who performs them.

As the flow does with effects, in small: the generator must never do I/O or wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias, TypeVar

R = TypeVar("R")

Steps: TypeAlias = Generator[Any, Any, R]
"""Yields steps and is sent their outcomes; a step's kind is its class."""


def run(steps: Steps[R], perform: Callable[[Any], Any]) -> R:
    """Perform every step in this thread; what one raises is raised in the steps."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = perform(step)
            except BaseException as error:  # noqa: BLE001 - the steps raise it again, or another
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as done:
        answer: R = done.value
        return answer


async def arun(steps: Steps[R], perform: Callable[[Any], Awaitable[Any]]) -> R:
    """Do as `run` does on an event loop."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = await perform(step)
            except BaseException as error:  # noqa: BLE001 - the steps raise it again, or another
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as done:
        answer: R = done.value
        return answer
