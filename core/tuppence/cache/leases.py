"""Single flight over processes: of equal calls in many of them, one asks, and the others wait for its answer.

A lease is a note in the shared store that says who asks. It must never outlive its holder for long, never make anybody
wait longer than `wait_s`, and never hold up the call whose lease it is: extending and releasing are a thread's work.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from tuppence.cache.steps import Steps
from tuppence.forks import make_fork_safe

LEASE_S = 3.0
"""How long a killed holder's lease blocks the others. Extended at a third of it, so that a process may stall for two
seconds (a garbage collection, a busy machine) without losing its leases.
"""
FIRST_LOOK_S = 0.002
LAST_LOOK_S = 0.25
LOOK_EVERY = 0.1
"""Who waits looks again after a tenth of the time waited so far, between the two bounds above: an answer is found at
most a tenth late, and the looks of a waiter grow with the logarithm of its wait. Measured on a local Redis: an answer
after 0.05 s was learnt of 4 ms late by 15 looks, one after 0.5 s 35 ms late by 38. A subscription would be quicker by
that much, and would cost each process a connection and miss what was said before it.
"""
IDLE_LOOKS = 5
"""The thread that extends leases ends when it had none for so many looks."""


Named: TypeAlias = tuple[str, str]
"""A lease by its key and its token."""


@runtime_checkable
class Claims(Protocol):
    """What a store shared by processes offers so that they can take turns; tokens tell the holders apart."""

    def claim(self, key: str, token: str, for_s: float, /) -> tuple[bytes, float] | bool:
        """Return the value of `key` and its age; where there is none, whether `token` has the lease now."""
        ...

    async def aclaim(self, key: str, token: str, for_s: float, /) -> tuple[bytes, float] | bool:
        """Do as `claim` does without blocking the event loop."""
        ...

    def extend(self, leases: Sequence[Named], for_s: float, /) -> None:
        """Have leases last for another `for_s` seconds; those that are another's are left alone."""
        ...

    def release(self, lease: Named, /) -> None:
        """Give a lease up, once what was put before can be read by others; one that is another's is left alone.

        Returns at once and raises nothing: where the store fails, leases run out by themselves.
        """
        ...


@dataclass(slots=True, eq=False)
class Held:
    """A lease of this process."""

    key: str
    token: str
    since_s: float


@dataclass(frozen=True, slots=True)
class Claim:
    """Step: ask the store for the value or the lease."""

    store: Claims
    key: str
    token: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Step: let time pass; the outcome is False where this thread must not wait."""

    seconds: float


class Leases:
    """The leases that this process holds in one store, and the thread that extends them."""

    def __init__(
        self,
        store: Claims,
        *,
        wait_s: float,
        lasting_s: float = LEASE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._wait_s = wait_s
        self._lasting_s = lasting_s
        self._clock = clock
        self._begin()
        make_fork_safe(self)

    def _begin(self) -> None:
        # Reentrant: a garbage collection under the lock may close a stream, which closes its lease.
        self._wake = threading.Condition(threading.RLock())
        self._held: dict[str, Held] = {}
        self._thread: threading.Thread | None = None
        self._idle = 0
        self._closed = False

    def take(self, key: str) -> Steps[tuple[tuple[bytes, float] | Held | None, float]]:
        """Wait until there is a value, or the lease is ours, or the time is up (None); with the seconds waited."""
        held = Held(key, secrets.token_hex(8), 0.0)
        started, waited = self._clock(), 0.0
        try:
            while True:
                answer = yield Claim(self._store, key, held.token, self._lasting_s)
                if isinstance(answer, tuple):
                    return answer, waited
                if answer:
                    self.keep(held)
                    return held, waited
                pause = min(max(FIRST_LOOK_S, waited * LOOK_EVERY), LAST_LOOK_S, self._wait_s - waited)
                if pause <= 0 or not (yield Pause(pause)):
                    return None, waited
                waited = self._clock() - started
        except BaseException:
            # The claim may have been made though nobody heard of it.
            self.release(held)
            raise

    def keep(self, held: Held) -> None:
        """Extend a lease for as long as others would wait for it, from now on."""
        with self._wake:
            held.since_s = self._clock()
            if not self._closed:
                self._held[held.token] = held
                self._run_thread()
                return
        self._store.release((held.key, held.token))

    def release(self, held: Held) -> None:
        """Give a lease up, once what was put before can be read by others; returns at once."""
        with self._wake:
            self._held.pop(held.token, None)
        self._store.release((held.key, held.token))

    def close(self) -> None:
        """Give up all leases; others can have them once the store is flushed or closed."""
        with self._wake:
            self._closed = True
            held, self._held = self._held, {}
            self._wake.notify_all()
        for one in held.values():
            self._store.release((one.key, one.token))

    def _run_thread(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._serve, name="tuppence-leases", daemon=True)
            thread.start()
            self._thread, self._idle = thread, 0

    def _serve(self) -> None:
        while (leases := self._due()) is not None:
            try:
                if leases:
                    self._store.extend(leases, self._lasting_s)
            except Exception:  # noqa: BLE001 - whatever the store's trouble is, the next look is a third of a lease away
                continue

    def _due(self) -> list[Named] | None:
        """Wait a third of a lease and return what is held then; None once nothing was for long."""
        with self._wake:
            self._wake.wait_for(lambda: self._closed, self._lasting_s / 3)
            # Nobody waits for a lease older than this: its holder is slow beyond use, or lost.
            for held in [held for held in self._held.values() if self._clock() - held.since_s > self._wait_s]:
                del self._held[held.token]
            self._idle = 0 if self._held else self._idle + 1
            if self._closed or self._idle == IDLE_LOOKS:
                self._thread = None
                return None
            return [(held.key, held.token) for held in self._held.values()]

    def before_fork(self) -> None:
        self._wake.acquire()

    def after_fork_in_parent(self) -> None:
        self._wake.release()

    def after_fork_in_child(self) -> None:
        # The leases are the parent's.
        closed = self._closed
        self._begin()
        self._closed = closed
