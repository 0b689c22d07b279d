"""How a call ends: written down, recorded, or given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tuppence.attempts import Result
from tuppence.effects.asking import Ask
from tuppence.effects.plans import Broken, Effect
from tuppence.effects.strategies import Route
from tuppence.request import Reply, Request


@dataclass(slots=True)
class Settle(Effect[None | Broken]):
    """Write the call down. Closing: performed even when unwinding, once a call."""

    result: Result


@dataclass(slots=True)
class Record(Settle):
    """Write the call down with its texts, where the user asked for that. Closing, and waits for nothing."""

    request: Request
    replies: Sequence[Reply | None]
    """What each attempt of the result brought, in part where it broke off; None where nothing came."""
    recorder: Recorder
    guards: tuple[Route, ...] = ()
    """Who may not see the request may not be shown it later either."""


class Recorder(Protocol):
    """Keeps settled calls with their texts."""

    def record(self, call: Record, /) -> None:
        """Take a call in and return at once. What is raised is noted on the call's decision, and the call goes on."""
        ...


class Abandoned(BaseException):
    """Thrown into a plan whose caller has gone: only closing effects are performed from here.

    Never `close()` a plan: a closing effect yielded while `GeneratorExit` unwinds is a RuntimeError.
    """

    def __init__(self, cause: BaseException, ask: Ask | None = None, text: str = "", latency_ms: float = 0.0) -> None:
        super().__init__(cause)
        self.cause = cause
        self.ask = ask
        """The provider call in flight, if any."""
        self.text = text
        """What it had generated so far."""
        self.latency_ms = latency_ms
        """How long it had been under way."""
