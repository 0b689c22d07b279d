"""The scripted server's own log: what it was asked, what it sent, and what it would bill.

A test compares this log with what the product's ledger says. It must never be told what the client believes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuppence.errors import TuppenceError


@dataclass(slots=True)
class Served:
    """One request. The fields below `started` are final once `finished` is set."""

    id: str
    """The answer's id where there is one, as `chatcmpl-000001`; else the request's, as `req_000001`."""
    model: str
    api: str
    """`chat`, `responses`, `messages`, `count_tokens`, `embeddings` or `models`; else the path asked."""
    request: Mapping[str, Any]
    headers: Mapping[str, str]
    """The request's headers, their names in lower case."""
    streamed: bool
    started: float = field(default_factory=time.monotonic)
    status: int | None = None
    """The HTTP status; None where the connection closed before there was one."""
    usage: dict[str, Any] | None = None
    """What is billed, in the API's own words, whether or not the client was told: of a broken stream the
    pieces generated until then, nothing (None) for a request that was refused or never answered."""
    completed: bool = False
    """The client was sent all of the answer (an error's too) and had not left."""
    chunks_sent: int = 0
    """Events sent that carried a piece of a streamed answer, the envelopes around them not counted."""
    finished: float | None = None


class Log:
    """The requests in the order they came, added to and waited on from many threads."""

    def __init__(self) -> None:
        self._served: list[Served] = []
        self._changed = threading.Condition()

    def begin(self, make: Callable[[int], Served]) -> tuple[int, Served]:
        """Add the request that `make` makes of its number, counted from 1."""
        with self._changed:
            number = len(self._served) + 1
            served = make(number)
            self._served.append(served)
            self._changed.notify_all()
        return number, served

    def end(self, served: Served, **facts: Any) -> None:
        """Set a request's final facts."""
        with self._changed:
            for name, value in facts.items():
                setattr(served, name, value)
            served.finished = time.monotonic()
            self._changed.notify_all()

    def all(self) -> list[Served]:
        with self._changed:
            return list(self._served)

    def wait(self, count: int, *, finished: bool, timeout_s: float) -> list[Served]:
        """Wait until `count` requests have come (or ended) and give all; raises when the time is over."""

        def reached() -> bool:
            return sum(1 for one in self._served if one.finished is not None or not finished) >= count

        with self._changed:
            if not self._changed.wait_for(reached, timeout_s):
                verb = "ended" if finished else "came"
                raise TuppenceError(
                    f"Waited {timeout_s} s for {count} requests, of which too few {verb}; the server has "
                    f"{[(one.id, one.status) for one in self._served]}: does the client reach base_url?"
                )
            return list(self._served)
