"""A queue and the thread that works it off, so that no call waits for a disk.

It must never raise into a call but to say that something is not done, and never hold more than a bounded number of
things: what is too much is refused, not kept.
"""

from __future__ import annotations

import atexit
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from tuppence.forks import make_fork_safe

T = TypeVar("T")

WAITING = 1_000
"""Things that may wait: some seconds of busy traffic, and some tens of megabytes of long prompts."""
CLOSE_WAIT_S = 5.0
"""At the end of a program: long enough for a slow disk, short enough not to look hung."""


class Behind(Generic[T]):
    """Does `work` on everything that is put, one after the other; `work` must not raise."""

    def __init__(self, work: Callable[[T], None], *, waiting: int = WAITING) -> None:
        self._work = work
        self._room = waiting
        self._begin()
        make_fork_safe(self)
        _all.add(self)

    def _begin(self) -> None:
        self._waiting: queue.Queue[T] = queue.Queue(self._room)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, thing: T) -> bool:
        """Queue a thing without waiting; say whether there was room."""
        try:
            self._waiting.put_nowait(thing)
        except queue.Full:
            return False
        if self._thread is None or not self._thread.is_alive():
            self._start()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put is done; say whether it is."""
        waiting = self._waiting
        with waiting.all_tasks_done:
            return waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, timeout_s)

    @property
    def waiting(self) -> int:
        return self._waiting.unfinished_tasks

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._run, name="tuppence-recorder", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                # No threads any more (the interpreter ends) or not now (their limit is reached): done here then.
                self._thread = None
                self._drain()
            _flush_with_worker_processes()

    def _run(self) -> None:
        waiting = self._waiting
        while True:
            thing = waiting.get()
            try:
                self._work(thing)
            finally:
                waiting.task_done()

    def _drain(self) -> None:
        while True:
            try:
                thing = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._work(thing)
            self._waiting.task_done()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        # What waits is the parent's to do.
        self._begin()


_all: WeakSet[Behind[Any]] = WeakSet()


def _flush_all() -> None:
    for one in list(_all):
        if one.waiting:
            one.flush(CLOSE_WAIT_S)


def _flush_with_worker_processes() -> None:
    # A forked multiprocessing worker ends with os._exit, which runs these finalizers and no atexit function.
    if "multiprocessing" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, _flush_all, exitpriority=0)


atexit.register(_flush_all)
