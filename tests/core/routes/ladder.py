"""The ladder that the route tests climb, requests to route on it, and how to read a choice."""

from __future__ import annotations

from tuppence.effects import Choice, Route
from tuppence.request import Message, Request
from tuppence.tiers import Tier

SMALL = Tier("small")
LOCAL = Tier("local", self_hosted=True)
LARGE = Tier("large")
LADDER = (SMALL, LOCAL, LARGE)
SAYINGS = [None, ("small",), ("local",), ("large",), ("small", "large"), ("small", "local", "large")]
"""What a route may say, for `says`."""

_NAMED = {tier.name: tier for tier in LADDER}


def asked(text: str = "Hi", **tags: str) -> Request:
    return Request((Message("user", text),), tags=tags)


def chosen(route: Route, request: Request | None = None, ladder: tuple[Tier, ...] = LADDER) -> list[str] | None:
    """Names of the tiers that a route chooses, or None where it has nothing to say."""
    choice = route(request or asked(), ladder)
    if choice is None:
        return None
    assert choice.reason
    return [tier.name for tier in choice.ladder]


def says(names: tuple[str, ...] | None) -> Route:
    """A route that always says the same."""

    def route(_request: Request, _ladder: tuple[Tier, ...]) -> Choice | None:
        return None if names is None else Choice(tuple(_NAMED[name] for name in names), f"says {names}")

    return route
