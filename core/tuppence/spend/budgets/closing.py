"""The way from a call's end to the counters: a queue, one sleeping thread, and what happens when they are away.

`put` must never block and never raise. Nothing is dropped while the process lives: releases are tried again until they
are carried out, each counts once however often it is tried, and the end of a program waits for them a while.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakSet

from tuppence.effects import Release
from tuppence.errors import BudgetError
from tuppence.prices import usd

log = logging.getLogger("tuppence.budgets")

BATCH = 256
"""Releases carried out together: a long backlog must not keep other processes out."""
ALONG = 16
"""Those that a call carries out beside its own reservation: each costs it some ten microseconds."""
BACKOFF_S = 0.05
BACKOFF_MAX_S = 5.0
CLOSE_S = 5.0
"""At the end of a program: long enough for a busy neighbour, short enough not to look hung."""


class Cancel(Release):
    """A reservation of which nobody knows whether it was made: taken back, if it was. Its call may still close it."""


class Closer:
    """Carries out releases behind the calls, by `carry_out`, which gets some of them and does all or raises
    `BudgetError`.
    """

    def __init__(self, carry_out: Callable[[Sequence[Release]], None], name: str) -> None:
        self._carry_out = carry_out
        self._name = name
        self._begin()
        _closers.add(self)

    def _begin(self) -> None:
        self._queue: deque[Release] = deque()
        self._carrying = threading.Lock()
        self._starting = threading.Lock()
        self._awake = threading.Event()
        self._stop = threading.Event()
        self._pass = threading.Event()
        self._pass.set()
        self._thread: threading.Thread | None = None
        self._resting = True
        self._failing = False
        self._told = 0

    def put(self, release: Release) -> None:
        """Take a release in."""
        self._queue.append(release)
        if self._resting:
            self._wake()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @contextmanager
    def some(self) -> Iterator[Sequence[Release]]:
        """Hand releases that wait to who carries something out anyway, if nobody is at it; they are done unless the
        block raises.
        """
        if not self._queue or not self._carrying.acquire(blocking=False):
            yield ()
            return
        try:
            batch = self._first(ALONG)
            yield batch
            self._forget(batch)
        finally:
            self._carrying.release()

    def flush(self, timeout_s: float) -> None:
        """Return once what waits is carried out; raises `BudgetError`."""
        if not self._carrying.acquire(timeout=max(0.0, timeout_s)):
            raise BudgetError(
                f"{self._name} was busy for {timeout_s:g} s: {self.waiting} releases are kept and tried again"
            )
        try:
            self._drain()
        finally:
            self._carrying.release()

    def close(self) -> None:
        """End the thread and carry out what waits, or say in the log what could not be. A later release starts anew."""
        with self._starting:
            thread, self._thread = self._thread, None
            self._stop.set()
            self._awake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_S)
        try:
            self.flush(CLOSE_S)
        except BudgetError as error:
            self._say_what_is_lost(error)

    def _say_what_is_lost(self, error: BudgetError) -> None:
        # A refused call waits here too, and has spent nothing. A program that ends closes more than once.
        spent = [one.pico_usd for one in list(self._queue) if one.pico_usd]
        if len(spent) == self._told:
            return
        self._told = len(spent)
        log.warning(
            "%s: %d calls that spent $%s are not counted by their budgets, which hold what was reserved until it is "
            "swept; `tuppence budget rebuild` counts them from the ledger",
            error, len(spent), f"{usd(sum(spent)).normalize():f}",
        )  # fmt: skip

    def _wake(self) -> None:
        with self._starting:
            if self._thread is None:
                self._stop = threading.Event()
                thread = threading.Thread(target=self._run, args=(self._stop,), name="tuppence-budgets", daemon=True)
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError:
                    # No threads any more (the interpreter ends) or not now: it is carried out at the end, or with the
                    # next one.
                    return
                _close_with_worker_processes()
            self._awake.set()

    def _run(self, stop: threading.Event) -> None:
        try:
            self._carry_until(stop)
        finally:
            self._resting = True
            if not stop.is_set():
                self._thread = None

    def _carry_until(self, stop: threading.Event) -> None:
        pause_s = BACKOFF_S
        while not stop.is_set():
            self._awake.wait()
            self._awake.clear()
            self._resting = False
            self._pass.wait()
            with self._carrying:
                done = self._try_to_drain()
            if not done:
                stop.wait(pause_s)
            pause_s = BACKOFF_S if done else min(2 * pause_s, BACKOFF_MAX_S)
            # In this order: who appends after the look at the queue finds `_resting` true and wakes us.
            self._resting = done
            if self._queue:
                self._awake.set()

    def _drain(self) -> None:
        # What waits now, and not what comes meanwhile: others wait for the lock.
        for left in range(len(self._queue), 0, -BATCH):
            batch = self._first(min(BATCH, left))
            self._carry_out(batch)
            self._forget(batch)

    def _first(self, most: int) -> list[Release]:
        # Taken out when done: what fails stays in its place. Only who holds the lock takes.
        return [self._queue[i] for i in range(min(most, len(self._queue)))]

    def _forget(self, done: Sequence[Release]) -> None:
        for _ in done:
            self._queue.popleft()

    def _try_to_drain(self) -> bool:
        """Carry out what is there; on failure say so once, and say when it is over."""
        try:
            self._drain()
        except BudgetError as error:
            if not self._failing:
                log.warning("%s; what calls have spent is kept in memory and tried again", error)
            self._failing = True
            return False
        if self._failing:
            log.warning("%s can be reached again; all that was spent is counted", self._name)
        self._failing = False
        return True

    def before_fork(self) -> None:
        # Locks know no order of arrival: the thread would go first for as long as calls come in.
        self._pass.clear()
        self._starting.acquire()
        self._carrying.acquire()

    def after_fork_in_parent(self) -> None:
        self._carrying.release()
        self._starting.release()
        self._pass.set()

    def after_fork_in_child(self) -> None:
        # What waited is the parent's to carry out.
        self._begin()


_closers: WeakSet[Closer] = WeakSet()


def _at_exit() -> None:
    for closer in list(_closers):
        closer.close()


def _close_with_worker_processes() -> None:
    # A forked multiprocessing worker ends with os._exit, which runs these finalizers and no atexit function.
    if "multiprocessing" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, _at_exit, exitpriority=0)


atexit.register(_at_exit)
