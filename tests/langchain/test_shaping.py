"""Shaped requests of `ChatTuppence`: what reaches the provider, and that the caller's own messages stay as they are."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_tuppence import ChatTuppence, spend
from tuppence.effects import Shaped
from tuppence.request import Drop, Edits, Insert, Replace, Request
from tuppence.testing import ProviderServer
from tuppence.tiers import Tier

from .parts import ladder, large

THINKING = {"type": "thinking", "thinking": "Let me look.", "signature": "s"}


@dataclass(frozen=True)
class Shortening:
    """Writes every tool result as `short`."""

    def __call__(self, request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
        found = [i for i, message in enumerate(request.messages) if message.role == "tool"]
        return Shaped(Edits(tuple(Replace(i, "short") for i in found)), "tool results", 3 * len(found))


def summing_up(request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    return Shaped(Edits((Drop(1), Insert(1, "user", "We spoke of harbours."))), "summed up", 9)


def talk() -> list[BaseMessage]:
    call = {"name": "look", "args": {"what": "hull"}, "id": "c1", "type": "tool_call"}
    return [
        SystemMessage("Be brief."),
        HumanMessage(
            [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": "https://x.y/z.png"}}]
        ),
        AIMessage("", tool_calls=[call]),
        ToolMessage("hull: sound, deck: worn", tool_call_id="c1"),
        HumanMessage("And now?"),
    ]


def sent(server: ProviderServer) -> list[Any]:
    messages: list[Any] = server.served[-1].request["messages"]
    return messages


def test_only_what_is_shaped_differs(server: ProviderServer) -> None:
    """Images, tool calls and ids are the caller's, and so are the caller's own objects."""
    messages = talk()
    before = copy.deepcopy(messages)
    ladder(server).invoke(messages)
    plain = sent(server)
    answer = ladder(server, shape=[Shortening()]).invoke(messages)
    assert sent(server) == [*plain[:3], {**plain[3], "content": "short"}, plain[4]]
    assert messages == before
    assert answer.response_metadata["tuppence"]["shape"] == "tool results"


def test_a_plain_question_can_be_shaped(server: ProviderServer) -> None:
    """Text is a message of its own by then."""

    def shorter(request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
        return Shaped(Edits((Replace(0, "Why?"),)), "shorter", 2)

    ladder(server, shape=[shorter]).invoke("Why on earth?")
    assert sent(server) == [{"role": "user", "content": "Why?"}]


async def test_streams_and_escalations_are_shaped(server: ProviderServer) -> None:
    """Every tier gets the same messages, whichever way the model is called."""
    server.model("small-model", replies="")
    llm = ladder(server, shape=[summing_up], cache=None)
    expected = "We spoke of harbours."
    assert llm.invoke(talk()).content
    assert [one.request["messages"][1]["content"] for one in server.served] == [expected] * 2
    for _ in llm.stream(talk()):
        pass
    async for _ in llm.astream(talk()):
        pass
    await llm.ainvoke(talk())
    assert {one.request["messages"][1]["content"] for one in server.served} == {expected}


def test_a_shaped_call_with_tools_costs_what_was_sent(server: ProviderServer) -> None:
    """Usage is the provider's own count of the shorter prompt."""
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    plain = ChatTuppence(tiers=[large(server)], ledger=None)
    with spend() as whole:
        plain.bind_tools(tools).invoke(talk())
    with spend() as short:
        ChatTuppence(tiers=[large(server)], ledger=None, shape=[Shortening()]).bind_tools(tools).invoke(talk())
    assert 0 < short.usd < whole.usd


def test_a_shaped_model_travels(server: ProviderServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """To another process, with what shapes it."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    llm = pickle.loads(pickle.dumps(ladder(server, shape=[Shortening()], cache=None)))
    llm.invoke(talk())
    assert sent(server)[3]["content"] == "short"
