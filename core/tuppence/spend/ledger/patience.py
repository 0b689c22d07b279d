"""A connection to PostgreSQL that does not wait for ever.

The server's own time-outs end nothing where it is frozen, or where a network swallows what it says.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

Answer = TypeVar("Answer")


class PatientConnection(psycopg.Connection[Any]):
    """Waits for its server until a deadline."""

    deadline = math.inf
    """By `time.monotonic`."""

    def wait(self, gen: Generator[Any, Any, Answer], *args: Any, **kwargs: Any) -> Answer:
        return super().wait(self._until_deadline(gen), *args, **kwargs)

    def _until_deadline(self, gen: Generator[Any, Any, Answer]) -> Generator[Any, Any, Answer]:
        try:
            state = next(gen)
            while True:
                ready = yield state
                if not ready and time.monotonic() > self.deadline:
                    # Else a rollback would be tried, and its failure hide this one.
                    self.close()
                    raise psycopg.OperationalError("the server does not answer")
                state = gen.send(ready)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
