"""Work that is done behind the calls, on a thread of its own.

Nobody's call may wait for it: what the queue has no room for is turned away, at once. And no program's end may hang on
it: at the interpreter's exit it gets some seconds, and what is left is given up.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakSet

# The ledger that judgements are written to must be closed after them: what is registered later runs earlier.
import tuppence.spend.ledger.writer  # noqa: F401
from tuppence.forks import make_fork_safe

log = logging.getLogger("tuppence.judging")

EXIT_WAIT_S = 5.0
"""Long enough for an answer that is under way, short enough not to look hung."""
# A thread that has nothing to do for so long ends; the next work starts another.
_IDLE_S = 30.0

T = TypeVar("T")


class Behind(Generic[T]):
    """A queue with room for `room` things, and the thread that does `work` on them one by one.

    `given_up` is told at the interpreter's exit what was left when the time was over, even if that is nothing.
    """

    def __init__(self, work: Callable[[T], object], *, room: int, given_up: Callable[[Sequence[T]], object]) -> None:
        self._work = work
        self._room = room
        self._given_up = given_up
        self._begin()
        make_fork_safe(self)
        _all.add(self)

    def _begin(self) -> None:
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False

    def put(self, thing: T) -> bool:
        """Queue a thing and say so; False where there is no room, or no thread to be had."""
        with self._changed:
            if len(self._waiting) >= self._room:
                return False
            if self._thread is None and not self._start():
                return False
            self._waiting.append(thing)
            self._changed.notify_all()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Return once all is done, or `timeout_s` are over; say which."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Finish, or give up what is left after `timeout_s`."""
        self.flush(timeout_s)
        with self._changed:
            left = tuple(self._waiting)
            self._waiting.clear()
        self._given_up(left)

    def _start(self) -> bool:
        self._thread = threading.Thread(target=self._run, name="tuppence-judging", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter ends, or the system's limit is reached.
            self._thread = None
        return self._thread is not None

    def _run(self) -> None:
        while taken := self._taken():
            try:
                self._work(taken[0])
            except Exception:
                # The thread must outlive whatever one thing meets.
                log.warning("work behind a call failed", exc_info=True)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _taken(self) -> Sequence[T]:
        """Wait for a thing and return it, alone; return nothing where none comes, and the thread is to end."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, _IDLE_S):
                self._thread = None
                return ()
            self._busy = True
            return (self._waiting.popleft(),)

    def before_fork(self) -> None:
        self._changed.acquire()

    def after_fork_in_parent(self) -> None:
        self._changed.release()

    def after_fork_in_child(self) -> None:
        # What waits is the parent's to do.
        self._begin()


_all: WeakSet[Behind[Any]] = WeakSet()


def _at_exit() -> None:
    until = time.monotonic() + EXIT_WAIT_S
    for one in list(_all):
        one.close(max(0.0, until - time.monotonic()))


atexit.register(_at_exit)
