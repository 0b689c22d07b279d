"""Asking a provider, and what can come of it: a reply, a failure, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tuppence.attempts import Cause
from tuppence.effects.plans import Broken, Effect, Gate, held
from tuppence.request import Edits, Reply, Request
from tuppence.tiers import Tier
from tuppence.usage import Usage

FailureKind = Literal[
    "rate_limit", "timeout", "full", "server", "connection", "bad_request", "auth", "context_length", "garbage",
    "unknown",
]  # fmt: skip
"""`full`: turned away unread, with 503, for want of room."""


@dataclass(slots=True)
class Failed:
    """A provider call that brought no whole answer."""

    error: BaseException
    kind: FailureKind
    retry_after_s: float | None = None
    """What the provider asked for, in seconds."""
    delivered: int = 0
    """Chunks that already reached the user: from one on, neither retry nor fail-over is allowed."""
    text: str = ""
    """What had been generated when it failed."""
    latency_ms: float = 0.0
    begun: bool = False
    """The provider may have begun to generate, and bill: what it used is an estimate then, unless `usage` says it."""
    usage: Usage | None = None
    """What the provider said that it used, where the exception carries that."""

    @property
    def passing(self) -> bool:
        """True where the same call may succeed a moment later."""
        return self.kind in ("rate_limit", "timeout", "full", "server", "connection", "garbage")


class Declined:
    """Outcome of asking a function tier that has no answer."""

    __slots__ = ()


@dataclass(slots=True)
class Ask(Effect[Reply | Failed | Declined]):
    """Ask one tier for an answer."""

    tier: Tier
    request: Request
    edits: Edits
    cause: Cause
    gate: Gate = held


@dataclass(slots=True)
class Consult(Effect[Reply | Failed | Declined]):
    """Ask the tier of this name on behalf of a check. Never performed as it stands: the climb makes an `Ask` of it,
    with the policy's guards, retries and accounting.
    """

    tier: str
    request: Request
    cause: Cause


@dataclass(slots=True)
class Undecided(Effect[bool]):
    """Ask whether the threshold lies above `low` and not above `high`: only there can a check that has scored so far go
    either way. Never performed as it stands: the climb knows the threshold.
    """

    low: float
    high: float


@dataclass(slots=True)
class Deliver(Effect[None]):
    """Hand a reply that was held, or cached, to the user's stream."""

    reply: Reply


@dataclass(slots=True)
class Sleep(Effect[None]):
    """Wait before a retry."""

    seconds: float


@dataclass(slots=True)
class Call(Effect[Any | Broken]):
    """Call the user's own function, sync or async."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]


@dataclass(slots=True)
class Reshape(Effect[Request | Broken]):
    """Make edits on the caller's own request, native messages and neutral ones alike; from then on it is asked so."""

    request: Request
    edits: Edits
