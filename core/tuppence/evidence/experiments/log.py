"""The log of an experiment: takes observations in at once and has a thread write them, a moment later, all together.

It must never make a call wait for the disk, nor fail it. What cannot be written is kept and tried again.
"""

from __future__ import annotations

import atexit
import logging
import math
import threading
import time
import weakref
from collections import deque
from dataclasses import replace
from itertools import islice
from pathlib import Path

from tuppence.evidence.experiments.file import ExperimentError, create, save
from tuppence.forks import make_fork_safe
from tuppence.routes.experiment import Observation
from tuppence.spend.ledger.rows import INT64_MAX, clean

log = logging.getLogger("tuppence.experiments")

WINDOW_S = 0.25
"""How long rows are gathered for one commit; a `kill -9` takes no more than these."""
RETRY_S = 2.0
BATCH = 4096
MOST_WAITING = 100_000
"""Rows kept while the file cannot be written; beyond it the oldest are given up."""

_Score = tuple[str, float]


class ExperimentLog:
    """Writes what experiments see into the SQLite file `path`, which any number of processes share.

    Give it to `Experiment(..., watch=ExperimentLog("experiment.sqlite"))`. Raises `ExperimentError` where the file
    cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        create(self.path)
        self._begin()
        make_fork_safe(self)
        _logs.add(self)

    def _begin(self) -> None:
        self._waiting: deque[Observation | _Score] = deque()
        self._storing = threading.Lock()
        self._starting = threading.Lock()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None

    def observe(self, seen: Observation) -> None:
        """Take in what a call came to: no wait, never an exception. The same call twice counts once."""
        self._put(seen)

    def score(self, call_id: str, score: float) -> None:
        """Say how good the answer of a call was, from 0 (bad) to 1 (good); said again, the last word counts.

        Raises `ExperimentError` for a score that is none. The call need not be known.
        """
        if not 0.0 <= score <= 1.0:
            raise ExperimentError(f"the score of call {call_id!r} is {score!r}: give a number from 0 (bad) to 1 (good)")
        self._put((clean(call_id), float(score)))

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once everything so far is in the file; else raise `ExperimentError`, and keep it to be tried again."""
        if not self._storing.acquire(timeout=timeout_s):
            raise ExperimentError(f"{self.path} was busy for all of {timeout_s} s: flush with a longer timeout_s")
        try:
            self._store_all()
        finally:
            self._storing.release()

    def _put(self, item: Observation | _Score) -> None:
        self._waiting.append(item)
        if not self._awake.is_set():
            self._wake()

    def _wake(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tuppence-experiments", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:
                    # The interpreter ends: what waits is written at its exit.
                    self._thread = None
            self._awake.set()

    def _run(self) -> None:
        awake, failing = self._awake, False
        while True:
            awake.wait()
            time.sleep(RETRY_S if failing else WINDOW_S)
            # In this order: who appends after this finds it cleared, and wakes us again.
            awake.clear()
            try:
                with self._storing:
                    self._store_all()
                failing = False
            except ExperimentError as error:
                if not failing:
                    log.warning("%s; observations are kept in memory and tried again", error)
                failing = True
                awake.set()

    def _store_all(self) -> None:
        while self._waiting:
            batch = list(islice(self._waiting, BATCH))
            try:
                save(
                    self.path,
                    [_storable(item) for item in batch if isinstance(item, Observation)],
                    [item for item in batch if not isinstance(item, Observation)],
                )
            except ExperimentError:
                while len(self._waiting) > MOST_WAITING:
                    self._waiting.popleft()
                raise
            for _ in batch:
                self._waiting.popleft()

    def before_fork(self) -> None:
        self._starting.acquire()
        self._storing.acquire()

    def after_fork_in_parent(self) -> None:
        self._storing.release()
        self._starting.release()

    def after_fork_in_child(self) -> None:
        # What waits is the parent's to write.
        self._begin()


def _storable(seen: Observation) -> Observation:
    """Make of a row one that SQLite takes: a single odd value must not hold up those beside it."""
    pico, latency = seen.pico_usd, seen.latency_ms
    return replace(
        seen, experiment=clean(seen.experiment), unit=clean(seen.unit), call_id=clean(seen.call_id),
        pico_usd=None if pico is None or abs(pico) > INT64_MAX else pico,
        latency_ms=None if latency is None or not math.isfinite(latency) else float(latency),
    )  # fmt: skip


_logs: weakref.WeakSet[ExperimentLog] = weakref.WeakSet()


def _at_exit() -> None:
    for one in list(_logs):
        try:
            one.flush()
        except ExperimentError as error:
            log.error("%s", error)


atexit.register(_at_exit)
