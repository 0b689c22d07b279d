"""LangGraph: nodes that ask, side by side, again and in part, with what the user is shown of them."""

import asyncio
import threading
from collections import Counter
from typing import Any

import anthropic
import openai
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import RetryPolicy

from tuppence.checks import agrees_with, judged_by
from tuppence.policy import Retries
from tuppence.testing import Turn

from .script import CITY, REFUSAL, City, Step, good_text, pieces, say
from .situations import BUSY, DOWN, HIT, LARGE, REJECTED, SMALL
from .surfaces import every, graph_of, joined
from .world import World, cached

QUESTION = "When was it built?"
ASKED = {"messages": [("user", QUESTION)]}
FAILURES = (openai.APIError, anthropic.APIError)


def refused(world: World) -> None:
    say(world.server, "small-model", [Step.BAD])
    say(world.server, "large-model", [Step.GOOD])


def shown(items: list[Any]) -> Counter[str]:
    """Join what was shown by the node that it came from."""
    texts: dict[str, str] = {}
    for message, metadata in items:
        node = metadata["langgraph_node"]
        texts[node] = texts.get(node, "") + message.text
    return Counter(texts.items())  # type: ignore[arg-type]


def fan_out(llm: Any, *, streams: bool) -> Any:
    """Return a graph of two nodes that ask at the same time, each its own question."""

    def asks(question: str) -> Any:
        async def node(state: MessagesState) -> dict[str, Any]:
            if streams:
                return {"messages": [joined(await every(llm.astream(question)))]}
            return {"messages": [await llm.ainvoke(question)]}

        return node

    graph = StateGraph(MessagesState)
    for name in ("one", "two"):
        graph.add_node(name, asks(f"{QUESTION} ({name})")).add_edge(START, name)
    return graph.compile()


@pytest.mark.parametrize("order", ["oa", "ao"])
@pytest.mark.parametrize("streams", [False, True])
def test_two_nodes_at_the_same_time(world: World, order: str, streams: bool) -> None:
    """Each node's accepted answer is shown under its own name, whole and once; four provider calls are counted once."""
    refused(world)
    app = fan_out(world.llm(order=order), streams=streams)
    items = asyncio.run(every(app.astream(ASKED, world.config, stream_mode="messages")))
    assert set(shown(items)) == {(name, good_text(f"{QUESTION} ({name})")) for name in ("one", "two")}
    assert world.lines() == Counter({(REJECTED, LARGE): 2})
    world.audit()
    world.audit_calls(2)


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_a_graph_in_a_graph(world: World, how: str) -> None:
    """A subgraph's model is watched through `subgraphs=True` too, and its drafts are not."""
    refused(world)
    inner = graph_of(world.llm(), how)
    outer = StateGraph(MessagesState).add_node("inner", inner).add_edge(START, "inner").compile()
    items = list(outer.stream(ASKED, world.config, stream_mode="messages", subgraphs=True))
    assert "".join(message.text for _, (message, _) in items) == good_text(QUESTION)
    world.audit()
    world.audit_calls(1)


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
@pytest.mark.parametrize("check", [judged_by, agrees_with])
@pytest.mark.parametrize("small", [Step.GOOD, Step.BAD])
def test_what_a_check_asks_is_not_shown(world: World, how: str, check: Any, small: Step) -> None:
    """A judge's grade and a second opinion are paid for and seen by nobody."""
    say(world.server, "small-model", [small])
    say(world.server, "large-model", [Step.GOOD])
    app = graph_of(world.llm(check=check("large")), how)
    if how.startswith("a"):
        items = asyncio.run(every(app.astream(ASKED, world.config, stream_mode="messages")))
    else:
        items = list(app.stream(ASKED, world.config, stream_mode="messages"))
    assert "".join(message.text for message, _ in items) == good_text(QUESTION)
    assert len(world.server.served) == (2 if small is Step.GOOD else 3)
    world.audit()
    world.audit_calls(1)


def test_langgraphs_own_retry_is_the_same_logical_call(world: World) -> None:
    """A node's RetryPolicy asks again under the call id of what failed."""
    say(world.server, "small-model", [BUSY, Step.GOOD])
    say(world.server, "large-model", [DOWN])
    llm = world.llm(retries=Retries(per_tier=0))

    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [llm.invoke(state["messages"])]}

    policy = RetryPolicy(initial_interval=0.0, backoff_factor=1.0, jitter=False, max_attempts=3, retry_on=FAILURES)
    app = StateGraph(MessagesState).add_node("model", node, retry_policy=policy).add_edge(START, "model").compile()
    assert app.invoke(ASKED, world.config)["messages"][-1].text == good_text(QUESTION)
    assert world.lines() == Counter(
        {(("small", "draft", "failed"), ("large", "fallback", "failed"), ("small", "retry", "accepted")): 1}
    )
    world.audit()


def test_a_thread_is_a_session_and_a_hit_is_a_message_of_its_own(world: World) -> None:
    """With a checkpointer: the ledger knows the thread, and a second thread's hit adds its message."""
    refused(world)
    llm = world.llm(cache=cached())

    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [llm.invoke(state["messages"][-1:])]}

    graph = StateGraph(MessagesState).add_node("model", node).add_edge(START, "model")
    app = graph.compile(checkpointer=InMemorySaver())
    for thread, turns in (("a", 1), ("a", 2), ("b", 1)):
        config = {**world.config, "configurable": {"thread_id": thread}}
        assert len(app.invoke(ASKED, config)["messages"]) == 2 * turns
    assert world.lines() == Counter({(REJECTED, LARGE): 1, (HIT,): 2})
    assert [row["session"] for row in world.rows()] == ["a", "a", "a", "b"]
    world.audit()
    world.audit_calls(3)


@pytest.mark.parametrize("mode", ["messages", "updates", "values", ["messages", "updates", "values"]], ids=str)
@pytest.mark.parametrize("how", ["invoke", "astream"])
def test_no_mode_shows_a_draft(world: World, mode: Any, how: str) -> None:
    """Nothing that a graph streams, in any mode, holds a word of a draft."""
    refused(world)
    app = graph_of(world.llm(), how)
    if how == "invoke":
        items = list(app.stream(ASKED, world.config, stream_mode=mode))
    else:
        items = asyncio.run(every(app.astream(ASKED, world.config, stream_mode=mode)))
    assert REFUSAL not in repr(items)
    seen = "".join(message.text for message, _ in items) if mode == "messages" else repr(items)
    assert good_text(QUESTION) in seen
    world.audit()


def test_an_object_in_a_graph(world: World) -> None:
    """Structured output inside a node: its tokens are shown by the accepted tier only."""
    refused(world)
    structured = world.llm(order="ao").with_structured_output(City)
    found = []

    def node(state: MessagesState) -> dict[str, Any]:
        found.append(structured.invoke(state["messages"]))
        return {"messages": []}

    app = StateGraph(MessagesState).add_node("model", node).add_edge(START, "model").compile()
    items = list(app.stream(ASKED, world.config, stream_mode="messages"))
    assert found == [City(**CITY)]
    assert City.model_validate_json("".join(message.text for message, _ in items)) == found[0]
    world.audit()
    world.audit_calls(1)


def test_leaving_a_sync_graph_lets_its_node_end(world: World) -> None:
    """Threads cannot be stopped: LangGraph waits for the node, and what it made is billed exactly."""
    gate = threading.Event()
    parts = pieces(good_text(QUESTION))
    say(world.server, "small-model", [Turn(pieces=parts, hold=gate, hold_after=len(parts) - 1)])
    stream = graph_of(world.llm(), "invoke").stream(ASKED, world.config, stream_mode="messages")
    next(message for message, _ in stream if message.text)
    gate.set()
    stream.close()
    assert world.lines() == Counter([(SMALL,)])
    world.audit()
    world.audit_calls(1)
