"""Shaped requests of `TuppenceLLM`: what reaches the provider, from `chat` and from `complete`."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, ImageBlock, MessageRole, TextBlock
from llm_suite import sent

from llama_index_tuppence import TuppenceLLM
from tuppence.effects import Shaped
from tuppence.request import Drop, Edits, Replace, Request
from tuppence.testing import ProviderServer
from tuppence.tiers import Tier


def shortening(request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    last = len(request.messages) - 1
    return Shaped(Edits((Replace(last, "short"),)), "the question", 3)


def forgetting(request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    return Shaped(Edits((Drop(0),)), "the first turn", 3)


def talk() -> list[ChatMessage]:
    picture = ImageBlock(url="https://x.y/z.png")
    return [
        ChatMessage("Earlier.", role=MessageRole.USER),
        ChatMessage("Yes.", role=MessageRole.ASSISTANT),
        ChatMessage(role=MessageRole.USER, blocks=[TextBlock(text="A very long question"), picture]),
    ]


def said(provider: ProviderServer) -> list[Any]:
    return [message["content"] for message in sent(provider)]


def test_chat_sends_the_shaped_messages(provider: ProviderServer, make: Any) -> None:
    """Pictures stay, and the caller's own messages are not touched."""
    messages = talk()
    TuppenceLLM([make()], ledger=None, shape=[shortening]).chat(messages)
    *_, question = said(provider)
    assert question[0] == {"type": "text", "text": "short"} and question[1]["type"] == "image_url"
    assert messages == talk()


def test_each_shaper_sees_what_the_one_before_it_left(provider: ProviderServer, make: Any) -> None:
    """A turn that was dropped is gone for all of them."""
    response = TuppenceLLM([make()], ledger=None, shape=[forgetting, shortening]).chat(talk()[:2])
    assert said(provider) == ["short"]
    assert response.additional_kwargs["tuppence"]["shape"] == "the first turn; the question"


def test_a_shaped_prompt_is_completed(provider: ProviderServer, make: Any) -> None:
    """`complete` gets a completion, of the shorter prompt."""
    completion = TuppenceLLM([make()], ledger=None, shape=[shortening]).complete("A very long question")
    assert isinstance(completion, CompletionResponse) and completion.text
    assert said(provider) == ["short"]


async def test_streams_are_shaped(provider: ProviderServer, make: Any) -> None:
    """Sync and async, of chat and of complete."""
    llm = TuppenceLLM([make()], ledger=None, shape=[shortening], check=None)
    for _ in llm.stream_chat(talk()[:1]):
        pass
    for _ in llm.stream_complete("A long one"):
        pass
    async for _ in await llm.astream_chat(talk()[:1]):
        pass
    await llm.acomplete("A long one")
    assert [one.request["messages"][-1]["content"] for one in provider.served] == ["short"] * 4
