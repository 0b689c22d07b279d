"""Single flight: of equal calls under way in this process, one asks and the others wait for its answer.

Threads and asyncio tasks share one table. It must never make anybody wait longer than `wait_s`, never block
an event loop, and never lose a lead: a leader that fails or is cancelled hands over to one waiter, one that
is lost is replaced.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from tuppence.cache.leases import Held
from tuppence.forks import make_fork_safe


@dataclass(slots=True, eq=False)
class Flight:
    """The lead for one key; handing over makes a new one with the same queue: an old leader has no say."""

    key: str
    started_s: float
    queue: deque[Future[Landing]] = field(default_factory=deque)
    held: Held | None = None
    """The lease that keeps other processes waiting meanwhile; it goes with the lead."""


@dataclass(slots=True, eq=False)
class Seat:
    """A place in the queue of a flight."""

    future: Future[Landing]
    queue: deque[Future[Landing]]


Landing: TypeAlias = "bytes | Flight | None"
"""What a waiter gets: the answer, the lead, or nothing (go alone)."""


class Flights:
    """The table of open flights."""

    def __init__(self, *, wait_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait_s = wait_s
        self._clock = clock
        self._open: dict[str, Flight] = {}
        # Reentrant: a garbage collection under the lock may close a stream, which closes its lease.
        self._lock = threading.RLock()
        make_fork_safe(self)

    def board(self, key: str) -> Flight | Seat:
        """Take the lead for `key`, or a seat where somebody has had it for less than `wait_s`."""
        with self._lock:
            flight = self._open.get(key)
            now = self._clock()
            if flight is None:
                self._open[key] = flight = Flight(key, now)
                return flight
            if now - flight.started_s >= self._wait_s:
                self._open[key] = successor = Flight(key, now, flight.queue, flight.held)
                flight.held = None
                return successor
            future: Future[Landing] = Future()
            flight.queue.append(future)
            return Seat(future, flight.queue)

    def wait(self, seat: Seat) -> Landing:
        """Wait in a thread, unless it runs an event loop: the leader may be one of that loop's tasks."""
        if runs_event_loop():
            return self._leave(seat)
        try:
            return seat.future.result(self._wait_s)
        except TimeoutError:
            return self._leave(seat)
        except BaseException:
            self._abandon(seat)
            raise

    async def wait_async(self, seat: Seat) -> Landing:
        """Wait in an asyncio task; if cancelled, leave the queue and pass on a lead just given."""
        try:
            async with asyncio.timeout(self._wait_s):
                return await asyncio.wrap_future(seat.future)
        except TimeoutError:
            return self._leave(seat)
        except BaseException:
            self._abandon(seat)
            raise

    def land(self, key: str, value: bytes) -> None:
        """Give `value` to everybody who waits for `key`, whoever found it."""
        with self._lock:
            self._release(self._open.pop(key, None), value)

    def disperse(self, flight: Flight) -> None:
        """Send everybody who waits for `flight` on their own way: its answer is not one to share."""
        with self._lock:
            if self._open.get(flight.key) is flight:
                self._release(self._open.pop(flight.key), None)

    def hand_over(self, flight: Flight) -> None:
        """Give the lead to the one who has waited longest; an old leader's lead is gone already."""
        with self._lock:
            if self._open.get(flight.key) is not flight:
                return
            while flight.queue:
                future = flight.queue.popleft()
                if future.set_running_or_notify_cancel():
                    successor = Flight(flight.key, self._clock(), flight.queue, flight.held)
                    flight.held = None
                    self._open[flight.key] = successor
                    future.set_result(successor)
                    return
            del self._open[flight.key]

    def close(self) -> None:
        """Send all waiters on their own way."""
        with self._lock:
            while self._open:
                self._release(self._open.popitem()[1], None)

    def _release(self, flight: Flight | None, landing: Landing) -> None:
        while flight is not None and flight.queue:
            future = flight.queue.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(landing)

    def _leave(self, seat: Seat) -> Landing:
        """Give the seat up; return what may have come at the last moment."""
        with self._lock:
            if not seat.future.cancel() and not seat.future.cancelled():
                return seat.future.result()
            if seat.future in seat.queue:
                seat.queue.remove(seat.future)
            return None

    def _abandon(self, seat: Seat) -> None:
        landing = self._leave(seat)
        if isinstance(landing, Flight):
            self.hand_over(landing)

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        # The leaders are the parent's.
        self._lock = threading.RLock()
        self._open = {}


def runs_event_loop() -> bool:
    """Say whether waiting in this thread would stop an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
