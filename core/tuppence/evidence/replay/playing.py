"""One policy played over rows: what each would have cost, and how good its answer was. Runs the flow that runs online;
nothing here knows the order of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.attempts import Result
from tuppence.drivers import run
from tuppence.errors import CallFailed, RequestError, ScopeError, SpendLimitReached
from tuppence.evidence.outcomes import Outcome
from tuppence.evidence.replay.port import ReplayPort
from tuppence.evidence.replay.recorded import Recorded, replayable
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.prices import PicoUSD


@dataclass(slots=True)
class Played:
    """One row, played through one policy."""

    result: Result | None
    """As the flow settled it; None where no model was asked."""
    pico_usd: PicoUSD | None
    """Sum over all calls; None where one has no price."""
    score: float | None
    """How good the answer is; 0 where there was none, None where nobody has graded it."""
    latency_ms: float | None
    """Sum over the calls; None where one of them was not timed."""
    missing: str = ""
    """What the row lacks that the policy asked for: the figures are then worth nothing."""
    textless: bool = False
    """A check saw an empty text because none was recorded."""

    @property
    def answered(self) -> bool:
        return self.result is not None and self.result.reply is not None


class Player:
    """Plays one policy; rows may come in any number."""

    __slots__ = ("_port", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = replayable(policy)
        self._port = ReplayPort()

    def play(self, row: Recorded) -> Played:
        """Take one row through the flow."""
        port = self._port
        port.open(row)
        try:
            result: Result | None = run(plan(row.request, self.policy), port)
        except (CallFailed, RequestError, ScopeError, SpendLimitReached):
            # The call ends without an answer here, as it would have online; what it cost is settled.
            result = port.result
        if result is None:
            return Played(None, 0, 0.0, 0.0, port.missing)
        return Played(
            result, None if result.unpriced else result.pico_usd, _score(result), port.latency_ms, port.missing,
            port.textless,
        )  # fmt: skip


def _score(result: Result) -> float | None:
    if result.reply is None:
        return 0.0
    native = result.reply.native
    return native.score if isinstance(native, Outcome) else None
