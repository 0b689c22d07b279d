"""The exact cache: the same request, asked again, costs nothing.

It keeps settings, a store and the flights together. It must never serve what it cannot read back whole, never
share one mutable reply between two callers, and never keep an answer that was cut short.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Any

from tuppence.cache.flights import Flight, Flights, Landing, Seat, runs_event_loop
from tuppence.cache.keys import Uncacheable, cache_key
from tuppence.cache.leases import Claim, Claims, Held, Leases, Pause
from tuppence.cache.replies import Freeze, Redact, Thaw, freeze_reply, opened, sealed, thaw_reply, worth_keeping
from tuppence.cache.steps import Steps, arun, run
from tuppence.cache.stored import RemoteStore, Store, Stored
from tuppence.effects import Hit, Lease
from tuppence.errors import ConfigError
from tuppence.request import Reply, Request

__all__ = ["ExactCache", "RemoteStore", "Store"]


@dataclass(frozen=True, slots=True)
class _Get:
    """Step: read a key."""

    key: str


class ExactCache:
    """Settings, store and single flight in one.

    `ttl_s` None keeps entries until they are evicted. `wait_s` bounds the wait for an equal call under way, in this
    process or, where the store is shared, in another; 0 turns single flight off. `redact` takes out of a text what must
    not be stored: an answer that it would change is not kept, since a changed one must not be served. Safe to use from
    threads, from asyncio tasks of any loop, and after a fork.
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
        redact: Redact | None = None,
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
        self._redact = redact
        self._flights = Flights(wait_s=wait_s)
        self._leases = Leases(store, wait_s=wait_s) if wait_s and isinstance(store, Claims) else None
        # Asked once: looking a protocol up costs more than looking a key up.
        self._remote = store if isinstance(store, RemoteStore) else None

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

        Waits up to `wait_s` for an equal call, here or in another process, then goes alone. Raises what the store
        raises.
        """
        return run(self._looking(key, thaw or thaw_reply), self._perform)

    async def alookup(self, key: str, thaw: Thaw | None = None) -> Hit | Lease:
        """Do as `lookup` does without blocking the event loop."""
        return await arun(self._looking(key, thaw or thaw_reply), self._aperform)

    def peek(self, key: str, thaw: Thaw | None = None) -> Hit | None:
        """Return the answer kept for `key`, if any, without joining the queue for it."""
        found = run(self._stored(key, thaw or thaw_reply), self._perform)
        return None if found is None else found[0]

    async def apeek(self, key: str, thaw: Thaw | None = None) -> Hit | None:
        """Do as `peek` does without blocking the event loop."""
        found = await arun(self._stored(key, thaw or thaw_reply), self._aperform)
        return None if found is None else found[0]

    def remember(
        self,
        lease: Lease,
        reply: Reply | None,
        *,
        origin: str,
        freeze: Freeze | None = None,
        tags: frozenset[str] = frozenset(),
        at_most_s: float = math.inf,
        pico_usd: int = 0,
        tenant: str | None = None,
    ) -> None:
        """Close `lease`: keep `reply` and hand it to all who wait; with None, let one of them ask. Waits for nothing.

        It is kept for `ttl_s`, or `at_most_s` if that is shorter; where there is too little room, what it cost says for
        how long, and `tenant` whose room it takes.

        A reply that is not to be kept, cut short or not for storing, frees all waiters: theirs would hardly be better.
        Raises what the store or `freeze` raises, after freeing the waiters.
        """
        flight = lease.token if isinstance(lease.token, Flight) else None
        if reply is None:
            if flight is not None:
                self._flights.hand_over(flight)
                self._let_go(flight)
            return
        value = None
        try:
            if worth_keeping(reply, tool_turns=self.tool_turns) and self.may_store(reply):
                value = sealed((freeze or freeze_reply)(reply), origin)
                for_s = min(math.inf if self.ttl_s is None else self.ttl_s, at_most_s)
                ttl_s = None if for_s == math.inf else for_s
                self._store.put(lease.key, value, ttl_s, tags, pico_usd=pico_usd, tenant=tenant)
        finally:
            # After the store: who comes now and finds no flight must find the value.
            if value is not None:
                self._flights.land(lease.key, value)
            elif flight is not None:
                self._flights.disperse(flight)
            if flight is not None:
                self._let_go(flight)

    def may_store(self, reply: Reply) -> bool:
        """Say whether there is nothing in the reply's text, or in its tool calls, for `redact` to take out."""
        texts = (reply.text, *(call.arguments for call in reply.tool_calls))
        return self._redact is None or all(self._redact(text) == text for text in texts)

    def invalidate(self, tag: str) -> int:
        """Delete every answer that was kept with `tag`, whatever its tenant; return how many could have been served.

        Raises what the store raises. An answer that is being asked for meanwhile is kept when it comes.
        """
        return self._store.invalidate(tag)

    def most_hit(self, n: int = 10) -> list[Stored]:
        """Return the `n` answers that were served most often, whatever their tenant; in observe mode, would have been.

        Raises what the store raises.
        """
        return self._store.most_hit(n)

    def flush(self) -> None:
        """Return once all that was kept would survive a kill -9, where its store outlives the process at all.

        Raises what the store raises.
        """
        self._store.flush()

    def close(self) -> None:
        """Free all waiters, here and in other processes, and close the store."""
        self._flights.close()
        if self._leases is not None:
            self._leases.close()
        self._store.close()

    # -- looking, said once for threads and event loops

    def _looking(self, key: str, thaw: Thaw) -> Steps[Hit | Lease]:
        if found := (yield from self._stored(key, thaw)):
            return found[0]
        flight = self._flights.board(key)
        if isinstance(flight, Seat):
            started = time.monotonic()
            landing = yield flight
            return self._landed(key, landing, time.monotonic() - started, thaw)
        try:
            # The last leader may have landed between the look and the boarding.
            found, waited = yield from self._led(flight, thaw)
        except BaseException:
            self._flights.hand_over(flight)
            self._let_go(flight)
            raise
        if found is None:
            return Lease(key, flight, _waited(waited, "of another process, which brought no answer"))
        self._flights.land(key, found[1])
        self._let_go(flight)
        found[0].why = _waited(waited, "of another process")
        return found[0]

    def _led(self, flight: Flight, thaw: Thaw) -> Steps[tuple[tuple[Hit, bytes] | None, float]]:
        """Look once more; where processes share the store, as soon as none of the others is asking."""
        if self._leases is None:
            return (yield from self._stored(flight.key, thaw)), 0.0
        if flight.held is not None:
            # Taken over from a leader of this process that was lost.
            self._leases.keep(flight.held)
            return (yield from self._stored(flight.key, thaw)), 0.0
        answer, waited = yield from self._leases.take(flight.key)
        if answer is None or isinstance(answer, Held):
            flight.held = answer
            return None, waited
        return self._readable(flight.key, answer, thaw), waited

    def _stored(self, key: str, thaw: Thaw) -> Steps[tuple[Hit, bytes] | None]:
        found = yield _Get(key)
        return None if found is None else self._readable(key, found, thaw)

    def _readable(self, key: str, found: tuple[bytes, float], thaw: Thaw) -> tuple[Hit, bytes] | None:
        hit = opened(*found, thaw)
        if hit is None:
            self._store.delete(key)
            return None
        return hit, found[0]

    def _landed(self, key: str, landing: Landing, waited: float, thaw: Thaw) -> Hit | Lease:
        if not isinstance(landing, bytes):
            return Lease(key, landing, _waited(waited, "that brought no answer"))
        hit = opened(landing, 0.0, thaw)
        if hit is None:
            return Lease(key)
        self._store.used(key)
        hit.why = _waited(waited, "under way")
        return hit

    def _let_go(self, flight: Flight) -> None:
        held, flight.held = flight.held, None
        if held is not None and self._leases is not None:
            self._leases.release(held)

    def _perform(self, step: Any) -> Any:
        if type(step) is _Get:
            return self._store.get(step.key)
        if type(step) is Seat:
            return self._flights.wait(step)
        if type(step) is Claim:
            return step.store.claim(step.key, step.token, step.for_s)
        assert type(step) is Pause
        # The other process may be waiting for this very loop: whoever would stop one goes alone.
        if runs_event_loop():
            return False
        time.sleep(step.seconds)
        return True

    async def _aperform(self, step: Any) -> Any:
        if type(step) is _Get:
            return self._store.get(step.key) if self._remote is None else await self._remote.aget(step.key)
        if type(step) is Seat:
            return await self._flights.wait_async(step)
        if type(step) is Claim:
            return await step.store.aclaim(step.key, step.token, step.for_s)
        assert type(step) is Pause
        await asyncio.sleep(step.seconds)
        return True


def _waited(seconds: float, for_what: str) -> str:
    return f"waited {seconds:.1f} s for an equal call {for_what}" if seconds else ""
