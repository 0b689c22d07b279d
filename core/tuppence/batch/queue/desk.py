"""The thread of one process that takes its requests to the queue and brings back what came of them.

One transaction carries whatever has gathered, so that a thousand callers cost as much as one. It must never make a
caller wait for the queue: who stops waiting goes on at once, and is told later or never.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from tuppence.batch.queue.errands import Landed, Waiting
from tuppence.batch.queue.queue import LaneQueue
from tuppence.forks import make_fork_safe

log = logging.getLogger("tuppence.batch")

_FIRST_LOOK_S = 0.02
_GROWTH = 1.5
_FLUSH_S = 10.0
_PAUSE_S = 1.0
"""Between tries to reach a queue that is away."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A request on its way, for the one who waits for it."""

    id: str
    future: Future[Landed] = field(default_factory=Future)

    def resolve(self, landed: Landed) -> None:
        if not self.future.done():
            self.future.set_result(landed)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class _Work:
    """What has gathered since the last round."""

    puts: list[tuple[Waiting, Ticket]] = field(default_factory=list)
    leaves: list[Ticket] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    flushes: list[Callable[[float], None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.puts or self.leaves or self.settled)


class Desk:
    """Carries requests and answers between this process and `queue`, looking at least every `look_s`."""

    def __init__(self, queue: LaneQueue, *, look_s: float) -> None:
        self._queue = queue
        self._look_s = look_s
        self._begin()
        make_fork_safe(self)

    def _begin(self) -> None:
        """Start without anything under way: in a child, what the parent waits for is the parent's."""
        self._changed = threading.Condition()
        self._work = _Work()
        self._open: dict[str, list[Ticket]] = {}
        self._wait_s = _FIRST_LOOK_S
        self._thread: threading.Thread | None = None

    def put(self, request: Waiting) -> Ticket:
        """Hand a request over; the ticket's future fails with `QueueError` where the queue cannot be used."""
        ticket = Ticket(request.id)
        with self._changed:
            self._work.puts.append((request, ticket))
            self._wake()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Go on without a request. The future then says `cancelled`, or `claimed` where it was sent already."""
        with self._changed:
            self._work.leaves.append(ticket)
            self._wake()

    def settled(self, ids: list[str], flush: Callable[[float], None]) -> None:
        """Note, once `flush` has brought them there, that a ledger holds what these cost."""
        with self._changed:
            self._work.settled += ids
            self._work.flushes.append(flush)
            self._wake()

    def before_fork(self) -> None:
        self._changed.acquire()

    def after_fork_in_parent(self) -> None:
        self._changed.release()

    def after_fork_in_child(self) -> None:
        self._begin()

    # -- the thread

    def _wake(self) -> None:
        self._wait_s = _FIRST_LOOK_S
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tuppence-lane", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._work:
                    self._changed.wait(self._wait_s if self._open else None)
                work, self._work = self._work, _Work()
                self._wait_s = min(self._look_s, self._wait_s * _GROWTH)
            self._carry(work)

    def _carry(self, work: _Work) -> None:
        """Do one round. What cannot be put is told to those who wait for it, the rest is tried again."""
        try:
            if work.puts:
                self._take_in(work.puts)
            work.puts = []
            if work.leaves:
                self._give_up(work.leaves)
            work.leaves = []
            self._bring_back()
            if work.settled:
                self._note_settled(work)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must not wait for a dead thread
            log.warning("the batch lane's queue could not be used, and is tried again: %s", error)
            for _, ticket in work.puts:
                ticket.fail(error)
            with self._changed:
                self._work.leaves += work.leaves
                self._work.settled += work.settled
                self._work.flushes += work.flushes
            time.sleep(min(self._look_s, _PAUSE_S))

    def _bring_back(self) -> None:
        for landed in self._queue.landed(list(self._open)) if self._open else ():
            for ticket in self._open.pop(landed.id, ()):
                ticket.resolve(landed)

    def _take_in(self, puts: list[tuple[Waiting, Ticket]]) -> None:
        self._queue.put([request for request, _ in puts])
        for _, ticket in puts:
            self._open.setdefault(ticket.id, []).append(ticket)

    def _give_up(self, leaves: list[Ticket]) -> None:
        """Take those who leave off the list; a request that others of this process wait for stays."""
        for ticket in leaves:
            if ticket in (others := self._open.get(ticket.id, [])):
                others.remove(ticket)
                if not others:
                    del self._open[ticket.id]
        alone = {ticket.id for ticket in leaves if ticket.id not in self._open}
        fates = self._queue.leave(alone)
        for ticket in leaves:
            if (fate := fates.get(ticket.id)) in ("answered", "missed"):
                self._open.setdefault(ticket.id, []).append(ticket)
            else:
                ticket.resolve(Landed(ticket.id, fate or "cancelled"))

    def _note_settled(self, work: _Work) -> None:
        # One ledger serves many calls.
        for flush in dict.fromkeys(work.flushes):
            flush(_FLUSH_S)
        self._queue.settled(work.settled)
