"""Put routes together: `a | b` is the first that has something to say, `a >> b` lets b choose among what a left. Never
lets a later route bring back a tier that an earlier one took away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tuppence.attempts import Result
from tuppence.effects import Choice, Route
from tuppence.errors import ConfigError, TuppenceError
from tuppence.request import Request
from tuppence.tiers import Tier


class Composable:
    """Gives a route `|` and `>>`; a plain function on either side will do."""

    __slots__ = ()

    @property
    def names(self) -> frozenset[str]:
        """The tiers that this route names: a policy can say at once that one does not exist."""
        return frozenset()

    def __or__(self: Route, other: Route) -> Either:
        return Either(self, other)

    def __ror__(self: Route, other: Route) -> Either:
        return Either(other, self)

    def __rshift__(self: Route, other: Route) -> Then:
        return Then(self, other)

    def __rrshift__(self: Route, other: Route) -> Then:
        return Then(other, self)


@dataclass(frozen=True, slots=True)
class _Pair(Composable):
    """Two routes as one: the tiers that either names, and lessons for both."""

    first: Route
    second: Route

    @property
    def names(self) -> frozenset[str]:
        return names_of(self.first) | names_of(self.second)

    def learn(self, request: Request, result: Result) -> None:
        teach((self.first, self.second), request, result)


@dataclass(frozen=True, slots=True)
class Either(_Pair):
    """The first route if it has something to say, else the second."""

    def __post_init__(self) -> None:
        if is_guard(self.second):
            raise ConfigError(
                f"the guard {self.second!r} stands after `|` and would be skipped: put it first, `guard >> route`"
            )

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        return self.first(request, ladder) or self.second(request, ladder)

    @property
    def guards(self) -> bool:
        return is_guard(self.first)


@dataclass(frozen=True, slots=True)
class Then(_Pair):
    """The second route's choice among the tiers that the first left; a route that breaks is passed over, and named."""

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        left, fault = _heard(self.first, request, ladder)
        offered = ladder if left is None else left.ladder
        right, later_fault = _heard(self.second, request, offered)
        kept = _within(right, offered)
        choice, fault = kept or left, fault or later_fault
        if choice is None:
            # Nothing was taken away, so that the error may safely be the caller's to record.
            if fault is not None:
                raise fault
            return None
        reasons = [said.reason for said in (left, kept) if said is not None]
        if fault is not None:
            reasons.append(f"a route failed and was passed over ({type(fault).__name__}: {fault})")
        threshold = choice.threshold if choice.threshold is not None or left is None else left.threshold
        return Choice(choice.ladder, "; ".join(reasons), threshold)

    @property
    def guards(self) -> bool:
        return is_guard(self.first) or is_guard(self.second)


def is_guard(route: Route) -> bool:
    """Say whether `route` keeps text from tiers, so that it must not be skipped."""
    return bool(getattr(route, "guards", False))


def names_of(route: Route) -> frozenset[str]:
    found: frozenset[str] = getattr(route, "names", frozenset())
    return found


def teach(routes: tuple[Route, ...], request: Request, result: Result) -> None:
    """Tell those of `routes` that learn how a call ended."""
    for route in routes:
        learn = getattr(route, "learn", None)
        if learn is not None:
            learn(request, result)


def _heard(route: Route, request: Request, ladder: tuple[Tier, ...]) -> tuple[Choice | None, Exception | None]:
    """Ask a route. One that breaks must not undo what a guard beside it takes away, so its error becomes a value."""
    try:
        return route(request, ladder), None
    except TuppenceError:
        raise
    except Exception as error:  # noqa: BLE001 - named in the reason, or raised again by the caller
        return None, error


def _within(choice: Choice | None, offered: tuple[Tier, ...]) -> Choice | None:
    """Take out of a choice what was not offered to it; None where nothing is left."""
    if choice is None:
        return None
    allowed = {tier.name for tier in offered}
    ladder = tuple(tier for tier in choice.ladder if tier.name in allowed)
    return replace(choice, ladder=ladder) if ladder else None
