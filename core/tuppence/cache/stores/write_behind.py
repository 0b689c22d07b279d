"""The writing half of stores outside this process: changes wait here, readable at once, for a thread to commit them.

It must never make the caller of `put` wait for a disk or a network, and never hold more than `MAX_PENDING`
changes when that is gone.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple, TypeVar

from tuppence.cache.leases import Named
from tuppence.forks import make_fork_safe

T = TypeVar("T")

MAX_PENDING = 1_000
"""Changes kept while the file cannot be written; beyond it the oldest are given up."""
MAX_TOUCHED = 1_000
"""Keys whose uses are noted before these alone are worth a commit."""
USES_WITHIN_S = 60.0
"""How long uses wait for other changes to be written with: what only reads writes once a minute."""
GATHER_S = 0.001
"""How long a thread waits for more before it commits: one commit for all that comes in a millisecond holds up those who
want the file meanwhile a tenth as often, and is far quicker than other processes look."""
RETRY_S = 1.0
CLOSE_WITHIN_S = 2.0
"""Enough for a last batch that runs into a lock (0.25 s), on a busy machine."""


class Change(NamedTuple):
    """A row to be written, or with value None to be deleted; times are Unix seconds."""

    value: bytes | None
    stored_at: float
    expires_at: float | None
    tags: frozenset[str] = frozenset()
    pico_usd: int = 0
    tenant: str = ""


class Batch(NamedTuple):
    changes: dict[str, Change]
    times: Counter[str]
    """How often each key was used since the last batch, or since its change in this one."""
    freed: list[Named]
    """Leases to be given up once the changes are written."""


class WriteBehind:
    """A queue of changes by key, and the thread that hands them to `commit`.

    `commit` is called by one thread at a time and either applies a whole batch or raises `broken`, after which the
    batch is tried again; `release` closes what it opened.
    """

    def __init__(
        self,
        commit: Callable[[Batch], None],
        release: Callable[[], None],
        *,
        broken: type[Exception] = sqlite3.Error,
    ) -> None:
        self._commit = commit
        self._release = release
        self._broken = broken
        self._begin()
        make_fork_safe(self)

    def _begin(self) -> None:
        self._committing = threading.RLock()
        self._wake = threading.Condition(threading.RLock())
        self._pending: dict[str, Change] = {}
        self._in_commit: dict[str, Change] = {}
        self._freed: list[Named] = []
        self._times: Counter[str] = Counter()
        self._fault: Exception | None = None
        self._failing = False
        self._thread: threading.Thread | None = None
        self._closed = False

    def peek(self, key: str) -> Change | None:
        """Return the change of `key` that is not committed yet."""
        with self._wake:
            return self._pending.get(key) or self._in_commit.get(key)

    def add(self, key: str, change: Change) -> None:
        """Queue a change; raises, once, the error of a commit that failed meanwhile."""
        with self._wake:
            self._require_open()
            self._wake_thread()
            self._pending.pop(key, None)
            self._pending[key] = change
            # They were uses of what is replaced now.
            self._times.pop(key, None)
            self._trim()
            fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def free(self, lease: Named) -> None:
        """Give a lease up with the next batch; where that fails, or once closed, it is left to run out."""
        with self._wake:
            if not self._closed:
                self._wake_thread()
                self._freed.append(lease)

    def touch(self, key: str) -> None:
        """Note a use; it is written with the next batch, or within `USES_WITHIN_S`."""
        with self._wake:
            if not self._times and not self._closed:
                self._wake_thread()
            self._times[key] += 1
            if len(self._times) == MAX_TOUCHED:
                self._wake.notify_all()

    def flush(self) -> None:
        """Commit all that is queued; where that fails, keep it queued and raise `broken`."""
        with self._committing:
            with self._wake:
                batch = Batch(self._pending, self._times, self._freed)
                self._in_commit, self._pending = self._pending, {}
                self._freed = []
                self._times = Counter()
            if not any(batch):
                return
            try:
                self._commit(batch)
                self._failing = False
            except self._broken:
                with self._wake:
                    self._failing = True
                    self._restore(batch)
                raise
            finally:
                self._in_commit = {}

    def _restore(self, batch: Batch) -> None:
        # What has been replaced meanwhile was not used yet.
        self._times += Counter({key: times for key, times in batch.times.items() if key not in self._pending})
        self._pending = batch.changes | self._pending
        self._trim()

    def clear(self, erase: Callable[[], None]) -> None:
        """Give up what is queued, then `erase` what was committed; nothing is committed in between."""
        with self._committing:
            with self._wake:
                self._pending = {}
                self._times = Counter()
            erase()

    def between_commits(self, work: Callable[[], T]) -> T:
        """Return what `work` does while nothing is committed: it may use what `commit` uses."""
        with self._committing:
            self._require_open()
            return work()

    def if_idle(self, work: Callable[[], T]) -> T | None:
        """Do as `between_commits` does, unless a commit is under way: then None, at once."""
        if not self._committing.acquire(blocking=False):
            return None
        try:
            self._require_open()
            return work()
        finally:
            self._committing.release()

    def close(self) -> None:
        """Commit what can be committed and stop; never raises, so `flush` first to know."""
        with self._wake:
            closed, self._closed = self._closed, True
            thread = self._thread
            self._wake.notify_all()
        if thread is None and not closed:
            self._finish()
        # The garbage collector may close a store from the writing thread itself.
        elif thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_WITHIN_S)

    def _require_open(self) -> None:
        if self._closed:
            raise sqlite3.ProgrammingError("the store is closed")

    def _wake_thread(self) -> None:
        """Have the thread notice what is about to be queued; where something was, it is awake."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tuppence-cache", daemon=True)
            self._thread.start()
        if not self._has_work():
            self._wake.notify_all()

    def _trim(self) -> None:
        # While commits succeed, whoever adds faster than they do loses nothing.
        if self._failing and len(self._pending) > MAX_PENDING:
            # At once: looking for a dict's first key again and again passes over all that went before.
            for key in list(islice(self._pending, len(self._pending) - MAX_PENDING)):
                del self._pending[key]

    def _run(self) -> None:
        while self._awaits_work():
            try:
                self.flush()
            except self._broken as error:
                self._fault = error
        self._finish()

    def _awaits_work(self) -> bool:
        """Wait for something to write, after a failure for `RETRY_S` as well; False once closed."""
        with self._wake:
            if self._failing:
                self._wake.wait_for(lambda: self._closed, RETRY_S)
            while not self._has_work():
                has_uses = bool(self._times)
                if not self._wake.wait(USES_WITHIN_S if has_uses else None) and has_uses:
                    break
            self._wake.wait_for(lambda: self._closed, GATHER_S)
            return not self._closed

    def _has_work(self) -> bool:
        return bool(self._closed or self._pending or self._freed) or len(self._times) >= MAX_TOUCHED

    def _finish(self) -> None:
        try:
            self.flush()
        except self._broken as error:
            self._fault = error
        finally:
            self._release()

    def before_fork(self) -> None:
        self._committing.acquire()
        self._wake.acquire()
        self._release()

    def after_fork_in_parent(self) -> None:
        self._wake.release()
        self._committing.release()

    def after_fork_in_child(self) -> None:
        # What is queued is the parent's to write.
        closed = self._closed
        self._begin()
        self._closed = closed
