"""What holds a lock or an open file across `os.fork()`.

A child starts with the parent's locks as they happened to be and without the parent's threads; SQLite's file
locks do not survive at all. So everything registered here is brought to rest before a fork, whichever thread
forks, and begins anew in the child.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something to bring to rest around a fork; the three are called by the forking thread."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


_known: weakref.WeakSet[Forkable] = weakref.WeakSet()
_resting: list[Forkable] = []
# Two threads may fork at the same time.
_fork = threading.Lock()


def make_fork_safe(thing: Forkable) -> None:
    """Have `thing` told of every fork for as long as it lives."""
    _known.add(thing)


def _before() -> None:
    _fork.acquire()
    _resting[:] = _known
    for thing in _resting:
        thing.before_fork()


def _in_parent() -> None:
    while _resting:
        _resting.pop().after_fork_in_parent()
    _fork.release()


def _in_child() -> None:
    while _resting:
        _resting.pop().after_fork_in_child()
    _fork.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
