"""Recognise a framework's own retry: the same logical call coming in again after it failed.

LangChain's `with_retry`, LangGraph's retry policies and users' loops call again from outside. Counted as new
calls they would hide amplification. A call id that the caller sets always joins; without one, only a request
that *failed* a moment ago does, since two users may well ask the same thing at the same time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from tuppence.attempts import new_call_id
from tuppence.request import Request

_WINDOW_S = 120.0
# LangChain's with_retry waits at most 60 s between tries, LangGraph's RetryPolicy 128 s in all by default.
_MAX_REMEMBERED = 10_000


class RecentCalls:
    """The requests that failed in the last two minutes, and the call ids that callers gave."""

    __slots__ = ("_failed", "_lock", "_named")

    def __init__(self) -> None:
        self._failed: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._named: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def identify(self, request: Request) -> tuple[str, bool]:
        """Return the logical call's id and whether this is a further try of it."""
        if request.call_id is not None:
            return request.call_id, self._named_before(request.call_id)
        if not self._failed:
            return new_call_id(), False
        with self._lock:
            self._forget_before(request.received_at - _WINDOW_S)
            found = self._failed.get(request.fingerprint())
        return (new_call_id(), False) if found is None else (found[0], True)

    def failed(self, request: Request, call_id: str) -> None:
        """Remember that this request failed, so that its retry is recognised."""
        if request.call_id is not None:
            return
        with self._lock:
            key = request.fingerprint()
            self._failed[key] = (call_id, request.received_at)
            self._failed.move_to_end(key)
            if len(self._failed) > _MAX_REMEMBERED:
                self._failed.popitem(last=False)

    def _named_before(self, call_id: str) -> bool:
        with self._lock:
            known = call_id in self._named
            self._named[call_id] = None
            self._named.move_to_end(call_id)
            if len(self._named) > _MAX_REMEMBERED:
                self._named.popitem(last=False)
        return known

    def _forget_before(self, oldest: float) -> None:
        while self._failed:
            key, (_, at) = next(iter(self._failed.items()))
            if at >= oldest:
                return
            del self._failed[key]
