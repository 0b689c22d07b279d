"""BudgetMiddleware: an agent's model calls held to budgets, with what it does when they are used up."""

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from langchain_tuppence import SpendCallbackHandler
from langchain_tuppence.budget_middleware import BudgetMiddleware
from langchain_tuppence.budgets import BudgetCallbackHandler
from tuppence.effects import Reserve
from tuppence.errors import BudgetError, BudgetExceeded, ConfigError
from tuppence.prices import PriceBook
from tuppence.spend.budgets import Budget, Budgets
from tuppence.testing import Fault, ProviderServer, Turn

from . import parts

BOOK = PriceBook(overrides={"small-model": parts.SMALL, "large-model": parts.LARGE})
LOOK = Turn(tool_calls=[("look", {"where": "harbour"})])

Run = Callable[[Any, Any], Awaitable[Any]]


@tool
def look(where: str) -> str:
    """Look somewhere."""
    return f"Nothing to see at the {where}."


class City(BaseModel):
    name: str


def agent(server: ProviderServer, *middleware: Any, **options: Any) -> Any:
    model = parts.openai(server, "large-model", max_tokens=100, stream_usage=True)
    return create_agent(model, tools=[look], middleware=middleware, checkpointer=InMemorySaver(), **options)


def middleware(*budgets: Budget, **options: Any) -> tuple[BudgetMiddleware, Budgets]:
    held = Budgets(*budgets)
    return BudgetMiddleware(held, prices=BOOK, **options), held


def use_up(budgets: Budgets, *, tags: dict[str, str] | None = None) -> None:
    """Let another call under way hold all that there is."""
    charges = budgets.charges(tags or {}, time.time())
    limit = min(one.limit for one in charges if one.limit)
    budgets.store.reserve(Reserve(budgets.store, "another call", charges, limit, time.time()))


def spent(budgets: Budgets) -> Decimal:
    return sum((one.spent_usd for one in budgets.standing()), Decimal(0))


def config(**more: Any) -> Any:
    return {"configurable": {"thread_id": "t1"}, **more}


async def invoked(graph: Any, given: Any) -> Any:
    return graph.invoke({"messages": [("user", "Look around.")]}, given)


async def ainvoked(graph: Any, given: Any) -> Any:
    return await graph.ainvoke({"messages": [("user", "Look around.")]}, given)


async def streamed(graph: Any, given: Any) -> Any:
    list(graph.stream({"messages": [("user", "Look around.")]}, given, stream_mode="messages"))
    return graph.get_state(given).values


async def astreamed(graph: Any, given: Any) -> Any:
    async for _ in graph.astream({"messages": [("user", "Look around.")]}, given, stream_mode="messages"):
        pass
    return (await graph.aget_state(given)).values


WAYS = (invoked, ainvoked, streamed, astreamed)


@pytest.mark.parametrize("run", WAYS)
async def test_each_model_call_of_an_agent_is_charged(server: ProviderServer, run: Run) -> None:
    """Both of them, before and after the tool, to the thread's session."""
    server.model("large-model", replies=[LOOK, "Nothing there."])
    holding, budgets = middleware(Budget(usd="1", per="session"))
    handler = SpendCallbackHandler(prices=BOOK)
    done = await run(agent(server, holding), config(callbacks=[handler]))
    assert done["messages"][-1].text == "Nothing there."
    assert len(server.served) == 2
    (standing,) = budgets.standing()
    assert standing.counter.endswith("/t1")
    assert standing.spent_usd == handler.usd > 0
    assert standing.held_usd == 0


@pytest.mark.parametrize("run", WAYS)
async def test_an_agent_without_room_stops(server: ProviderServer, run: Run) -> None:
    """By default with the error, so that nobody mistakes it for an answer."""
    holding, budgets = middleware(Budget(usd="1", per="day"))
    use_up(budgets)
    with pytest.raises(BudgetExceeded, match="budget day has"):
        await run(agent(server, holding), config())
    assert server.served == []


@pytest.mark.parametrize("run", WAYS)
async def test_an_agent_may_end_with_a_message_instead(server: ProviderServer, run: Run) -> None:
    """As LangChain's own limit of model calls does."""
    server.model("large-model", replies=LOOK)
    holding, _ = middleware(Budget(usd="0.004", per="session"), exit_behavior="end")
    done = await run(agent(server, holding), config())
    last = done["messages"][-1]
    assert isinstance(last, AIMessage)
    assert "budget session has" in last.text
    assert not last.tool_calls
    assert len(server.served) > 0


def test_an_agent_that_owes_a_structured_answer_may_end_too(server: ProviderServer) -> None:
    """There is a message, and no answer."""
    holding, budgets = middleware(Budget(usd="1", per="day"), exit_behavior="end")
    use_up(budgets)
    done = agent(server, holding, response_format=City).invoke({"messages": [("user", "Which city?")]}, config())
    assert "budget day has" in done["messages"][-1].text
    assert done.get("structured_response") is None


@pytest.mark.parametrize("run", WAYS)
async def test_a_soft_budget_makes_the_agent_go_on_with_the_cheap_model(server: ProviderServer, run: Run) -> None:
    """The whole agent works on; what that costs is counted in the soft budget as well."""
    server.model("small-model", replies=[LOOK, "Nothing there."])
    cheap = parts.openai(server, "small-model", stream_usage=True)
    holding, budgets = middleware(Budget(usd="0.001", per="day", soft=True), Budget(usd="1", per="month"), cheap=cheap)
    done = await run(agent(server, holding), config())
    assert done["messages"][-1].text == "Nothing there."
    assert {one.model for one in server.served} == {"small-model"}
    assert {one.spent_usd for one in budgets.standing()} == {parts.billed(server)}


def test_a_soft_limit_of_one_call_chooses_the_cheap_model_too(server: ProviderServer) -> None:
    """Where the agent's own model may come to more than the budget allows for one call."""
    holding, _ = middleware(Budget(usd="0.001", per="call", soft=True), cheap=parts.openai(server, "small-model"))
    server.model("small-model", replies="Nothing there.")
    agent(server, holding).invoke({"messages": [("user", "Look around.")]}, config())
    assert [one.model for one in server.served] == ["small-model"]


def test_a_soft_budget_without_a_cheap_model_only_counts(server: ProviderServer) -> None:
    """There is nothing cheaper to go on with."""
    holding, budgets = middleware(Budget(usd="0.001", per="day", soft=True))
    server.model("large-model", replies="Nothing there.")
    agent(server, holding).invoke({"messages": [("user", "Look around.")]}, config())
    assert [one.model for one in server.served] == ["large-model"]
    assert spent(budgets) == parts.billed(server) > 0


def test_a_hard_budget_stops_the_cheap_model_as_well(server: ProviderServer) -> None:
    """Soft and hard together: cheap first, then the end."""
    cheap = parts.openai(server, "small-model")
    soft, hard = Budget(usd="0.01", per="day", soft=True), Budget(usd="0.001", per="month")
    holding, _ = middleware(soft, hard, cheap=cheap)
    with pytest.raises(BudgetExceeded, match="budget month has"):
        agent(server, holding).invoke({"messages": [("user", "Look around.")]}, config())
    assert server.served == []


def test_the_handler_in_the_config_and_the_middleware_charge_once(server: ProviderServer) -> None:
    """With the handler for tools and everything else in the graph, and the middleware for the cheap model."""
    holding, budgets = middleware(Budget(usd="0.001", per="day", soft=True), cheap=parts.openai(server, "small-model"))
    server.model("small-model", replies="Nothing there.")
    everywhere = BudgetCallbackHandler(budgets, prices=BOOK)
    agent(server, holding).invoke({"messages": [("user", "Look around.")]}, config(callbacks=[everywhere]))
    assert [one.model for one in server.served] == ["small-model"]
    assert spent(budgets) == parts.billed(server) > 0


def test_retries_of_a_middleware_before_it_are_charged_each(server: ProviderServer) -> None:
    """Every call that reached the provider and broke off may be billed; one that it refused is not."""
    middlewares = pytest.importorskip("langchain.agents.middleware")
    if not hasattr(middlewares, "ModelRetryMiddleware"):
        pytest.skip("langchain before 1.1 has no ModelRetryMiddleware")
    server.model("large-model", replies=[Fault(status=500), "Nothing there."])
    holding, budgets = middleware(Budget(usd="1", per="day"))
    model = parts.openai(server, "large-model", max_retries=0)
    retrying = middlewares.ModelRetryMiddleware(max_retries=1, initial_delay=0.0, jitter=False)
    create_agent(model, tools=[look], middleware=[retrying, holding]).invoke({"messages": [("user", "Look.")]})
    assert len(server.served) == 2
    assert spent(budgets) == parts.billed(server) > 0
    assert sum(one.held_usd for one in budgets.standing()) == 0


def test_tags_of_the_config_reach_the_budgets(server: ProviderServer) -> None:
    """Each user has a budget, by the metadata that the agent is invoked with."""
    holding, budgets = middleware(Budget(usd="1", per="day", each="user"))
    graph = agent(server, holding)
    graph.invoke({"messages": [("user", "Look.")]}, config(metadata={"tuppence_user": "ann"}))
    assert [one.counter.split("/")[1] for one in budgets.standing()] == ["ann"]
    with pytest.raises(BudgetError, match="tag 'user', and this call has none"):
        graph.invoke({"messages": [("user", "Look.")]}, config())


def test_a_wrong_way_to_end_is_named() -> None:
    """With the two that there are."""
    with pytest.raises(ConfigError, match="exit_behavior is 'stop': it is 'end' or 'error'"):
        BudgetMiddleware(Budgets(Budget(usd="1", per="day")), exit_behavior="stop")  # type: ignore[arg-type]
