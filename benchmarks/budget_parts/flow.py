"""The same competition through the real flow: policy, estimates from prompts and `max_tokens`, threads and event loops,
providers that fail, users that give up.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from tuppence import Message, Policy, Reply, Request, Tier, Usage, token_rate
from tuppence.attempts import Result
from tuppence.drivers import arun, run
from tuppence.effects import Ask
from tuppence.errors import BudgetExceeded
from tuppence.flow import plan
from tuppence.ports import Port
from tuppence.prices import PicoUSD, pico_usd
from tuppence.spend.budgets import Budget, Budgets
from tuppence.testing.models import ScriptedModels

CALLS = 1200
AT_ONCE = 64
LIMIT_USD = "2"
MAX_TOKENS = 400
RATE = token_rate(input="3", output="15")
CANCELLED = 0.1
FAILED = 0.1


@dataclass
class Tally:
    """What calls came to, as the flow settled them."""

    spent: PicoUSD = 0
    refused: int = 0
    adding: threading.Lock = field(default_factory=threading.Lock)

    def settle(self, result: Result) -> None:
        with self.adding:
            self.spent += result.pico_usd

    def refuse(self) -> None:
        with self.adding:
            self.refused += 1


class _Provider(ScriptedModels):
    """Answers after a while with up to as many tokens as it may, or fails."""

    def __init__(self) -> None:
        super().__init__(small=self._answer, large=self._answer)
        self._dice = random.Random(3)

    def _answer(self, ask: Ask) -> Reply:
        if self._dice.random() < FAILED:
            raise ConnectionError("the provider hung up")
        used = Usage(input=20, output=self._dice.randint(MAX_TOKENS // 8, MAX_TOKENS))
        return Reply("An answer.", finish="stop", usage=used, model=ask.tier.model)

    def ask(self, ask: Ask) -> Reply:
        time.sleep(self._dice.uniform(0.001, 0.01))
        return self._answer(ask)

    async def aask(self, ask: Ask) -> Reply:
        await asyncio.sleep(self._dice.uniform(0.001, 0.01))
        return self._answer(ask)


def through_the_flow(place: str) -> dict[str, float]:
    """Return what became of a budget that many calls compete for, half from threads and half from an event loop."""
    budgets = Budgets(Budget(usd=LIMIT_USD, per="month"), store="memory" if place.startswith("memory") else place)
    tiers = tuple(Tier(name, model=name, rate=RATE, max_output_tokens=MAX_TOKENS) for name in ("small", "large"))
    policy = replace(Policy(tiers=tiers), budgets=budgets)
    tally = Tally()
    _from_threads(policy, tally)
    asyncio.run(_from_a_loop(policy, tally))
    budgets.counters.flush()
    budgets.sweep(time.time() + 10_000)
    (month,) = budgets.counters.counts()
    budgets.close()
    limit = pico_usd(LIMIT_USD)
    return {
        "calls": CALLS, "refused": tally.refused, "spent_usd": month.spent / 1e12,
        "overshoot_share": max(0.0, month.spent / limit - 1), "uncounted_usd": (tally.spent - month.spent) / 1e12,
        "leaked_usd": month.held / 1e12,
    }  # fmt: skip


def _from_threads(policy: Policy, tally: Tally) -> None:
    models = _Provider()

    def call(n: int) -> None:
        try:
            run(plan(_request(n), policy), Port(models, on_settled=tally.settle))
        except BudgetExceeded:
            tally.refuse()
        except ConnectionError:
            return

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(call, range(CALLS // 2)))


async def _from_a_loop(policy: Policy, tally: Tally) -> None:
    models, dice, turns = _Provider(), random.Random(5), asyncio.Semaphore(AT_ONCE)

    async def call(n: int) -> None:
        async with turns:
            running = asyncio.ensure_future(arun(plan(_request(n), policy), Port(models, on_settled=tally.settle)))
            if dice.random() < CANCELLED:
                await asyncio.sleep(dice.uniform(0, 0.01))
                running.cancel()
            (outcome,) = await asyncio.gather(running, return_exceptions=True)
            if isinstance(outcome, BudgetExceeded):
                tally.refuse()

    await asyncio.gather(*(call(n) for n in range(CALLS // 2)))


def _request(n: int) -> Request:
    words = "When is invoice " + " ".join(str(n + k) for k in range(10)) + " due?"
    return Request((Message("user", words),), params={"max_tokens": MAX_TOKENS}, received_at=time.time())
