"""Every way in which a LangChain program asks a chat model: functions of (model, question, config) to what it saw."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from importlib.util import find_spec
from operator import add
from typing import Any, Literal

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, BaseMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from langchain_tuppence import ChatTuppence

from .script import City

Form = Literal["text", "structured", "agent"]


@tool
def weather(city: str) -> str:
    """Say what the weather in a city is."""
    return f"It rains in {city}."


@dataclass
class Seen:
    """What the user's program got."""

    messages: list[Any] = field(default_factory=list)
    """Whole answers, one for each call of the model, where the surface hands them out."""
    shown: Any = None
    """All text that was streamed, in order."""
    parsed: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Surface:
    name: str
    ask: Callable[[ChatTuppence, str, Any], Any]
    form: Form = "text"
    calls: int = 1
    """How often one use of it asks the model."""
    is_async: bool = False


def joined(chunks: Iterable[BaseMessageChunk]) -> Any:
    return reduce(add, chunks)


async def every(source: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in source]


# -- the model itself


def invoke(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen([llm.invoke(question, config)])


async def ainvoke(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen([await llm.ainvoke(question, config)])


def _raised(found: list[Any]) -> list[Any]:
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


def twice(question: str) -> list[str]:
    return [question, f"{question} (And you?)"]


def batch(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen(_raised(llm.batch(twice(question), config, return_exceptions=True)))


async def abatch(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen(_raised(await llm.abatch(twice(question), config, return_exceptions=True)))


def stream(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return streamed(llm.stream(question, config))


async def astream(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return streamed(await every(llm.astream(question, config)))


def streamed(chunks: Iterable[Any]) -> Seen:
    chunks = list(chunks)
    return Seen([joined(chunks)], "".join(chunk.text for chunk in chunks))


async def astream_events_v2(llm: ChatTuppence, question: str, config: Any) -> Seen:
    events = await every(llm.astream_events(question, config, version="v2"))
    shown = [e["data"]["chunk"].text for e in events if e["event"] == "on_chat_model_stream"]
    return Seen([e["data"]["output"] for e in events if e["event"] == "on_chat_model_end"], "".join(shown))


def stream_events_v3(llm: ChatTuppence, question: str, config: Any) -> Seen:
    source = llm.stream_events(question, config, version="v3")
    return Seen(shown="".join(source.text), messages=[source.output])


async def astream_events_v3(llm: ChatTuppence, question: str, config: Any) -> Seen:
    async with await llm.astream_events(question, config, version="v3") as source:
        return Seen(shown="".join(await every(aiter(source.text))), messages=[await source.output])


# -- in a chain, as an object, in a graph, in an agent

PROMPT = ChatPromptTemplate.from_messages([("user", "{question}")])


def chain(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen(shown="".join((PROMPT | llm | StrOutputParser()).stream({"question": question}, config)))


def structured(llm: ChatTuppence, question: str, config: Any) -> Seen:
    out = llm.with_structured_output(City, include_raw=True).invoke(question, config)
    return Seen([out["raw"]], parsed=[out["parsed"]])


async def astructured(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen(parsed=[await llm.with_structured_output(City).ainvoke(question, config)])


def structured_stream(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen(parsed=list(llm.with_structured_output(City).stream(question, config))[-1:])


def graph_of(llm: Any, how: str) -> Any:
    """Return a graph of one node that asks `llm` in the way named."""

    def node(state: MessagesState) -> dict[str, Any]:
        messages = state["messages"]
        return {"messages": [joined(llm.stream(messages)) if how == "stream" else llm.invoke(messages)]}

    async def anode(state: MessagesState) -> dict[str, Any]:
        messages = state["messages"]
        answer = joined(await every(llm.astream(messages))) if how == "astream" else await llm.ainvoke(messages)
        return {"messages": [answer]}

    step = anode if how.startswith("a") else node
    return StateGraph(MessagesState).add_node("model", step).add_edge(START, "model").compile()


def agent_of(llm: Any) -> Any:
    return create_agent(llm, tools=[weather])


def _asked(question: str) -> dict[str, Any]:
    return {"messages": [("user", question)]}


def _answers(messages: Iterable[BaseMessage]) -> list[AIMessage]:
    return [m for m in messages if isinstance(m, AIMessage)]


def _watched(items: Iterable[tuple[str, Any]]) -> Seen:
    """Take apart what stream_mode=["messages", "updates"] gave."""
    shown, answers = "", []
    for mode, item in items:
        if mode == "messages":
            shown += item[0].text if isinstance(item[0], AIMessage) else ""
        else:
            answers += [m for update in item.values() for m in _answers(update["messages"])]
    return Seen(answers, shown)


MODES = ["messages", "updates"]


def in_graph(how: str) -> Callable[[ChatTuppence, str, Any], Any]:
    def watched(llm: ChatTuppence, question: str, config: Any) -> Seen:
        return _watched(graph_of(llm, how).stream(_asked(question), config, stream_mode=MODES))

    async def awatched(llm: ChatTuppence, question: str, config: Any) -> Seen:
        return _watched(await every(graph_of(llm, how).astream(_asked(question), config, stream_mode=MODES)))

    return awatched if how.startswith("a") else watched


def agent(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen(_answers(agent_of(llm).invoke(_asked(question), config)["messages"]))


async def aagent(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return Seen(_answers((await agent_of(llm).ainvoke(_asked(question), config))["messages"]))


def agent_stream(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return _watched(agent_of(llm).stream(_asked(question), config, stream_mode=MODES))


async def agent_astream(llm: ChatTuppence, question: str, config: Any) -> Seen:
    return _watched(await every(agent_of(llm).astream(_asked(question), config, stream_mode=MODES)))


def graph_v3(llm: ChatTuppence, question: str, config: Any) -> Seen:
    run = graph_of(llm, "invoke").stream_events(_asked(question), config, version="v3")
    streams = list(run.messages)
    return Seen([one.output for one in streams], "".join(str(one.text) for one in streams))


async def agent_v3(llm: ChatTuppence, question: str, config: Any) -> Seen:
    run = await agent_of(llm).astream_events(_asked(question), config, version="v3")
    seen = Seen(shown="")
    async for one in run.messages:
        if one.node != "tools":
            seen.shown += await one.text
            seen.messages.append(await one.output)
    return seen


HAS_V3_EVENTS = find_spec("langchain_core.language_models._compat_bridge") is not None
"""Whether this langchain-core knows the v3 events at all; what has none has no such cells."""

_ALL = (
    Surface("invoke", invoke),
    Surface("ainvoke", ainvoke, is_async=True),
    Surface("batch", batch, calls=2),
    Surface("abatch", abatch, calls=2, is_async=True),
    Surface("stream", stream),
    Surface("astream", astream, is_async=True),
    Surface("astream_events_v2", astream_events_v2, is_async=True),
    Surface("stream_events_v3", stream_events_v3),
    Surface("astream_events_v3", astream_events_v3, is_async=True),
    Surface("chain", chain),
    Surface("structured", structured, "structured"),
    Surface("astructured", astructured, "structured", is_async=True),
    Surface("structured_stream", structured_stream, "structured"),
    Surface("graph_invoke", in_graph("invoke")),
    Surface("graph_stream", in_graph("stream")),
    Surface("graph_ainvoke", in_graph("ainvoke"), is_async=True),
    Surface("graph_astream", in_graph("astream"), is_async=True),
    Surface("agent", agent, "agent", calls=2),
    Surface("aagent", aagent, "agent", calls=2, is_async=True),
    Surface("agent_stream", agent_stream, "agent", calls=2),
    Surface("agent_astream", agent_astream, "agent", calls=2, is_async=True),
    Surface("graph_v3", graph_v3),
    Surface("agent_v3", agent_v3, "agent", calls=2, is_async=True),
)
SURFACES = tuple(surface for surface in _ALL if HAS_V3_EVENTS or not surface.name.endswith("v3"))
