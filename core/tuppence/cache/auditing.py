"""Compare what the cache would have served with what the model said, beside the calls and never in their way.

A thread of its own does it, since two answers must be embedded; what it cannot keep up with is dropped, which costs
evidence and nothing else.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from tuppence.cache.forks import make_fork_safe

_WAITING = 256
"""Comparisons that may wait; each takes some tens of milliseconds."""

Work = Callable[[], None]


class Auditor:
    """A queue of comparisons and the thread that makes them."""

    def __init__(self) -> None:
        self._begin()
        make_fork_safe(self)

    def _begin(self) -> None:
        self._waiting: queue.Queue[Work] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.failed: Exception | None = None
        """What the last comparison that broke raised."""

    def submit(self, work: Work) -> None:
        """Queue a comparison, or drop it where too many wait."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tuppence-audits", daemon=True)
                self._thread.start()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(work)

    def flush(self) -> None:
        """Return once all that waits has been compared."""
        self._waiting.join()

    def _run(self) -> None:
        waiting = self._waiting
        while True:
            work = waiting.get()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever one comparison meets
                self.failed = error
            finally:
                waiting.task_done()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        # What waits is the parent's to compare.
        self._begin()
