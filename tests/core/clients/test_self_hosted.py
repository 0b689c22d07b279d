"""A tier on one's own machines is told what keeps an answer to its schema; no other tier is told anything new."""

from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tuppence.clients import via
from tuppence.testing import ProviderServer, Turn

from .told import ASK

TRIP = {"name": "trip", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.mark.parametrize("self_hosted", [True, False])
@pytest.mark.parametrize("streaming", [True, False])
def test_a_chat_completion_keeps_to_its_schema_on_ones_own_machines(
    server: ProviderServer,
    openai_client: openai.OpenAI,
    wrapped: Callable[..., Any],
    streaming: bool,
    self_hosted: bool,
) -> None:
    """A forced tool, and what older servers were told; whole and streamed. The caller's own request stays as it was."""
    server.model("small", replies=Turn(tool_calls=[("trip", {"city": "Rome"})]))
    client = wrapped(openai_client, tiers=[via(openai_client, "small", self_hosted=self_hosted)])
    tool: Any = {"type": "function", "function": dict(TRIP)}
    answer = client.chat.completions.create(
        model="auto", messages=ASK, tools=[tool], tool_choice="required", stream=streaming,
        extra_body={"guided_regex": "[a-z]+"},
    )  # fmt: skip
    if streaming:
        list(answer)
    sent = server.served[-1].request
    assert bool(sent["tools"][0]["function"].get("strict")) is self_hosted
    assert sent.get("structured_outputs") == ({"regex": "[a-z]+"} if self_hosted else None)
    assert "strict" not in tool["function"]


@pytest.mark.parametrize("self_hosted", [True, False])
def test_anthropics_words_for_a_forced_tool_are_known_too(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Callable[..., Any], self_hosted: bool
) -> None:
    server.model("small", replies=Turn(tool_calls=[("trip", {"city": "Rome"})]))
    client = wrapped(anthropic_client, tiers=[via(anthropic_client, "small", self_hosted=self_hosted)])
    tool = {"name": "trip", "input_schema": TRIP["parameters"]}
    client.messages.create(model="auto", max_tokens=50, messages=ASK, tools=[tool], tool_choice={"type": "any"})
    assert bool(server.served[-1].request["tools"][0].get("strict")) is self_hosted
