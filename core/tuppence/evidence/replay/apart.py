"""Routes with a state of their own for a replay, so that what is replayed never moves a live session, teaches a live
route, or is counted in a live experiment.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Protocol, cast, runtime_checkable

from tuppence.effects import Route
from tuppence.routes.compose import Composable


@runtime_checkable
class KeepsState(Protocol):
    """A route that keeps a state, or tells somebody what it did."""

    def apart(self) -> Route:
        """Return this route without either; its parts have been seen to."""
        ...


def apart(route: Route) -> Route:
    """Return a route that shares no state with this one.

    In composed routes each part is asked, then the whole. One that is no `KeepsState`, such as a user's own function,
    stays as it is.
    """
    rebuilt = _with_parts_apart(route)
    return rebuilt.apart() if isinstance(rebuilt, KeepsState) else rebuilt


def _with_parts_apart(route: Route) -> Route:
    if not hasattr(route, "__dataclass_fields__"):
        return route
    whole: Any = route
    parts: dict[str, Any] = {one.name: getattr(whole, one.name) for one in fields(whole) if one.init}
    own = {name: apart(cast(Route, part)) for name, part in parts.items() if isinstance(part, Composable)}
    if all(parts[name] is part for name, part in own.items()):
        return route
    made: Route = replace(whole, **own)
    return made
