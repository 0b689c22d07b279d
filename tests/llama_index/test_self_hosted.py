"""A tier on one's own machines is told what keeps an answer to its schema; no other tier is told anything new."""

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from llama_index_tuppence import TuppenceLLM
from llama_index_tuppence import tier as tier_of
from tuppence.prices import token_rate
from tuppence.testing import ProviderServer, Turn

from .conftest import Make

RATE = token_rate(input="1", output="2")


def trip(city: str) -> str:
    """Book a trip."""
    return city


@pytest.mark.parametrize("self_hosted", [True, False])
@pytest.mark.parametrize("required", [True, False])
def test_a_forced_tool_is_strict_on_ones_own_machines(
    make: Make, provider: ProviderServer, required: bool, self_hosted: bool
) -> None:
    """And only a forced one: LlamaIndex itself says of every tool that it need not be."""
    provider.model("small", replies=Turn(tool_calls=[("trip", {"city": "Rome"})]))
    llm = TuppenceLLM(tiers=[tier_of(make("small"), rate=RATE, self_hosted=self_hosted)], ledger=None)
    tools = [FunctionTool.from_defaults(trip)]
    llm.chat_with_tools(tools, user_msg="To Rome!", tool_required=required)
    (sent,) = provider.served[-1].request["tools"]
    assert bool(sent["function"].get("strict")) is (self_hosted and required)


@pytest.mark.parametrize("self_hosted", [True, False])
async def test_older_arguments_are_said_again_in_newer_words(
    make: Make, provider: ProviderServer, self_hosted: bool
) -> None:
    """On every surface: chat and completion, whole and streamed, sync and async."""
    own = make("small", additional_kwargs={"extra_body": {"guided_choice": ["a", "b"]}})
    llm = TuppenceLLM(tiers=[tier_of(own, rate=RATE, self_hosted=self_hosted)], ledger=None)
    asked = [ChatMessage("Which?")]
    llm.chat(asked)
    llm.complete("Which?")
    list(llm.stream_chat(asked))
    await llm.achat(asked)
    [chunk async for chunk in await llm.astream_complete("Which?")]
    assert len(provider.served) == 5
    for served in provider.served:
        assert served.request["guided_choice"] == ["a", "b"]
        assert served.request.get("structured_outputs") == ({"choice": ["a", "b"]} if self_hosted else None)
