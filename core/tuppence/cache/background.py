"""What the semantic cache does beside the calls and never in their way: compare answers, remove what is of no use.

A thread of its own does it, since two answers must be embedded, or a store asked; what it cannot keep up with is
dropped, which costs evidence and nothing else.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from tuppence.forks import make_fork_safe

_WAITING = 256
"""Pieces of work that may wait; each takes some tens of milliseconds."""

Work = Callable[[], object]


class Background:
    """A queue of work and the thread that does it."""

    def __init__(self) -> None:
        self._begin()
        make_fork_safe(self)

    def _begin(self) -> None:
        self._waiting: queue.Queue[Work] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._fault: Exception | None = None

    def submit(self, work: Work) -> None:
        """Queue work, or drop it where too much waits; raises, once, what earlier work raised."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tuppence-background", daemon=True)
                self._thread.start()
            fault, self._fault = self._fault, None
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(work)
        if fault is not None:
            raise fault

    def flush(self) -> None:
        """Return once all that waits is done, or has failed."""
        self._waiting.join()

    def _run(self) -> None:
        waiting = self._waiting
        while True:
            work = waiting.get()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever one piece of work meets
                self._fault = error
            finally:
                waiting.task_done()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        # What waits is the parent's to do.
        self._begin()
