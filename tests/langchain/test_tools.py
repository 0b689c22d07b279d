"""Tools: bound once, spoken to each tier in its provider's own words, and used by LangChain's agents."""

from importlib.util import find_spec
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from langchain_tuppence import ChatTuppence, SpendCallbackHandler, tier
from tuppence.checks import valid_tool_calls
from tuppence.prices import usd
from tuppence.testing import ProviderServer, Turn
from tuppence.usage import read_usage

from . import parts


@tool
def weather(city: str) -> str:
    """Say what the weather in a city is."""
    return f"It rains in {city}."


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


def mixed(server: ProviderServer, **options: Any) -> ChatTuppence:
    """Return an OpenAI tier below an Anthropic one."""
    claude = tier(parts.anthropic(server, "large-model"), name="large", rate=parts.LARGE)
    return ChatTuppence(tiers=[parts.small(server), claude], **{"ledger": None, **options})


BY_NAME = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize("choice", ["any", "required", "weather", True, BY_NAME])
def test_every_tier_is_told_of_tools_in_its_own_words(server: ProviderServer, choice: Any) -> None:
    """OpenAI's and Anthropic's schemas and tool choices come from one `bind_tools`."""
    server.model("small-model", replies=Turn(""))
    llm = mixed(server).bind_tools([weather], tool_choice=choice)
    message = llm.invoke("How is the weather in 'Porto'?")
    assert [call["name"] for call in message.tool_calls] == ["weather"]
    openai, anthropic = (one.request for one in server.served)
    assert openai["tools"][0]["function"]["name"] == anthropic["tools"][0]["name"] == "weather"
    assert anthropic["tools"][0]["input_schema"]["properties"].keys() == {"city"}
    assert openai["tool_choice"] in ("required", BY_NAME)
    assert anthropic["tool_choice"]["type"] in ("any", "tool")


def test_options_reach_the_tiers_that_have_them(server: ProviderServer) -> None:
    """`strict` and `parallel_tool_calls` are spoken in each provider's words."""
    server.model("small-model", replies=Turn(""))
    mixed(server).bind_tools([weather], parallel_tool_calls=False, strict=True).invoke("How is the weather in 'Porto'?")
    openai, anthropic = (one.request for one in server.served)
    assert openai["parallel_tool_calls"] is False
    assert openai["tools"][0]["function"]["strict"] is True
    assert anthropic["tool_choice"]["disable_parallel_tool_use"] is True


def test_a_draft_with_a_broken_call_escalates(server: ProviderServer) -> None:
    """Wrong arguments of the small model cost an escalation, not a crash in the tool."""
    server.model("small-model", replies=Turn(tool_calls=[("weather", {"town": "Porto"})]))
    server.model("large-model", replies=Turn(tool_calls=[("weather", {"city": "Porto"})]))
    message = mixed(server, check=valid_tool_calls()).bind_tools([weather]).invoke("How is the weather in Porto?")
    assert message.tool_calls[0]["args"] == {"city": "Porto"}


def test_a_conversation_with_tools_passes_between_providers(server: ProviderServer) -> None:
    """Calls and results in the history reach an Anthropic tier as such, whoever made them."""
    server.model("small-model", replies=parts.REFUSAL)
    call = {"name": "weather", "args": {"city": "Porto"}, "id": "call_1", "type": "tool_call"}
    history = [
        HumanMessage("How is the weather in Porto?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("It rains in Porto.", tool_call_id="call_1"),
    ]
    message = mixed(server).bind_tools([weather]).invoke(history)
    assert "rains" in message.text
    sent = server.served[1].request["messages"]
    blocks = [block for m in sent if isinstance(m["content"], list) for block in m["content"]]
    assert [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"] == ["call_1"]


def agent_bill(server: ProviderServer) -> Any:
    rates = {"small-model": parts.SMALL, "large-model": parts.LARGE}
    return usd(sum(rates[one.model].cost(read_usage(one.api, one.usage)) for one in server.served if one.usage))


@pytest.mark.parametrize("refused", [True, False])
def test_an_agent_is_accounted_to_the_last_token(server: ProviderServer, refused: bool) -> None:
    """`create_agent` with tools, escalations included: ledger-grade sums equal the server's own."""
    if refused:
        server.model("small-model", replies=parts.REFUSAL)
    handler, usage = SpendCallbackHandler(), UsageMetadataCallbackHandler()
    agent = create_agent(mixed(server), tools=[weather])
    state = agent.invoke(
        {"messages": [("user", "How is the weather in 'Porto'?")]}, config={"callbacks": [handler, usage]}
    )
    assert "It rains in Porto." in state["messages"][-1].text
    assert handler.usd == agent_bill(server)
    assert sum(one["total_tokens"] for one in usage.usage_metadata.values()) == parts.tokens(server)
    assert len(server.served) == (4 if refused else 2)


def test_an_agents_message_stream_shows_no_draft(server: ProviderServer) -> None:
    """What a user watches of an agent is what was accepted."""
    server.model("small-model", replies=parts.REFUSAL)
    agent = create_agent(mixed(server), tools=[weather])
    seen = [m.text for m, _ in agent.stream({"messages": [("user", "Hello there!")]}, stream_mode="messages")]
    assert "".join(seen) == "You said: Hello there!"


def test_an_agent_with_structured_output_answers_in_its_form(server: ProviderServer) -> None:
    """LangChain's response formats work over tiers of two providers."""
    server.model("small-model", replies=Turn(""))
    server.model("large-model", replies=Turn(tool_calls=[("City", {"name": "Porto", "country": "Portugal"})]))
    agent = create_agent(mixed(server), tools=[weather], response_format=ToolStrategy(City))
    state = agent.invoke({"messages": [("user", "Where is Porto?")]})
    assert state["structured_response"] == City(name="Porto", country="Portugal")


@pytest.mark.skipif(find_spec("langchain_core.language_models._compat_bridge") is None, reason="no v3 events here")
@pytest.mark.filterwarnings("ignore:The v3 streaming protocol on Pregel is experimental")
async def test_an_agents_v3_streams_show_the_accepted_answer_once(server: ProviderServer) -> None:
    """LangGraph's content-block streams reach the facade through `invoke`: one message, no draft, counted once."""
    server.model("small-model", replies=parts.REFUSAL)
    server.model("large-model", replies=parts.ANSWER)
    handler, usage = SpendCallbackHandler(), UsageMetadataCallbackHandler()
    agent = create_agent(parts.ladder(server, cache=None), tools=[])
    question, config = {"messages": [("user", "When?")]}, {"callbacks": [handler, usage]}
    run = agent.stream_events(question, version="v3", config=config)
    assert [str(message.text) for message in run.messages] == [parts.ANSWER]
    arun = await agent.astream_events(question, version="v3", config=config)
    assert [await message.text async for message in arun.messages] == [parts.ANSWER]
    assert handler.usd == parts.billed(server)
    assert sum(one["total_tokens"] for one in usage.usage_metadata.values()) == parts.tokens(server)
