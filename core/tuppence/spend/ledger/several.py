"""Ledgers and exporters side by side."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from tuppence.attempts import Result
from tuppence.spend.ledger.writer import Ledger


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Ledgers:
    """Several ledgers as one: what fails in one keeps nothing from the others."""

    ledgers: tuple[Ledger, ...]

    def write(self, result: Result) -> None:
        for one in self.ledgers:
            one.write(result)

    def flush(self, timeout_s: float = 10.0) -> None:
        """Flush each, then raise what the last of those that failed said."""
        with ExitStack() as each:
            for one in self.ledgers:
                each.callback(one.flush, timeout_s)

    def close(self) -> None:
        with ExitStack() as each:
            for one in self.ledgers:
                each.callback(one.close)
