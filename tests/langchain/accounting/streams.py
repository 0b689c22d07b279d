"""Every way in which a program watches an answer come, as generators of the text that its user sees."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain_core.output_parsers import StrOutputParser

from langchain_tuppence import ChatTuppence

from .surfaces import HAS_V3_EVENTS, PROMPT, graph_of


@dataclass(frozen=True)
class Source:
    name: str
    open: Callable[[ChatTuppence, str, Any], Any]
    is_async: bool
    waits: bool = False
    """Whether closing it waits for the model, whatever model it is: LangGraph runs a sync graph's nodes in threads, and
    a sync LCEL chain reads on."""


def stream(llm: ChatTuppence, question: str, config: Any) -> Iterator[str]:
    for chunk in llm.stream(question, config):
        yield chunk.text


async def astream(llm: ChatTuppence, question: str, config: Any) -> AsyncIterator[str]:
    async with aclosing(llm.astream(question, config)) as source:
        async for chunk in source:
            yield chunk.text


def chain(llm: ChatTuppence, question: str, config: Any) -> Iterator[str]:
    yield from (PROMPT | llm | StrOutputParser()).stream({"question": question}, config)


async def achain(llm: ChatTuppence, question: str, config: Any) -> AsyncIterator[str]:
    async with aclosing((PROMPT | llm | StrOutputParser()).astream({"question": question}, config)) as source:
        async for text in source:
            yield text


async def events_v2(llm: ChatTuppence, question: str, config: Any) -> AsyncIterator[str]:
    async with aclosing(llm.astream_events(question, config, version="v2")) as source:
        async for event in source:
            if event["event"] == "on_chat_model_stream":
                yield event["data"]["chunk"].text


async def events_v2_of_chain(llm: ChatTuppence, question: str, config: Any) -> AsyncIterator[str]:
    chain = PROMPT | llm | StrOutputParser()
    async with aclosing(chain.astream_events({"question": question}, config, version="v2")) as source:
        async for event in source:
            if event["event"] == "on_chat_model_stream":
                yield event["data"]["chunk"].text


def events_v3(llm: ChatTuppence, question: str, config: Any) -> Iterator[str]:
    yield from llm.stream_events(question, config, version="v3").text


async def aevents_v3(llm: ChatTuppence, question: str, config: Any) -> AsyncIterator[str]:
    async with await llm.astream_events(question, config, version="v3") as source:
        async for text in source.text:
            yield text


def _graph(make: Callable[[ChatTuppence], Any]) -> Callable[[ChatTuppence, str, Any], Iterator[str]]:
    def watched(llm: ChatTuppence, question: str, config: Any) -> Iterator[str]:
        for message, _ in make(llm).stream({"messages": [("user", question)]}, config, stream_mode="messages"):
            yield message.text

    return watched


def _agraph(make: Callable[[ChatTuppence], Any]) -> Callable[[ChatTuppence, str, Any], AsyncIterator[str]]:
    async def watched(llm: ChatTuppence, question: str, config: Any) -> AsyncIterator[str]:
        asked = {"messages": [("user", question)]}
        async with aclosing(make(llm).astream(asked, config, stream_mode="messages")) as source:
            async for message, _ in source:
                yield message.text

    return watched


def _agent(llm: ChatTuppence) -> Any:
    return create_agent(llm, tools=[])


_ALL = (
    Source("stream", stream, False),
    Source("chain", chain, False, waits=True),
    Source("events_v3", events_v3, False),
    Source("graph_invoke", _graph(lambda llm: graph_of(llm, "invoke")), False, waits=True),
    Source("graph_stream", _graph(lambda llm: graph_of(llm, "stream")), False, waits=True),
    Source("agent", _graph(_agent), False, waits=True),
    Source("astream", astream, True),
    Source("achain", achain, True),
    Source("events_v2", events_v2, True),
    Source("events_v2_of_chain", events_v2_of_chain, True),
    Source("aevents_v3", aevents_v3, True),
    Source("graph_ainvoke", _agraph(lambda llm: graph_of(llm, "ainvoke")), True),
    Source("graph_astream", _agraph(lambda llm: graph_of(llm, "astream")), True),
    Source("aagent", _agraph(_agent), True),
)
SOURCES = tuple(source for source in _ALL if HAS_V3_EVENTS or not source.name.endswith("v3"))
SYNC = tuple(source for source in SOURCES if not source.is_async)
ASYNC = tuple(source for source in SOURCES if source.is_async)
