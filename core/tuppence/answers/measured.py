"""What one run of a chain costs: a context of its own, in which its model calls are told from all others.

The calls inside account for themselves, in their own ledgers and `spend()` blocks; here they are only added up once
more. Nothing here may change what the chain sees of the caller's context.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from tuppence.attempts import Result
from tuppence.context import Spend, collect_here
from tuppence.prices import token_rate
from tuppence.usage import Usage

P = ParamSpec("P")
R = TypeVar("R")

_PICO_USD = "pico_usd"
AT_COST = token_rate(input="0", output="0", calls={_PICO_USD: "0.000000001"}, version="measured")
"""The price of what a run used: its usage is counted in pico-dollars, each of which costs one."""
_CUT = ("length", "content_filter")


class RunSpend(Spend):
    """What the calls of one run came to, and whether each of their answers was a whole one."""

    def __init__(self) -> None:
        super().__init__()
        self.partial = False
        """An answer inside was cut short, filtered, or a draft that its check had rejected."""

    def add(self, result: Result) -> None:
        super().add(result)
        reply = result.reply
        self.partial |= result.decision.fell_short or (reply is not None and reply.finish in _CUT)

    @property
    def usage(self) -> Usage:
        """What was paid, as usage for `AT_COST`; unpriced where no part of it has a known price.

        A part of unknown price is left out beside parts that have one: a later hit is then said to save less than it
        does, never more.
        """
        known = [a.pico_usd for a in self.attempts if a.pico_usd is not None]
        if self.attempts and not known:
            return Usage(calls=(("unpriced", 1),))
        return Usage(calls=((_PICO_USD, sum(known)),)) if sum(known) else Usage()

    @property
    def is_estimate(self) -> bool:
        return any(a.status == "estimated" for a in self.attempts)


class Inside:
    """The context in which one run of a chain happens, from its first step to its last."""

    def __init__(self) -> None:
        self._context = copy_context()
        self.spent = RunSpend()
        self._context.run(collect_here, self.spent)

    def run(self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self._context.run(fn, *args, **kwargs)

    async def arun(self, fn: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await in the context; who is cancelled meanwhile cancels what is awaited."""
        return await asyncio.create_task(fn(*args, **kwargs), context=self._context)
