"""One ask on its way through the lane: it waits for its answer until it must go at once, and says which way it went.

It decides by clocks alone. What it carries is the provider's own JSON, which it never looks into.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextvars import ContextVar, Token
from typing import Any

from tuppence.batch.queue.desk import Desk, Ticket
from tuppence.batch.queue.errands import Errand, Landed, waiting

_LAST_WORD_S = 5.0
"""Longest wait for the queue to say what became of a request that is given up: it may have been answered just now."""

_going: ContextVar[Going | None] = ContextVar("tuppence_lane_going", default=None)


def current() -> Going | None:
    """Return the ask that is under way here, if it may go through the lane."""
    return _going.get()


class Going:
    """One ask; entered, it is what the lane's clients ask on behalf of."""

    def __init__(self, desk: Desk, errand: Errand, *, leave_at: float, deadline_at: float) -> None:
        self._desk = desk
        self._errand = errand
        self._leave_at = leave_at
        self._deadline_at = deadline_at
        self._token: Token[Going | None]
        self.landed: Landed | None = None
        """The answer that the lane gave."""
        self.at_once = ""
        """Why the ask went at once; empty where the lane answered."""
        self.waits = False
        """It is in the queue now: who leaves it there pays nothing, or by the worker."""

    def __enter__(self) -> Going:
        self._token = _going.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _going.reset(self._token)

    def refuse(self, why: str) -> None:
        """Send it at once, because of what it is."""
        self.at_once = why

    def wait(self, endpoint: str, url: str, body: Mapping[str, Any]) -> str | None:
        """Wait for the answer to a request; None where it must go at once."""
        ticket = self._put(endpoint, url, body)
        try:
            return self._came(_result(ticket.future, self._left_s()) or _result(self._given_up(ticket), _LAST_WORD_S))
        except Exception as error:  # noqa: BLE001 - whatever became of the queue, the call goes on without it
            return self._came(error)
        except BaseException:
            self._desk.leave(ticket)
            raise

    async def await_(self, endpoint: str, url: str, body: Mapping[str, Any]) -> str | None:
        """Wait for the answer to a request without holding the event loop; None where it must go at once."""
        ticket = self._put(endpoint, url, body)
        try:
            landed = await _awaited(ticket.future, self._left_s())
            return self._came(landed or await _awaited(self._given_up(ticket), _LAST_WORD_S))
        except Exception as error:  # noqa: BLE001 - whatever became of the queue, the call goes on without it
            return self._came(error)
        except BaseException:
            self._desk.leave(ticket)
            raise

    def _put(self, endpoint: str, url: str, body: Mapping[str, Any]) -> Ticket:
        now = time.time()
        self.waits = True
        return self._desk.put(waiting(endpoint, url, body, self._errand, put_at=now, deadline_at=self._deadline_at))

    def _left_s(self) -> float:
        return max(0.0, self._leave_at - time.time())

    def _given_up(self, ticket: Ticket) -> Future[Landed]:
        self._desk.leave(ticket)
        return ticket.future

    def _came(self, outcome: Landed | Exception | None) -> str | None:
        """Take the outcome down, and return the answer if it is one."""
        self.waits = False
        if isinstance(outcome, Landed) and outcome.fate == "answered":
            self.landed = outcome
            return outcome.body
        self.at_once = _why(outcome)
        return None


def _why(outcome: Landed | Exception | None) -> str:
    if isinstance(outcome, Exception):
        return f"the queue failed ({str(outcome).partition(chr(10))[0]})"
    if outcome is None:
        return "the deadline was near, and the queue did not answer"
    if outcome.fate == "missed":
        return f"the batch had no answer ({outcome.error})"
    if outcome.fate == "cancelled":
        return "the deadline was near, and no worker had taken it"
    return "the deadline was near, and its batch was not done; what that costs is billed when it comes"


def _result(future: Future[Landed], timeout_s: float) -> Landed | None:
    try:
        return future.result(timeout_s)
    except TimeoutError:
        return None


async def _awaited(future: Future[Landed], timeout_s: float) -> Landed | None:
    wrapped = asyncio.wrap_future(future)
    # Not `wait_for`, which would cancel the future that the desk still has an answer for.
    done, _ = await asyncio.wait([wrapped], timeout=timeout_s)
    return wrapped.result() if done else None
