"""The exact cache: the same request, asked again, costs nothing.

It keeps settings, a store and the flights together. It must never serve what it cannot read back whole, never
share one mutable reply between two callers, and never keep an answer that was cut short.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Protocol, TypeAlias, get_args

from tuppence.cache.flights import Flight, Flights, Landing, Seat
from tuppence.cache.keys import Uncacheable, cache_key
from tuppence.effects import Hit, Lease
from tuppence.errors import ConfigError
from tuppence.request import Finish, Reply, Request, ToolCall
from tuppence.usage import Usage

Freeze: TypeAlias = Callable[[Reply], Any]
"""Turns a reply into what `json.dumps` takes."""
Thaw: TypeAlias = Callable[[Any], Reply]
"""Turns that back into a reply of its own; whatever it raises makes the entry a miss."""

FORMAT = 1
_FINISHES = (None, *get_args(Finish))
_USAGE_DEFAULTS = {f.name: f.default for f in fields(Usage) if f.default is not MISSING}


class Store(Protocol):
    """Bytes in, bytes out: keys are hex digits, values JSON text; whatever it raises is recorded."""

    def get(self, key: str, /) -> tuple[bytes, float] | None:
        """Return a value and its age in seconds; an expired one is never returned."""
        ...

    def put(self, key: str, value: bytes, ttl_s: float | None, /) -> None:
        """Keep `value` for `ttl_s` seconds, or for as long as there is room."""
        ...

    def delete(self, key: str, /) -> None: ...

    def clear(self) -> None:
        """Delete everything."""
        ...

    def close(self) -> None: ...


class ExactCache:
    """Settings, store and single flight in one.

    `ttl_s` None keeps entries until they are evicted. `wait_s` bounds the wait for an equal call under way; 0
    turns single flight off. Safe to use from threads, from asyncio tasks of any loop, and after a fork.
    """

    def __init__(
        self,
        store: Store,
        *,
        ttl_s: float | None = 3600 * 24,
        tool_turns: bool = False,
        sampled: bool = False,
        require_tenant: bool = False,
        wait_s: float = 30.0,
    ) -> None:
        if ttl_s is not None and ttl_s <= 0:
            raise ConfigError(f"ttl_s is {ttl_s}: it must be above 0, or None to keep entries until evicted")
        if wait_s < 0:
            raise ConfigError(f"wait_s is {wait_s}: it must be 0 (never wait for an equal call) or more")
        self._store = store
        self.ttl_s = ttl_s
        self.tool_turns = tool_turns
        self.sampled = sampled
        self.require_tenant = require_tenant
        self._flights = Flights(wait_s=wait_s)

    def key(self, request: Request, scope: str) -> str | Uncacheable:
        """Return the key of `request` under the policy `scope`, or why it has none.

        `scope` names all that decides an answer beside the request: tiers with models and parameters, prompt
        version, and the form in which replies are frozen. Raises `ScopeError` where a tenant is required and
        missing.
        """
        return cache_key(
            request,
            scope,
            tool_turns=self.tool_turns,
            sampled=self.sampled,
            require_tenant=self.require_tenant,
        )

    def lookup(self, key: str, thaw: Thaw | None = None) -> Hit | Lease:
        """Return the answer kept for `key`, or a lease to be closed by `remember`, whatever happens.

        Waits up to `wait_s` for an equal call in this process, then goes alone. Raises what the store raises.
        """
        thaw = thaw or thaw_reply
        seat = self._hit_or_seat(key, thaw)
        return self._landed(key, self._flights.wait(seat), thaw) if isinstance(seat, Seat) else seat

    async def alookup(self, key: str, thaw: Thaw | None = None) -> Hit | Lease:
        """Do as `lookup` does; only the wait differs, which does not block the loop."""
        thaw = thaw or thaw_reply
        seat = self._hit_or_seat(key, thaw)
        return self._landed(key, await self._flights.wait_async(seat), thaw) if isinstance(seat, Seat) else seat

    def peek(self, key: str, thaw: Thaw | None = None) -> Hit | None:
        """Return the answer kept for `key`, if any, without joining the queue for it."""
        found = self._stored(key, thaw or thaw_reply)
        return None if found is None else found[0]

    def remember(
        self,
        lease: Lease,
        reply: Reply | None,
        *,
        origin: str,
        freeze: Freeze | None = None,
    ) -> None:
        """Close `lease`: keep `reply` and hand it to all who wait; with None, let one of them ask.

        A reply that is not `worth_keeping` is not kept and frees all waiters: theirs would hardly be better.
        Raises what the store or `freeze` raises, after freeing the waiters.
        """
        flight = lease.token if isinstance(lease.token, Flight) else None
        if reply is None:
            if flight is not None:
                self._flights.hand_over(flight)
            return
        value = None
        try:
            if worth_keeping(reply, tool_turns=self.tool_turns):
                value = _envelope((freeze or freeze_reply)(reply), origin)
                self._store.put(lease.key, value, self.ttl_s)
        finally:
            # After the store: who comes now and finds no flight must find the value.
            if value is not None:
                self._flights.land(lease.key, value)
            elif flight is not None:
                self._flights.disperse(flight)

    def close(self) -> None:
        """Free all waiters and close the store."""
        self._flights.close()
        self._store.close()

    def _hit_or_seat(self, key: str, thaw: Thaw) -> Hit | Lease | Seat:
        if found := self._stored(key, thaw):
            return found[0]
        flight = self._flights.board(key)
        if isinstance(flight, Seat):
            return flight
        try:
            # The last leader may have landed between the look and the boarding.
            found = self._stored(key, thaw)
        except BaseException:
            self._flights.hand_over(flight)
            raise
        if found is None:
            return Lease(key, flight)
        self._flights.land(key, found[1])
        return found[0]

    def _stored(self, key: str, thaw: Thaw) -> tuple[Hit, bytes] | None:
        found = self._store.get(key)
        if found is None:
            return None
        hit = _opened(*found, thaw)
        if hit is None:
            self._store.delete(key)
            return None
        return hit, found[0]

    def _landed(self, key: str, landing: Landing, thaw: Thaw) -> Hit | Lease:
        if isinstance(landing, bytes):
            return _opened(landing, 0.0, thaw) or Lease(key)
        return Lease(key, landing)


def worth_keeping(reply: Reply, *, tool_turns: bool = False) -> bool:
    """Say whether `reply` is a whole answer: not empty, cut short or filtered, no tool calls uninvited."""
    if reply.tool_calls or reply.finish == "tool_calls":
        return tool_turns and reply.finish in (None, "stop", "tool_calls")
    return reply.text != "" and reply.finish in (None, "stop")


def freeze_reply(reply: Reply) -> dict[str, Any]:
    """Turn the neutral part of `reply` into JSON; log-probabilities and the native message are left out."""
    usage = reply.usage
    return {
        "text": reply.text,
        "tool_calls": [[c.id, c.name, c.arguments] for c in reply.tool_calls],
        "finish": reply.finish,
        "usage": usage and {n: v for n, d in _USAGE_DEFAULTS.items() if (v := getattr(usage, n)) != d},
        "usage_is_estimate": reply.usage_is_estimate,
        "model": reply.model,
    }


def thaw_reply(frozen: Mapping[str, Any]) -> Reply:
    """Turn what `freeze_reply` made into a reply of its own; raises for anything else."""
    text, finish, usage, is_estimate = (frozen[name] for name in ("text", "finish", "usage", "usage_is_estimate"))
    if not isinstance(text, str) or finish not in _FINISHES:
        raise ValueError(f"text {text!r} or finish {finish!r} is not what was frozen")
    return Reply(
        text,
        tool_calls=tuple(ToolCall(*call) for call in frozen["tool_calls"]),
        finish=finish,
        usage=None if usage is None else Usage(**{name: _tuples(value) for name, value in usage.items()}),
        usage_is_estimate=is_estimate,
        model=frozen["model"],
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _envelope(frozen: Any, origin: str) -> bytes:
    return json.dumps({"v": FORMAT, "origin": origin, "reply": frozen}, separators=(",", ":")).encode()


def _opened(value: bytes, age_s: float, thaw: Thaw) -> Hit | None:
    """Read an entry; None for one that is torn, foreign or of another version."""
    try:
        envelope = json.loads(value)
        if envelope["v"] != FORMAT:
            return None
        return Hit(thaw(envelope["reply"]), age_s, str(envelope["origin"]))
    except Exception:  # noqa: BLE001 - `thaw` is foreign code: whatever it raises, the entry is of no use
        return None
