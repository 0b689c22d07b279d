"""Keep a conversation on one tier: its provider holds the conversation in its prefix cache, and users notice a change
of voice. Remembers names of tiers only, in this process, for a bounded number of sessions.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from tuppence.attempts import Result
from tuppence.effects import Choice, Route
from tuppence.errors import ConfigError
from tuppence.request import Request, Tags
from tuppence.routes.compose import Composable, is_guard, names_of, teach
from tuppence.routes.rungs import start_from
from tuppence.tiers import Tier

_Key = tuple[str, str]


class Starts:
    """The tier at which each session starts, for the sessions used last. Safe for many threads."""

    __slots__ = ("_limit", "_lock", "_starts")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._starts: OrderedDict[_Key, tuple[str, tuple[str, ...]]] = OrderedDict()

    def of(self, key: _Key, offered: tuple[Tier, ...], start: str) -> str:
        """Return where the session starts; one that is new starts at `start`."""
        with self._lock:
            known, order = self._starts.get(key, (start, ()))
            # The widest ladder seen tells which tier is higher when a call has ended.
            if len(offered) > len(order):
                order = tuple(tier.name for tier in offered)
            self._keep(key, known, order)
            return known

    def climb(self, key: _Key, name: str) -> None:
        """Start the session at `name` from now on, if that is higher."""
        with self._lock:
            known, order = self._starts.get(key, ("", ()))
            if name in order and (known not in order or order.index(name) > order.index(known)):
                self._keep(key, name, order)

    def emptied(self) -> Starts:
        """Return room for as many sessions, with none in it."""
        return Starts(self._limit)

    def _keep(self, key: _Key, start: str, order: tuple[str, ...]) -> None:
        self._starts[key] = (start, order)
        self._starts.move_to_end(key)
        if len(self._starts) > self._limit:
            self._starts.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Sticky(Composable):
    """The inner route's first start for a session, and higher once a call of the session had to escalate."""

    inner: Route
    starts: Starts = field(compare=False, repr=False)

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        choice = self.inner(request, ladder)
        key = _session(request.tags)
        if key is None or choice is None:
            return choice
        start = self.starts.of(key, ladder, choice.ladder[0].name)
        kept = start_from(ladder, start, "the session stays", threshold=choice.threshold)
        return choice if kept is None or kept.ladder == choice.ladder else kept

    @property
    def names(self) -> frozenset[str]:
        return names_of(self.inner)

    def apart(self) -> Sticky:
        """Return this route with sessions of its own, for a replay."""
        return replace(self, starts=self.starts.emptied())

    def learn(self, request: Request, result: Result) -> None:
        """Move a session up to the tier that answered, where the call escalated to it."""
        teach((self.inner,), request, result)
        key = _session(request.tags)
        answered = result.tier
        if key is None or answered is None:
            return
        if any(attempt.cause == "escalation" and attempt.tier == answered for attempt in result.attempts):
            self.starts.climb(key, answered)


def sticky(inner: Route, *, max_sessions: int = 10_000) -> Sticky:
    """Keep each session (`request.tags["session"]`, within `tags["tenant"]`) at the tier where it started.

    It moves up when one of its calls escalated, never down. Beyond `max_sessions` the one unused for longest is
    forgotten. Requests without a session go as `inner` says. A guard cannot be inside: `guard >> sticky(...)`.
    """
    if max_sessions < 1:
        raise ConfigError(f"max_sessions is {max_sessions}: it must be at least 1")
    if is_guard(inner):
        raise ConfigError(
            f"sticky would override the guard in {inner!r}: put the guard before it, `guard >> sticky(...)`"
        )
    return Sticky(inner, Starts(max_sessions))


def _session(tags: Tags) -> _Key | None:
    session = tags.get("session")
    return None if session is None else (tags.get("tenant", ""), session)
