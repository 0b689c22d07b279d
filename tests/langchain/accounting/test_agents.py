"""Agents: every turn is a call of its own, whatever tools, forms and middleware stand around it."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents import middleware as middlewares
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool

from langchain_tuppence import tier
from tuppence.policy import Retries
from tuppence.testing import Fault, Turn

from . import money
from . import world as worlds
from .script import CITY, REFUSAL, City, Says, Step, say, tools_of
from .situations import DOWN, LARGE, REJECTED, SMALL
from .surfaces import agent_of, every, weather
from .world import World, cached

QUESTION = "How is the weather in Porto?"
ASKED = {"messages": [("user", QUESTION)]}


def both_say(world: World, small: Says, large: Says = Step.GOOD) -> None:
    say(world.server, "small-model", [small])
    say(world.server, "large-model", [large])


def answers(state: Any) -> list[AIMessage]:
    return [message for message in state["messages"] if isinstance(message, AIMessage)]


@pytest.mark.parametrize("order", ["oa", "ao"])
@pytest.mark.parametrize("small", [Step.GOOD, Step.BAD])
def test_tools_bound_by_hand(world: World, order: str, small: Step) -> None:
    """`bind_tools` and a loop of one's own: two calls, each with its drafts."""
    both_say(world, small)
    llm = world.llm(order=order).bind_tools([weather], parallel_tool_calls=False)
    messages: list[Any] = [("user", QUESTION)]
    first = llm.invoke(messages, world.config)
    if small is Step.BAD:
        assert first.response_metadata["tuppence"]["tier"] == "large"
    (call,) = first.tool_calls
    second = llm.invoke([*messages, first, weather.invoke(call)], world.config)
    assert world.lines() == Counter({((SMALL,) if small is Step.GOOD else (REJECTED, LARGE)): 2})
    world.audit()
    world.audit_calls(2)
    for message in (first, second):
        world.audit_message(message)


@pytest.mark.parametrize("order", ["oa", "ao"])
def test_tiers_with_bound_arguments(world: World, order: str) -> None:
    """Models with `bind` and `with_config` around them are tiers: their arguments are sent, they are counted once."""
    both_say(world, Step.BAD)
    make = [worlds.ORDERS[order][name] for name in ("small", "large")]
    tiers = [
        tier(
            model(world.server, f"{name}-model").bind(stop=["END"]).with_config(tags=["mine"]).bind(temperature=0),
            name=name, rate=money.rate(f"{name}-model"),
        )
        for name, model in zip(("small", "large"), make, strict=True)
    ]  # fmt: skip
    llm = world.llm().model_copy(update={"tiers": tiers})
    llm.bind(max_tokens=500).invoke(QUESTION, world.config)
    list(llm.bind_tools([weather]).stream(QUESTION, world.config))
    assert all(one.request["temperature"] == 0 for one in world.server.served)
    assert all((one.request.get("stop") or one.request.get("stop_sequences")) == ["END"] for one in world.server.served)
    assert world.lines() == Counter({(REJECTED, LARGE): 2})
    world.audit()
    world.audit_calls(2)


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
@pytest.mark.parametrize("entry", ["invoke", "ainvoke", "stream"])
@pytest.mark.parametrize("small", [Step.GOOD, Turn(REFUSAL)], ids=["accepted", "escalated"])
def test_an_agent_that_answers_in_a_form(world: World, strategy: Any, entry: str, small: Says) -> None:
    """LangChain's response formats over tiers of one provider: the object, and its price."""
    both_say(world, small)
    agent = create_agent(two_of_openai(world), tools=[], response_format=strategy(City))
    if entry == "invoke":
        state = agent.invoke(ASKED, world.config)
    elif entry == "ainvoke":
        state = asyncio.run(agent.ainvoke(ASKED, world.config))
    else:
        *_, state = agent.stream(ASKED, world.config, stream_mode="values")
    assert state["structured_response"] == City(**CITY)
    world.audit()
    for message in answers(state):
        world.audit_message(message)


def two_of_openai(world: World) -> Any:
    return world.llm(tiers=["small"], order="oa").model_copy(
        update={"tiers": [world.tier("small", "oa"), world.tier("large", "ao")]}
    )


def test_a_tool_that_asks_the_same_model(world: World) -> None:
    """A call of the facade inside an agent's tool is a call of its own, in the same counts, once."""
    both_say(world, Step.BAD)
    llm = world.llm()

    @tool("weather")
    def asks(city: str) -> str:
        """Say what the weather in a city is."""
        return llm.invoke(f"Is it raining in {city}?").text

    create_agent(llm, tools=[asks]).invoke(ASKED, world.config)
    assert world.lines() == Counter({(REJECTED, LARGE): 3})
    world.audit()
    world.audit_calls(3)


def test_two_tool_calls_in_one_turn(world: World) -> None:
    """Tools run side by side; the turns are still two."""

    def answer(request: dict[str, Any]) -> Turn:
        done = "rains" in str(request["messages"])
        return Turn("Wet.") if done else Turn(tool_calls=[("weather", {"city": c}) for c in ("Porto", "Faro")])

    world.server.model("small-model", replies=answer)
    state = agent_of(world.llm()).invoke(ASKED, world.config)
    assert len([m for m in state["messages"] if isinstance(m, ToolMessage)]) == 2
    world.audit()
    world.audit_calls(2)


@pytest.mark.skipif(not hasattr(middlewares, "ModelRetryMiddleware"), reason="langchain before 1.1 has none")
def test_langchains_retry_middleware_is_the_same_logical_call(world: World) -> None:
    """What the middleware tries again stands under the call id of what failed."""
    say(world.server, "small-model", [DOWN, Step.GOOD])
    llm = world.llm(tiers=["small"], retries=Retries(per_tier=0))
    middleware = middlewares.ModelRetryMiddleware(max_retries=1, initial_delay=0.0, backoff_factor=0.0, jitter=False)
    create_agent(llm, tools=[], middleware=[middleware]).invoke(ASKED, world.config)
    assert world.lines() == Counter({(("small", "draft", "failed"), ("small", "retry", "accepted")): 1})
    world.audit()


def test_langchains_fallback_middleware(world: World) -> None:
    """A second facade behind the first: each call is its own, and each is counted once."""
    say(world.server, "small-model", [DOWN])
    say(world.server, "large-model", [Step.GOOD])
    once = Retries(per_tier=0)
    first, second = world.llm(tiers=["small"], retries=once), world.llm(tiers=["large"], retries=once)
    create_agent(first, tools=[], middleware=[ModelFallbackMiddleware(second)]).invoke(ASKED, world.config)
    assert world.lines() == Counter([(("small", "draft", "failed"),), (("large", "draft", "accepted"),)])
    world.audit()


@pytest.mark.parametrize("order", ["oa", "ao"])
def test_an_agent_that_is_cancelled_in_its_second_turn(world: World, order: str) -> None:
    """The first turn is exact, the second an estimate."""

    def answer(request: dict[str, Any]) -> Turn | Fault:
        assert "weather" in tools_of(request)
        called = "rains" in str(request["messages"])
        return Fault.hang() if called else Turn(tool_calls=[("weather", {"city": "Porto"})])

    world.server.model("small-model", replies=answer)

    async def main() -> None:
        stream = agent_of(world.llm(order=order)).astream(ASKED, world.config, stream_mode="messages")
        task = asyncio.ensure_future(every(stream))
        await asyncio.to_thread(world.server.await_arrived, 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(world.server.await_finished, 2)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    asyncio.run(main())
    assert world.lines() == Counter([(SMALL,), (("small", "draft", "abandoned"),)])
    assert [row["status"] for row in world.rows()] == ["exact", "estimated"]
    world.audit()
    world.audit_calls(2)


@pytest.mark.parametrize("order", ["oa", "ao"])
def test_a_conversation_of_many_turns_with_hits(world: World, order: str) -> None:
    """Three ask the same agent the same: tools run for each, the model is paid once, no message replaces another."""
    both_say(world, Step.BAD)
    agent = agent_of(world.llm(order=order, cache=cached()))
    states = [agent.invoke(ASKED, world.config) for _ in range(3)]
    assert len(world.server.served) == 4
    assert {len(state["messages"]) for state in states} == {4}
    assert len({message.id for state in states for message in answers(state)}) == 6
    assert REFUSAL not in str(states)
    world.audit()
    world.audit_calls(6)
    for state in states:
        for message in answers(state):
            world.audit_message(message)
