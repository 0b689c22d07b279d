"""What a policy is made of: routes choose who is asked, checks score what comes back, shapers shorten what is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tuppence.attempts import Result, Verdict
from tuppence.effects.plans import Plan
from tuppence.request import Edits, Reply, Request
from tuppence.tiers import Tier


class Check(Protocol):
    """Is this answer good enough? A score at once, or a plan that asks somebody first: tiers and judges by `Consult`.

    A check that names tiers lists them in an attribute `names`, so that a policy can say at once that one does not
    exist.
    """

    def __call__(self, request: Request, reply: Reply, /) -> Verdict | Plan[Verdict]: ...


class StreamingCheck(Check, Protocol):
    """A check that can tell early: streams are then let through before the last token has come."""

    def opens(self, request: Request, text: str, /) -> bool:
        """Say whether no continuation of `text` could be rejected any more."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tiers may try, in which order, and why."""

    ladder: tuple[Tier, ...]
    reason: str
    threshold: float | None = None
    """Score that a reply must reach to be accepted; None leaves it to the policy."""


class Route(Protocol):
    """Choose among the tiers of `ladder` (cheapest first); None where this route has nothing to say."""

    def __call__(self, request: Request, ladder: tuple[Tier, ...], /) -> Choice | None: ...


class LearningRoute(Route, Protocol):
    """A route that is told how each call ended."""

    def learn(self, request: Request, result: Result, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Shaped:
    """How a request may be sent with fewer tokens."""

    edits: Edits
    reason: str
    """What was left out and why, or why nothing was, in words of the product alone: nothing of the prompt."""
    tokens_saved: int = 0
    """Input tokens of this call, as the shaper counts them."""


class Shaper(Protocol):
    """Shorten a request before it is sent: at once, or by a plan that asks a tier first (by `Consult`).

    `tiers` are those that may be asked, cheapest first. The same request in the same conversation is shaped the same
    way again: a provider's prefix cache depends on it.
    """

    def __call__(self, request: Request, tiers: tuple[Tier, ...], /) -> Shaped | Plan[Shaped]: ...
