"""A month through a policy: every call through the flow that runs online, and what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compound_parts.provider import Graded, Providers, graded
from compound_parts.traffic import Asked
from tuppence.attempts import Result
from tuppence.drivers import run
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.spend import Ledger


@dataclass(frozen=True, slots=True)
class Played:
    """One call, answered."""

    asked: Asked
    result: Result
    quality: float

    @property
    def pico_usd(self) -> int:
        assert not self.result.unpriced
        return self.result.pico_usd


def played(
    month: Sequence[Asked], policy: Policy, *, discounted: bool = False, ledger: Ledger | None = None
) -> list[Played]:
    """Take every call through the flow, in order; `discounted` sends what may wait through the batch lane."""
    port = Port(Providers(discounted=discounted), cache=policy.cache, ledger=ledger)
    found = []
    for asked in month:
        result = run(plan(asked.request, policy), port)
        assert result.reply is not None
        assert not result.decision.faults, result.decision.faults
        assert isinstance(result.reply.native, Graded)
        found.append(Played(asked, result, graded(asked, result.reply)))
    return found
