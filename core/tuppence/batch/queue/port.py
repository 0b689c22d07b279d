"""The port of a call that may wait: its asks go through the lane as far as they can, and at once otherwise.

Everything else of the call is performed as ever, so that a cached answer never queues, and guards, checks, budgets and
books hold. It says on the result which way the asks went, and why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tuppence.attempts import Result
from tuppence.batch.queue.errands import Errand, Landed
from tuppence.batch.queue.going import Going
from tuppence.cache import ExactCache
from tuppence.effects import Ask, Call, Declined, Effect, Embed, Failed, Sleep
from tuppence.ports import Chunk, Models, Port
from tuppence.request import Reply, Request
from tuppence.spend import Ledger
from tuppence.usage import Usage

if TYPE_CHECKING:
    from tuppence.batch.queue.lane import Lane


class LanePort(Port):
    """Performs the effects of one call whose answer may come until `deadline_s` after it came in.

    `takes` names the tiers whose models `models` asks over the lane. The request has a call id: it is what its requests
    in the queue are known by.
    """

    __slots__ = ("_deadline_at", "_going", "_lane", "_paid", "_request", "_takes", "_ways")

    def __init__(
        self, models: Models, *, lane: Lane, request: Request, deadline_s: float, takes: Collection[str],
        cache: ExactCache | None = None, ledger: Ledger | None = None,
        on_settled: Callable[[Result], None] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(models, cache=cache, ledger=ledger, on_settled=on_settled)
        self._lane = lane
        self._request = request
        self._takes = takes
        self._deadline_at = request.received_at + deadline_s
        self._going: Going | None = None
        self._paid: list[str] = []
        """Requests of the queue whose answers this call pays."""
        self._ways: list[str] = []

    def hosted(self) -> HostedPort:
        """Return this port for a call that is yet to begin, on an event loop of this room's own."""
        return HostedPort(
            self.models, lane=self._lane, request=self._request, takes=self._takes, cache=self.cache,
            deadline_s=self._deadline_at - self._request.received_at, ledger=self.ledger, on_settled=self.on_settled,
        )  # fmt: skip

    # -- asking

    def ask(self, ask: Ask) -> Reply | Failed | Declined:
        going = self._sets_out(ask)
        if going is None:
            return super().ask(ask)
        with going:
            outcome = super().ask(_unhurried(ask))
        return self._came_back(ask, going, outcome)

    async def aask(self, ask: Ask) -> Reply | Failed | Declined:
        going = self._sets_out(ask)
        if going is None:
            return await super().aask(ask)
        with going:
            outcome = await super().aask(_unhurried(ask))
        return self._came_back(ask, going, outcome)

    def stream(self, ask: Ask) -> Generator[Chunk | Reply | Failed | Declined, None, None]:
        """Yield the outcome: an answer that may wait comes whole."""
        yield self.ask(ask)

    async def astream(self, ask: Ask) -> AsyncGenerator[Chunk | Reply | Failed | Declined, None]:
        """Yield the outcome: an answer that may wait comes whole."""
        yield await self.aask(ask)

    def may_have_bought(self, ask: Ask) -> bool:
        """Say whether the caller's leaving is to be billed by an estimate: not what waits in the queue, which is
        cancelled there, or billed by the worker.
        """
        return self._going is None or not self._going.waits

    def _sets_out(self, ask: Ask) -> Going | None:
        self._going = None
        if ask.tier.name not in self._takes:
            if ask.tier.answer is None:
                self._ways.append(f"{ask.tier.name} at once: no batches are known for it")
            return None
        left_s = self._deadline_at - time.time()
        if left_s < self._lane.least_s:
            self._ways.append(
                f"{ask.tier.name} at once: {max(0.0, left_s):.0f} s are left, and a batch gets {self._lane.least_s:g}"
            )
            return None
        errand = Errand(str(self._request.call_id), ask.tier.name, time.time(), self._request.tags)
        self._going = Going(
            self._lane.desk, errand, leave_at=self._deadline_at - self._lane.margin_s, deadline_at=self._deadline_at
        )
        return self._going

    def _came_back(self, ask: Ask, going: Going, outcome: Reply | Failed | Declined) -> Reply | Failed | Declined:
        """Say of an outcome at which prices it was bought."""
        landed = going.landed
        if landed is None:
            self._ways.append(f"{ask.tier.name} at once: {going.at_once or 'it asked nobody'}")
            return outcome
        self._ways.append(f"{ask.tier.name} by batch")
        if landed.usage is not None:
            self._paid.append(landed.id)
        return _bought(outcome, landed)

    # -- the books

    def _settle(self, result: Result) -> None:
        result.decision.lane = "; ".join(self._ways)
        super()._settle(result)
        if self._paid:
            self._lane.desk.settled(self._paid, _nothing if self.ledger is None else self.ledger.flush)
            self._paid = []


class HostedPort(LanePort):
    """The same for a sync caller with many calls, which wait on an event loop of this room's own.

    Whatever else may block or hold a connection is done in a thread, as it would be without a loop: async clients and
    stores would be bound to a loop that ends with the batch.
    """

    __slots__ = ()

    async def aperform(self, effect: Effect[Any]) -> Any:
        if type(effect) is Ask and effect.tier.name in self._takes:
            return await self.aask(effect)
        if isinstance(effect, Ask | Call | Embed | Sleep):
            return await asyncio.to_thread(self.perform, effect)
        return self.perform(effect)


def _bought(outcome: Reply | Failed | Declined, landed: Landed) -> Reply | Failed | Declined:
    """Say of an answer what it used in the lane, nothing where it is paid already."""
    if isinstance(outcome, Declined):
        return outcome
    outcome.usage = landed.usage or Usage(processing="batch")
    if landed.usage is None or landed.usage.gpu_ms:
        # On machines of one's own time is what is paid: that of the batch, not that in the queue.
        outcome.latency_ms = outcome.usage.gpu_ms
    return outcome


def _unhurried(ask: Ask) -> Ask:
    """Return the ask without the tier's time limit, which is for answers at once."""
    return ask if ask.tier.timeout_s is None else replace(ask, tier=replace(ask.tier, timeout_s=None))


def _nothing(_timeout_s: float) -> None:
    """Flush no ledger: there is none."""
