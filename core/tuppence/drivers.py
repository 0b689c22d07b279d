"""The loops that run a plan: sync, async, and the two streams. Nothing else knows about `await`.

An effect that only optimises or records and raises becomes the value `Broken`, here and nowhere else. When the
caller goes away (cancelled, closed stream, Ctrl-C), the plan is told by `Abandoned` and its closing effects are
performed before the exception goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from tuppence.attempts import Result
from tuppence.effects import (
    Abandoned,
    Ask,
    Audit,
    Broken,
    Call,
    Declined,
    Deliver,
    Effect,
    Embed,
    Keep,
    Lookup,
    Nearest,
    Open,
    Peek,
    Plan,
    Release,
    Remember,
    Reshape,
    Settle,
)
from tuppence.failures import is_control_flow
from tuppence.ports import Chunk, Port
from tuppence.request import Reply

_OPTIONAL = (Lookup, Peek, Embed, Nearest, Open, Call, Reshape, Remember, Keep, Audit, Settle, Release)
_CLOSING = (Remember, Keep, Audit, Settle, Release)
# The collector finalises what is left in a reference cycle, and all that hangs on it, in an order of its own: a plan
# might be ended before its driver could tell it that the caller has gone. What is held here is not garbage.
_UNDER_WAY: set[Plan[Result]] = set()


class _UnderWay:
    """Keeps the collector from a plan while a driver that may be left runs it."""

    __slots__ = ("_plan",)

    def __init__(self, plan: Plan[Result]) -> None:
        self._plan = plan

    def __enter__(self) -> None:
        _UNDER_WAY.add(self._plan)

    def __exit__(self, *_error: object) -> None:
        _UNDER_WAY.discard(self._plan)


def run(plan: Plan[Result], port: Port) -> Result:
    """Run a plan to its result."""
    outcome: Any = None
    while True:
        try:
            effect = plan.send(outcome)
        except StopIteration as done:
            result: Result = done.value
            return result
        try:
            outcome = port.perform(effect)
        except BaseException as error:
            outcome = _broken_or_unwound(plan, port, effect, error)


async def arun(plan: Plan[Result], port: Port) -> Result:
    """Run a plan to its result on an event loop."""
    outcome: Any = None
    with _UnderWay(plan):
        while True:
            try:
                effect = plan.send(outcome)
            except StopIteration as done:
                result: Result = done.value
                return result
            try:
                outcome = await port.aperform(effect)
            except BaseException as error:
                outcome = _broken_or_unwound(plan, port, effect, error)


def stream(plan: Plan[Result], port: Port) -> Iterator[Any]:
    """Run a plan, yielding the native chunks of the accepted reply as they come."""
    held = _Held()
    outcome: Any = None
    with _UnderWay(plan):
        while True:
            try:
                effect = plan.send(outcome)
            except StopIteration:
                return
            try:
                if type(effect) is Ask:
                    held.start(effect)
                    with closing(port.stream(effect)) as items:
                        for item in items:
                            if type(item) is Chunk:
                                for chunk in held.through(item):
                                    held.delivered += 1
                                    yield chunk.native
                            else:
                                outcome = held.finish(item)
                elif type(effect) is Deliver:
                    yield from held.release(effect.reply) or port.replay(effect.reply)
                    outcome = None
                else:
                    outcome = port.perform(effect)
            except BaseException as error:
                outcome = _broken_or_unwound(plan, port, effect, error, held)


async def astream(plan: Plan[Result], port: Port) -> AsyncIterator[Any]:
    """Run a plan on an event loop, yielding the native chunks of the accepted reply as they come."""
    held = _Held()
    outcome: Any = None
    with _UnderWay(plan):
        while True:
            try:
                effect = plan.send(outcome)
            except StopIteration:
                return
            try:
                if type(effect) is Ask:
                    held.start(effect)
                    async with aclosing(port.astream(effect)) as items:
                        async for item in items:
                            if type(item) is Chunk:
                                for chunk in held.through(item):
                                    held.delivered += 1
                                    yield chunk.native
                            else:
                                outcome = held.finish(item)
                elif type(effect) is Deliver:
                    for native in held.release(effect.reply) or port.replay(effect.reply):
                        yield native
                    outcome = None
                else:
                    outcome = await port.aperform(effect)
            except BaseException as error:
                outcome = _broken_or_unwound(plan, port, effect, error, held)


class _Held:
    """The chunks of the ask under way, and of held replies until they are delivered or forgotten."""

    __slots__ = ("ask", "buffer", "delivered", "open", "replies", "text")

    def __init__(self) -> None:
        self.replies: list[tuple[Reply, list[Chunk]]] = []
        self.ask: Ask | None = None
        self.open = False
        self.delivered = 0
        self.text = ""
        self.buffer: list[Chunk] = []

    def start(self, ask: Ask) -> None:
        self.ask = ask
        self.open = False
        self.delivered = 0
        self.text = ""
        self.buffer = []

    def through(self, chunk: Chunk) -> list[Chunk]:
        """Take a chunk in; return those that the user may see now."""
        self.text += chunk.text
        if self.open:
            return [chunk]
        self.buffer.append(chunk)
        assert self.ask is not None
        if not self.ask.gate(self.text):
            return []
        self.open = True
        released, self.buffer = self.buffer, []
        return released

    def finish(self, outcome: Any) -> Any:
        """Close the ask: say how much of it the user has, and keep what was held back."""
        self.ask = None
        if type(outcome) is Declined:
            return outcome
        outcome.delivered = self.delivered
        if type(outcome) is Reply:
            if not self.open:
                self.replies.append((outcome, self.buffer))
        else:
            outcome.text = self.text
        return outcome

    def release(self, reply: Reply) -> list[Any]:
        return [chunk.native for held, chunks in self.replies if held is reply for chunk in chunks]


def _broken_or_unwound(
    plan: Plan[Result], port: Port, effect: Effect[Any], error: BaseException, held: _Held | None = None
) -> Broken:
    """Turn the failure of an optional effect into a value; for anything else let the plan close, and raise."""
    if isinstance(error, Exception) and isinstance(effect, _OPTIONAL) and not is_control_flow(error):
        return Broken(error)
    gone = Abandoned(error)
    if type(effect) is Ask and port.may_have_bought(effect):
        gone = Abandoned(error, effect, held.text if held is not None else "", port.elapsed_ms())
    _unwind(plan, port, gone)
    raise error


def _unwind(plan: Plan[Result], port: Port, gone: Abandoned) -> None:
    """Perform a plan's closing effects, and nothing else, until it ends."""
    try:
        effect = plan.throw(gone)
        while True:
            outcome: Any = None
            if isinstance(effect, _CLOSING):
                try:
                    outcome = port.perform(effect)
                except Exception as error:
                    outcome = Broken(error)
            effect = plan.send(outcome)
    except (Abandoned, StopIteration):
        return
