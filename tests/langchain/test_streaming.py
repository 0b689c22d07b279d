"""Streams: the accepted answer as it comes, no draft ever, and every way of leaving one accounted."""

import asyncio
import threading
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.messages import AIMessageChunk
from langgraph.graph import START, MessagesState, StateGraph

from langchain_tuppence import SpendCallbackHandler, function_tier
from tuppence.testing import Fault, ProviderServer, Turn, tokens_of

from . import parts


class Prints(BaseCallbackHandler):
    """A handler that shows tokens, as many programs have one."""

    def __init__(self) -> None:
        self.seen = ""

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        self.seen += token


def joined(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


def escalating(server: ProviderServer) -> None:
    server.model("small-model", replies=parts.REFUSAL)
    server.model("large-model", replies=parts.ANSWER)


def test_a_stream_is_the_accepted_answer_and_its_last_chunk_says_what_it_cost(server: ProviderServer) -> None:
    """The refusal of the small model is nowhere in the stream, its price is in the sum."""
    escalating(server)
    handler, usage = SpendCallbackHandler(), UsageMetadataCallbackHandler()
    whole = joined(list(parts.ladder(server).stream("When?", config={"callbacks": [handler, usage]})))
    assert whole.text == parts.ANSWER
    assert whole.response_metadata["tuppence"]["attempts"] == 2
    assert whole.chunk_position == "last"
    assert handler.usd == parts.billed(server)
    assert sum(one["total_tokens"] for one in usage.usage_metadata.values()) == parts.tokens(server)


@pytest.mark.parametrize("model", ["small-model", "large-model"])
def test_the_first_token_leaves_before_the_last_arrives(server: ProviderServer, model: str) -> None:
    """The accepted tier's tokens pass as they come: the provider still holds its last one when the first is here."""
    gate = threading.Event()
    server.model("small-model", replies=parts.REFUSAL)
    server.model(model, replies=Turn(parts.LONG, hold=gate, hold_after=100))
    stream = parts.ladder(server).stream("When?")
    first = next(chunk for chunk in stream if chunk.content)
    assert not gate.is_set()
    gate.set()
    assert first.text + "".join(chunk.text for chunk in stream) == parts.LONG


def test_a_stream_that_is_left_is_billed_by_a_flagged_estimate(server: ProviderServer) -> None:
    """Leaving closes the provider's connection, and the attempt is on the books."""
    gate = threading.Event()
    server.model("small-model", replies=Turn(parts.LONG, hold=gate, hold_after=100))
    handler = SpendCallbackHandler()
    stream = parts.ladder(server).stream("When?", config={"callbacks": [handler]})
    next(chunk for chunk in stream if chunk.content)
    stream.close()
    assert not server.await_finished(1)[0].completed
    (attempt,) = handler.attempts
    assert (attempt.outcome, attempt.status) == ("abandoned", "estimated")
    assert attempt.usage.output > 0


async def test_a_cancelled_async_stream_is_billed_too(server: ProviderServer) -> None:
    """A cancelled task closes every hop down to the provider.

    Cancelled while it waits for a token: langchain-openai itself loses a cancellation that meets an arriving chunk.
    """
    gate, begun = threading.Event(), asyncio.Event()
    server.model("small-model", replies=Turn(parts.LONG, hold=gate, hold_after=100))
    handler = SpendCallbackHandler()

    async def read() -> None:
        text = ""
        async for chunk in parts.ladder(server).astream("When?", config={"callbacks": [handler]}):
            text += chunk.text
            if text == "".join(tokens_of(parts.LONG)[:100]):
                begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(server.await_finished, 1)
    assert [(a.outcome, a.status) for a in handler.attempts] == [("abandoned", "estimated")]


def test_a_stream_that_breaks_after_its_first_token_raises(server: ProviderServer) -> None:
    """Half an answer is never silently joined to another model's: the provider's exception comes, and both know."""
    server.model("small-model", replies=Fault.die_after(chunks=80, turn=Turn(parts.LONG)))
    handler = SpendCallbackHandler()
    stream = parts.ladder(server).stream("When?", config={"callbacks": [handler]})
    with pytest.raises(Exception, match=r"incomplete|closed|peer|Connection error"):
        list(stream)
    assert [a.outcome for a in handler.attempts] == ["failed"]
    assert len(server.served) == 1


def test_a_cached_answer_streams(server: ProviderServer) -> None:
    """A hit comes as chunks that end, free."""
    llm = parts.ladder(server)
    llm.invoke("Say it.")
    whole = joined(list(llm.stream("Say it.")))
    assert (whole.text, whole.chunk_position) == ("You said: Say it.", "last")
    assert whole.response_metadata["tuppence"]["tier"] == "cache"
    assert len(server.served) == 1


def test_a_handler_that_prints_tokens_sees_no_draft(server: ProviderServer) -> None:
    """Tokens of a draft that may be rejected are not generated as tokens where somebody would show them."""
    escalating(server)
    prints = Prints()
    list(parts.ladder(server).stream("When?", config={"callbacks": [prints]}))
    assert prints.seen == parts.ANSWER


def test_a_model_that_streams_inside_invoke_shows_no_draft(server: ProviderServer) -> None:
    """`ChatOpenAI(streaming=True)` would hand its tokens to handlers even when it is not streamed."""
    escalating(server)
    prints = Prints()
    tiers = [
        parts.tier(parts.openai(server, "small-model", streaming=True), name="small", rate=parts.SMALL),
        parts.tier(parts.openai(server, "large-model", streaming=True), name="large", rate=parts.LARGE),
    ]
    parts.ChatTuppence(tiers=tiers, ledger=None).invoke("When?", config={"callbacks": [prints]})
    assert prints.seen == parts.ANSWER


async def test_astream_events_show_one_model_run_with_the_accepted_answer(server: ProviderServer) -> None:
    """User interfaces that filter `on_chat_model_stream` see what they would see of one model."""
    escalating(server)
    usage, handler = UsageMetadataCallbackHandler(), SpendCallbackHandler()
    config = {"callbacks": [usage, handler]}
    events = [e async for e in parts.ladder(server).astream_events("When?", config=config, version="v2")]
    kinds = [e["event"] for e in events]
    assert kinds[0] == "on_chat_model_start"
    assert kinds[-1] == "on_chat_model_end"
    assert kinds.count("on_chat_model_start") == 1
    shown = "".join(e["data"]["chunk"].text for e in events if e["event"] == "on_chat_model_stream")
    assert shown == parts.ANSWER
    assert handler.usd == parts.billed(server)
    assert sum(one["total_tokens"] for one in usage.usage_metadata.values()) == parts.tokens(server)


@pytest.mark.skipif(find_spec("langchain_core.language_models._compat_bridge") is None, reason="no v3 events here")
@pytest.mark.parametrize("refused", [True, False])
async def test_v3_events_are_counted_once(server: ProviderServer, refused: bool) -> None:
    """Sync and async content-block streams: the accepted answer, and every provider call counted exactly once."""
    if refused:
        escalating(server)
    else:
        server.model("small-model", replies=parts.LONG)
    usage, handler = UsageMetadataCallbackHandler(), SpendCallbackHandler()
    config = {"callbacks": [usage, handler]}
    llm = parts.ladder(server, cache=None)
    first = llm.stream_events("When?", config=config, version="v3").output
    async with await llm.astream_events("When?", config=config, version="v3") as stream:
        second = await stream.output
    assert first.text == second.text == (parts.ANSWER if refused else parts.LONG)
    assert first.usage_metadata is not None
    assert handler.usd == parts.billed(server)
    assert sum(one["total_tokens"] for one in usage.usage_metadata.values()) == parts.tokens(server)


def graph(llm: Any, *, streams: bool) -> Any:
    """Return a graph of one node that asks `llm` by `stream` or by `invoke`."""

    def node(state: MessagesState) -> dict[str, Any]:
        if streams:
            return {"messages": [joined(list(llm.stream(state["messages"])))]}
        return {"messages": [llm.invoke(state["messages"])]}

    return StateGraph(MessagesState).add_node("agent", node).add_edge(START, "agent").compile()


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("refused", [True, False])
def test_langgraphs_message_stream_shows_no_draft_and_nothing_twice(
    server: ProviderServer, refused: bool, streams: bool
) -> None:
    """`stream_mode="messages"` gives the accepted answer's tokens, once, whatever was tried before it."""
    if refused:
        escalating(server)
    else:
        server.model("small-model", replies=parts.LONG)
    app = graph(parts.ladder(server), streams=streams)
    seen = [m.text for m, _ in app.stream({"messages": [("user", "When?")]}, stream_mode="messages")]
    assert "".join(seen) == (parts.ANSWER if refused else parts.LONG)
    assert len([text for text in seen if text]) > 1


def test_langgraphs_message_stream_shows_a_hit(server: ProviderServer) -> None:
    """A cached answer is shown like any other."""
    app = graph(parts.ladder(server), streams=False)
    for _ in range(2):
        seen = [m.text for m, _ in app.stream({"messages": [("user", "When?")]}, stream_mode="messages")]
        assert "".join(seen) == "You said: When?"
    assert len(server.served) == 1


def test_the_first_token_of_a_graph_leaves_early_too(server: ProviderServer) -> None:
    """A node that only invokes still streams to those who watch the graph."""
    gate = threading.Event()
    server.model("small-model", replies=Turn(parts.LONG, hold=gate, hold_after=100))
    stream = graph(parts.ladder(server), streams=False).stream({"messages": [("user", "?")]}, stream_mode="messages")
    next(message for message, _ in stream if message.content)
    assert not gate.is_set()
    gate.set()
    assert list(stream)


async def test_async_streams_close_their_source(server: ProviderServer) -> None:
    """Leaving `async for` early through `aclosing` ends the provider's stream."""
    gate = threading.Event()
    server.model("small-model", replies=Turn(parts.LONG, hold=gate, hold_after=100))
    stream: AsyncIterator[Any] = parts.ladder(server).astream("When?")
    async for chunk in stream:
        if chunk.content:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    assert not (await asyncio.to_thread(server.await_finished, 1))[0].completed


def test_a_function_that_declines_does_not_end_a_stream(server: ProviderServer) -> None:
    """The next tier streams its answer."""
    tiers = [function_tier("rules", lambda _: None), parts.small(server)]
    stream = parts.ChatTuppence(tiers=tiers, ledger=None).stream("Say it.")
    assert "".join(chunk.text for chunk in stream) == "You said: Say it."
