"""Budgets in a real Redis, as a program's surfaces see them: LangChain's callbacks, and the command line."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from langchain_core.language_models import FakeListChatModel
from typer.testing import CliRunner

from langchain_tuppence.budgets import BudgetCallbackHandler
from tuppence.cli import budget
from tuppence.context import tags
from tuppence.effects import Reserve
from tuppence.errors import BudgetExceeded
from tuppence.prices import PriceBook, token_rate
from tuppence.spend.budgets import Budget, Budgets

pytestmark = pytest.mark.services

BOOK = PriceBook(overrides={"own": token_rate(input="1", output="2")})
MODEL = FakeListChatModel(responses=["Two pence a cup."], metadata={"ls_model_name": "own"})


@pytest.fixture
def machines(redis_url: str) -> Iterator[list[Budgets]]:
    """Programs of two machines, with the same budgets."""
    opened = [Budgets(Budget(usd="0.01", per="day", each="user"), store=redis_url) for _ in range(2)]
    yield opened
    for one in opened:
        one.close()


def test_two_machines_cannot_pass_a_limit_together(machines: list[Budgets]) -> None:
    """There is room for four answers at their longest at a time."""
    handlers = [BudgetCallbackHandler(one, prices=BOOK) for one in machines]
    stopped = threading.Event()

    def ask(number: int) -> None:
        try:
            with tags(user="ann"):
                MODEL.invoke("How much is tea?", {"callbacks": [handlers[number % 2]]})
        except BudgetExceeded:
            stopped.set()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(600)))
    for one in machines:
        one.counters.flush()
    (standing,) = machines[0].standing()
    assert stopped.is_set()
    assert 0 < standing.spent_usd <= Decimal("0.01")
    assert standing.held_usd == 0


async def test_async_programs_too(machines: list[Budgets]) -> None:
    """The handler asks in the loop, and the answer is charged when it has come."""
    with tags(user="ann"):
        await MODEL.ainvoke("How much is tea?", {"callbacks": [BudgetCallbackHandler(machines[0], prices=BOOK)]})
    machines[0].counters.flush()
    (standing,) = machines[1].standing()
    assert standing.spent_usd > 0
    assert standing.held_usd == 0


def test_the_command_line_reads_and_sweeps_them(machines: list[Budgets], redis_url: str) -> None:
    """By the address alone."""
    charges = machines[0].charges({"user": "ann"}, time.time())
    machines[0].counters.reserve(Reserve(machines[0].store, "killed", charges, 10**9, time.time() - 1000))
    shown = CliRunner().invoke(budget.app, ["show", "--store", redis_url, "--format", "json"])
    (one,) = json.loads(shown.stdout)
    assert (one["of"][0], one["held_usd"], one["limit_usd"]) == ("ann", "0.001", "0.01")
    swept = CliRunner().invoke(budget.app, ["sweep", "--store", redis_url])
    assert swept.stdout == "released 1 reservations of $0.001 together\n"
