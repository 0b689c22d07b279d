"""Let the user's own function check answers, sync or async. An exception in it is the caller's to record: nothing is
hidden here.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.effects import Broken, Call, Plan
from tuppence.errors import ConfigError
from tuppence.request import Reply, Request

Opinion = bool | float | Verdict


@dataclass(frozen=True, slots=True)
class Custom(Composable):
    """Scores what a function says: True or False, a number in [0, 1], or a whole `Verdict`."""

    fn: Callable[[Request, Reply], Opinion | Awaitable[Opinion]]

    def __call__(self, request: Request, reply: Reply) -> Verdict | Plan[Verdict]:
        if _is_async(self.fn):
            return self._ask(request, reply)
        return _verdict(self.fn, self.fn(request, reply))

    def _ask(self, request: Request, reply: Reply) -> Plan[Verdict]:
        opinion = yield from Call(self.fn, (request, reply))
        if isinstance(opinion, Broken):
            raise opinion.error
        return _verdict(self.fn, opinion)


def custom(fn: Callable[[Request, Reply], Opinion | Awaitable[Opinion]]) -> Custom:
    """Check answers by `fn(request, reply)`, which returns True or False, a number in [0, 1], or a `Verdict`.

    An `async def` runs on the caller's event loop, and needs the async drivers.
    """
    if not callable(fn):
        raise ConfigError(f"custom got {fn!r}: give a function of a request and a reply")
    return Custom(fn)


def _is_async(fn: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


def _verdict(fn: Callable[..., Any], opinion: object) -> Verdict:
    name = getattr(fn, "__name__", type(fn).__name__)
    if isinstance(opinion, Verdict) and 0.0 <= opinion.score <= 1.0:
        return opinion
    if isinstance(opinion, bool):
        return Verdict(float(opinion), f"{name} says {'yes' if opinion else 'no'}")
    if isinstance(opinion, int | float) and 0.0 <= opinion <= 1.0:
        return Verdict(float(opinion), f"{name} says {opinion:.2f}")
    if inspect.iscoroutine(opinion):
        opinion.close()
        raise ConfigError(f"the check {name} returned a coroutine: declare it with `async def`, so that it is awaited")
    raise ConfigError(f"the check {name} returned {opinion!r}: return True, False, a number in [0, 1], or a Verdict")
