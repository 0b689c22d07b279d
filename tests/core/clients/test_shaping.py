"""Shaped requests of wrapped clients: what reaches the provider, on every API, whole and streamed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

from tuppence.clients import result_of
from tuppence.effects import Shaped
from tuppence.request import Drop, Edits, Replace, Request
from tuppence.testing import ProviderServer
from tuppence.tiers import Tier

from .told import Wrapped

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"what": "hull"}'}}
TALK: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look."}, PICTURE]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": '{"hull": "sound", "deck": "worn"}'},
    {"role": "user", "content": "And now?"},
]  # fmt: skip


@dataclass(frozen=True)
class Shortening:
    """Writes the tool's result shorter."""

    role: str = "tool"
    text: str = "hull: sound"

    def __call__(self, request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
        index = next(i for i, message in enumerate(request.messages) if message.role == self.role)
        return Shaped(Edits((Replace(index, self.text),)), "shorter", 4)


def without_the_first_turn(request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    first = next(i for i, message in enumerate(request.messages) if message.role == "user")
    return Shaped(Edits((Drop(first),)), "dropped a turn", 2)


def test_chat_completions(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """Only the text of one message differs: its tool id, the calls and the image are the caller's own."""
    before = json.dumps(TALK)
    client = wrapped(openai_client, shape=[Shortening()])
    completion = client.chat.completions.create(model="auto", messages=TALK)
    expected = [*TALK[:3], {**TALK[3], "content": "hull: sound"}, TALK[4]]
    assert server.served[-1].request["messages"] == expected
    assert json.dumps(TALK) == before
    assert result_of(completion).decision.pruned_tokens == 4


def test_a_stream(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """Is shaped as a whole answer is, and an escalation too."""
    server.model("small", replies="")
    client = wrapped(openai_client, shape=[Shortening()])
    chunks = client.chat.completions.create(model="auto", messages=TALK, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert [one.request["messages"][3]["content"] for one in server.served] == ["hull: sound"] * 2


def test_responses(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """Instructions are the first message there."""
    client = wrapped(openai_client, shape=[Shortening("system", "Short.")])
    client.responses.create(model="auto", input=[{"role": "user", "content": "Why?"}], instructions="Be very short.")
    assert server.served[-1].request["instructions"] == "Short."
    assert [item["content"] for item in server.served[-1].request["input"]] == ["Why?"]


def test_messages(server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped) -> None:
    """A turn that is dropped is gone, and the system prompt stays where it was."""
    said = (("user", "One."), ("assistant", "Yes."), ("user", "Two."))
    talk: Any = [{"role": role, "content": content} for role, content in said]
    client = wrapped(anthropic_client, shape=[without_the_first_turn])
    client.messages.create(model="auto", max_tokens=50, system="Be brief.", messages=talk)
    asked = server.served[-1].request
    assert asked["system"] == "Be brief." and asked["messages"] == talk[1:]


async def test_async(server: ProviderServer, async_openai: openai.AsyncOpenAI, wrapped: Wrapped) -> None:
    """On an event loop alike."""
    client = wrapped(async_openai, shape=[Shortening()])
    await client.chat.completions.create(model="auto", messages=TALK)
    assert server.served[-1].request["messages"][3]["content"] == "hull: sound"
