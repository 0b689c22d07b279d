"""Let the user's own function choose."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from tuppence.effects import Choice
from tuppence.errors import ConfigError, RequestError
from tuppence.request import Request
from tuppence.routes.compose import Composable
from tuppence.routes.rungs import start_from
from tuppence.tiers import Tier

Chooser = Callable[[Request, tuple[Tier, ...]], str | Choice | None]


@dataclass(frozen=True, slots=True)
class Custom(Composable):
    """What a function says: the name of a tier to start at, a whole `Choice`, or None."""

    fn: Chooser

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        chosen: object = self.fn(request, ladder)
        if chosen is None:
            return None
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        known = [tier.name for tier in ladder]
        if isinstance(chosen, str):
            choice = start_from(ladder, chosen, f"{name} says so")
            if choice is None:
                raise RequestError(
                    f"the route {name} chose {chosen!r}, which is not offered: the tiers here are {known}"
                )
            return choice
        if not isinstance(chosen, Choice):
            raise RequestError(f"the route {name} returned {chosen!r}: return a tier's name, a Choice, or None")
        strange = [tier.name for tier in chosen.ladder if tier.name not in known]
        if strange or not chosen.ladder:
            raise RequestError(f"the route {name} chose {strange or 'no tier'}: choose among the tiers here, {known}")
        return chosen


def custom(fn: Chooser) -> Custom:
    """Route by `fn(request, ladder)`; it returns the name of a tier to start at, a `Choice`, or None to pass.

    Raises `RequestError` where it names a tier that is not offered.
    """
    if inspect.iscoroutinefunction(fn):
        raise ConfigError(
            f"custom got {fn!r}: give a plain function of a request and the tiers (routes are synchronous)"
        )
    return Custom(fn)
