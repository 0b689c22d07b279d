"""The port of a replay: performs the flow's effects against recorded outcomes. It never waits, never calls anybody, and
never makes up an answer: where a row lacks one, the row is marked as not replayable.
"""

from __future__ import annotations

from typing import Any, cast

from tuppence.attempts import Result
from tuppence.effects import Ask, Declined, Effect, Settle, Sleep
from tuppence.evidence.replay.recorded import Recorded, outcome_of, reply_of
from tuppence.ports import Models, Port
from tuppence.request import Reply


class ReplayPort(Port):
    """Performs the effects of one call after another, each against the row that was opened last."""

    __slots__ = ("_row", "latency_ms", "missing", "result", "textless")

    def __init__(self) -> None:
        super().__init__(cast(Models, None))
        self._row: Recorded | None = None
        self.missing = ""
        """What the row lacks that the policy asked for; empty where nothing."""
        self.result: Result | None = None
        """What was settled; None where nothing was."""
        self.latency_ms: float | None = 0.0
        """Sum over the calls; None where one of them was not timed."""
        self.textless = False
        """An answer was recorded without its text, so that checks saw an empty one."""

    def open(self, row: Recorded) -> None:
        """Take the next row."""
        self._row = row
        self.missing, self.result, self.latency_ms, self.textless = "", None, 0.0, False

    def elapsed_ms(self) -> float:
        """Return 0: nothing takes time here."""
        return 0.0

    def perform(self, effect: Effect[Any]) -> Any:
        kind = type(effect)
        if kind is Ask:
            return self.ask(effect)  # type: ignore[arg-type]
        if kind is Settle:
            self.result = effect.result  # type: ignore[attr-defined]
            return None
        return None if kind is Sleep else super().perform(effect)

    def ask(self, ask: Ask) -> Reply | Declined:
        """Answer as the tier's model did; decline, and mark the row, where nobody knows how it would have."""
        tier, row = ask.tier, self._row
        assert row is not None
        if ask.request is not row.request:
            # A judge's question is about an answer, and what the judge made of the user's own question is no verdict.
            return self._lacking(f"what {tier.name} says when asked as {ask.cause}")
        outcome = outcome_of(tier, row.outcomes.by_model)
        if outcome is None:
            if tier.answer is not None and tier.answer(ask.request) is None:
                return Declined()
            return self._lacking(tier.model or tier.name)
        if outcome.latency_ms is None:
            self.latency_ms = None
        elif self.latency_ms is not None:
            self.latency_ms += outcome.latency_ms
        if not outcome.answer and not outcome.no_answer:
            self.textless = True
        return reply_of(tier, outcome, row)

    def _lacking(self, what: str) -> Declined:
        self.missing = self.missing or what
        return Declined()
