"""The demo's ledger: passes every settled call on to a real one, and keeps the calls of the question under way."""

from __future__ import annotations

from tuppence.attempts import Result
from tuppence.spend import Ledger


class Recorder:
    """A `Ledger` in front of another one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._results: list[Result] = []

    def write(self, result: Result) -> None:
        self._results.append(result)
        self._ledger.write(result)

    def flush(self, timeout_s: float = 10.0) -> None:
        self._ledger.flush(timeout_s)

    def close(self) -> None:
        self._ledger.close()

    def taken(self) -> list[Result]:
        """Return the calls settled since this was asked last."""
        results, self._results = self._results, []
        return results
