"""The way from a settled call to the disk: a queue, one sleeping thread, and what happens when the disk says
no.

`put` must never block and never raise: it appends and, where the thread rests, wakes it. Nothing is dropped:
rows that cannot be stored stay in memory and are tried again, and at the end they are spilled to a file.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

from tuppence.attempts import Result
from tuppence.errors import LedgerError
from tuppence.spend.ledger.rows import Batch, Feedback, log

# How long the thread waits for another process's transaction before it lets go of the ledger and backs off.
BUSY_WAIT_S = 1.0
BACKOFF_MAX_S = 10.0
# Rows that wait in memory, at about 0.6 KB each, before they go to a file.
KEPT_ROWS = 50_000
# At the end of a program: long enough for a neighbour's transaction, short enough not to look hung.
CLOSE_WAIT_S = 5.0


class Ledger(Protocol):
    """Where settled calls are written down."""

    def write(self, result: Result) -> None:
        """Take `result` in without blocking and without ever raising."""
        ...

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once everything written so far is on disk; else raise `LedgerError` saying where the rows
        are.
        """
        ...

    def close(self) -> None:
        """Flush, or spill to a file what cannot be flushed."""
        ...


class Store(Protocol):
    """What a writer writes to. Every method is called by one thread at a time."""

    @property
    def name(self) -> str:
        """Name the place in messages."""
        ...

    def save(self, batch: Batch, wait_s: float) -> None:
        """Store rows durably and take them out of `batch`; raise `LedgerError` with the rest still in it."""
        ...

    def spill(self, batch: Batch) -> Path:
        """Put rows into a file instead; raise `LedgerError` where no file can be written either."""
        ...

    def take_in(self) -> bool:
        """Store the rows of one spill file; say whether there was one, and raise `LedgerError` where it stays."""
        ...

    def add_up(self, wait_s: float) -> bool:
        """Do a little of what reports would have to do otherwise, without ever raising; say whether there is more."""
        ...

    def release(self) -> None:
        """Let go of connections; the next `save` opens them again."""
        ...


class Writer:
    """Collects results for `window_s` and stores them in one transaction."""

    def __init__(self, store: Store, *, window_s: float) -> None:
        if not 0 < window_s <= 60:
            raise LedgerError(f"window_s is {window_s!r}: give seconds above 0 and up to 60, such as 0.25")
        self._store = store
        self._window_s = window_s
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        """Begin with nothing: no rows, no thread."""
        self._queue: deque[Result | Feedback] = deque()
        self._batch = Batch()
        self._storing = threading.Lock()
        # The garbage collector may come in between, with a stream that it ends and that has a row to write.
        self._starting = threading.RLock()
        self._awake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._resting = True
        self._failing = False
        self._behind = False

    def catch_up(self) -> None:
        """Have spilled rows taken in once rows can be stored."""
        self._behind = True

    def put(self, item: Result | Feedback) -> None:
        self._queue.append(item)
        if self._resting:
            self._wake()

    def flush(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        if not self._storing.acquire(timeout=max(0.0, timeout_s)):
            raise LedgerError(
                f"{self._store.name} was busy for all of {timeout_s} s: {self.waiting} calls and rows are kept in "
                "memory and tried again; flush with a longer timeout_s, or look for a process that holds it"
            )
        try:
            self._drain(max(0.0, deadline - time.monotonic()))
        except LedgerError as error:
            raise LedgerError(f"{error}; {self.waiting} calls and rows are kept in memory and tried again") from error
        finally:
            self._storing.release()

    def close(self) -> None:
        """Stop the thread, store what is left or spill it. What is put later starts the thread again."""
        with self._starting:
            thread, self._thread = self._thread, None
            self._stop.set()
            self._awake.set()
        if thread is not None:
            thread.join()
        with self._storing:
            try:
                self._drain(CLOSE_WAIT_S)
                self._store.add_up(BUSY_WAIT_S)
            except LedgerError as error:
                self._spill(error)
            self._store.release()

    @property
    def waiting(self) -> int:
        """Count the calls and rows that are not yet on disk."""
        return len(self._queue) + len(self._batch)

    def _wake(self) -> None:
        with self._starting:
            if self._thread is None:
                self._start()
            self._awake.set()
            if self._thread is not None:
                return
        if self._storing.acquire(blocking=False):
            try:
                self._try_to_drain()
            finally:
                self._storing.release()

    def _start(self) -> None:
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,), name="tuppence-ledger", daemon=True)
        if self._thread is not None:
            return
        self._stop, self._thread = stop, thread
        try:
            thread.start()
        except RuntimeError:
            # No threads any more (the interpreter ends) or not now (their limit is reached).
            self._thread = None
        _close_with_worker_processes()

    def _run(self, stop: threading.Event) -> None:
        try:
            self._store_until(stop)
        finally:
            # Whatever ended the thread: the next row starts another.
            self._resting = True
            if not stop.is_set():
                self._thread = None

    def _store_until(self, stop: threading.Event) -> None:
        pause_s = self._window_s
        while not stop.is_set():
            self._awake.wait()
            self._awake.clear()
            self._resting = False
            stop.wait(pause_s)
            with self._storing:
                stored = self._try_to_drain()
            more = stored
            while more and not self._queue and not stop.is_set():
                # Step by step: a flush or a fork may wait for its turn.
                with self._storing:
                    more = self._store.add_up(BUSY_WAIT_S)
            pause_s = self._window_s if stored else min(2 * pause_s, BACKOFF_MAX_S)
            # In this order: who appends after the look at the queue finds `_resting` true and wakes us.
            self._resting = stored
            if not stored or self._queue or self._behind:
                self._awake.set()

    def _drain(self, wait_s: float) -> None:
        queue = self._queue
        self._batch.add([queue.popleft() for _ in range(len(queue))])
        if self._batch:
            self._store.save(self._batch, wait_s)

    def _try_to_drain(self) -> bool:
        """Store what is there; on failure say so once, and say when it is over."""
        try:
            self._drain(BUSY_WAIT_S)
            if self._behind:
                # A file at a time: a flush or a fork may wait for its turn.
                self._behind = self._store.take_in()
        except LedgerError as error:
            if not self._failing:
                log.warning("%s; rows are kept in memory and tried again", error)
            self._failing = True
            self._bound_memory(error)
            return False
        if self._failing:
            log.warning("%s can be written again; nothing was lost", self._store.name)
        self._failing = False
        return True

    def _bound_memory(self, error: LedgerError) -> None:
        if len(self._batch) > KEPT_ROWS:
            try:
                self._spill(error)
            except LedgerError as full:
                log.error("%s", full)

    def _spill(self, error: LedgerError) -> None:
        count = len(self._batch)
        path = self._store.spill(self._batch)
        self._batch = Batch()
        self._behind = True
        log.warning("%s; %d rows were put into %s, which is read once the ledger can be written", error, count, path)

    def before_fork(self) -> None:
        # A connection must not cross a fork: closing it in the child would take the parent's log away.
        self._starting.acquire()
        self._storing.acquire()
        self._store.release()

    def after_fork_in_parent(self) -> None:
        self._storing.release()
        self._starting.release()

    def after_fork_in_child(self) -> None:
        # The rows that waited are the parent's to store.
        self._reset()


_writers: WeakSet[Writer] = WeakSet()
_forking: list[Writer] = []
# Two threads may fork at the same time.
_fork = threading.Lock()


def _before_fork() -> None:
    _fork.acquire()
    _forking[:] = _writers
    for writer in _forking:
        writer.before_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()
    _fork.release()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop().after_fork_in_child()
    _fork.release()


def _at_exit() -> None:
    for writer in list(_writers):
        try:
            writer.close()
        except LedgerError as error:
            log.error("%s", error)


def _close_with_worker_processes() -> None:
    # A forked multiprocessing worker ends with os._exit, which runs these finalizers and no atexit function.
    if "multiprocessing" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, _at_exit, exitpriority=0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
