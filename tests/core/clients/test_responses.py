"""Wrapped OpenAI clients: the Responses API, whole, parsed and streamed."""

from __future__ import annotations

import threading
from typing import Any

import openai
from openai.types.responses import Response
from pydantic import BaseModel

from tuppence.clients import result_of
from tuppence.context import spend
from tuppence.testing import ProviderServer, Turn
from tuppence.tiers import Additions, Tier

from .told import Wrapped

QUESTION = "What is six by seven?"
TOOLS: list[Any] = [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}]


class Sum(BaseModel):
    total: int


def text_of(events: Any) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def test_a_response_goes_through_the_policy(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """The type is the SDK's, both attempts are billed as the provider counts them."""
    server.model("small", replies="")
    server.model("large", replies="Forty-two.")
    response = wrapped(openai_client).responses.create(model="auto", input=QUESTION, instructions="Be brief.")
    assert type(response) is Response and response.output_text == "Forty-two."
    result = result_of(response)
    assert [(a.tier, a.outcome, a.status) for a in result.attempts] == [
        ("small", "rejected", "exact"), ("large", "accepted", "exact"),
    ]  # fmt: skip
    told = [s.usage for s in server.served if s.usage is not None]
    assert [(u["input_tokens"], u["output_tokens"]) for u in told] == [
        (a.usage.input_tokens, a.usage.output_tokens) for a in result.attempts
    ]
    assert server.served[1].request == {"model": "large", "input": QUESTION, "instructions": "Be brief."}


def test_whole_and_streamed_responses_share_the_cache(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """A replayed stream has the events of a real one, in their order."""
    server.model("small", replies="Forty-two.")
    client = wrapped(openai_client, cache=True)
    live = list(client.responses.create(model="auto", input=QUESTION, stream=True))
    whole = client.responses.create(model="auto", input=QUESTION)
    stream = client.responses.create(model="auto", input=QUESTION, stream=True)
    replayed = list(stream)
    assert whole.output_text == "Forty-two." and whole.usage.total_tokens == 0
    assert text_of(live) == text_of(replayed) == "Forty-two."
    assert list(dict.fromkeys(e.type for e in replayed)) == list(dict.fromkeys(e.type for e in live))
    assert {type(e) for e in replayed} == {type(e) for e in live}
    assert result_of(stream).tier == "cache" and len(server.served) == 1


def test_a_cached_tool_turn_is_replayed(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """Where the cache takes tool turns, calls come back as items and as events."""
    from tuppence.cache import ExactCache, MemoryStore

    server.model("small", replies=Turn(tool_calls=[("look", {"at": "it"})]))
    client = wrapped(openai_client, cache=ExactCache(MemoryStore(), tool_turns=True))
    live = list(client.responses.create(model="auto", input=QUESTION, tools=TOOLS, stream=True))
    replayed = list(client.responses.create(model="auto", input=QUESTION, tools=TOOLS, stream=True))
    assert [e.type for e in replayed if "function_call" in e.type] == [
        "response.function_call_arguments.delta", "response.function_call_arguments.done",
    ]  # fmt: skip
    assert replayed[-1].response.output[0].arguments == live[-1].response.output[0].arguments == '{"at": "it"}'


def test_parse_and_the_stream_helper_work(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """The SDK's helpers run on a wrapped client; what does not parse escalates."""
    server.model("small", replies=['{"total": "many"}', "Forty-two."])
    server.model("large", replies='{"total": 42}')
    client = wrapped(openai_client)
    parsed = client.responses.parse(model="auto", input=QUESTION, text_format=Sum)
    assert parsed.output_parsed == Sum(total=42) and result_of(parsed).tier == "large"
    with client.responses.stream(model="auto", input=QUESTION) as stream:
        final = stream.get_final_response()
    assert final.output_text == "Forty-two." and result_of(stream).tier == "small"


def test_additions_and_history_are_placed_rightly(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Instructions stay, additions stand before the history, whose items are the caller's own."""
    server.model("small", replies=["", "A cat."])
    tiers = [Tier("small", model="small", additions=Additions("Think.", (("2+2?", "4"),)))]
    client = wrapped(openai_client, tiers=tiers)
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    answer = {"type": "function_call_output", "call_id": "c1", "output": "a cat"}
    history: list[Any] = [{"role": "user", "content": QUESTION}, call, answer]
    client.responses.create(model="auto", input=QUESTION, instructions="Be brief.")
    client.responses.create(model="auto", input=history)
    added = [
        {"role": "system", "content": "Think."}, {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4"},
    ]  # fmt: skip
    first, second = (s.request for s in server.served)
    assert first["instructions"] == "Be brief."
    assert first["input"] == [*added, {"role": "user", "content": QUESTION}]
    assert second["input"] == [*added, *history]


def test_a_conversation_kept_by_the_provider_is_asked_once(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """A draft would stay in it, and the same words mean something else the next time: no cascade, no cache."""
    server.model("large", replies="")
    client = wrapped(openai_client, cache=True)
    for model in ("auto", "large"):
        response = client.responses.create(model=model, input=QUESTION, conversation="conv_1")
        assert [(a.tier, a.cause) for a in result_of(response).attempts] == [("large", "draft")]
    assert len(server.served) == 2


def test_what_is_answered_later_passes_through(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """A background response has neither answer nor usage yet."""
    with spend() as spent:
        wrapped(openai_client).responses.create(model="large", input=QUESTION, background=True)
    assert spent.calls == 0


async def test_the_async_client_streams_and_settles(
    server: ProviderServer, async_openai: openai.AsyncOpenAI, wrapped: Wrapped
) -> None:
    """Read to its end a stream is exact, closed before it is a flagged estimate."""
    server.model("small", replies=["Forty-two.", Turn("One two three", hold=threading.Event(), hold_after=2)])
    client = wrapped(async_openai)
    stream = await client.responses.create(model="auto", input=QUESTION, stream=True)
    assert text_of([event async for event in stream]) == "Forty-two."
    assert [a.status for a in result_of(stream).attempts] == ["exact"]
    left = await client.responses.create(model="small", input=QUESTION, stream=True)
    async for event in left:
        if event.type == "response.output_text.delta":
            break
    await left.close()
    (attempt,) = result_of(left).attempts
    assert (attempt.outcome, attempt.status, attempt.usage.output) == ("abandoned", "estimated", 1)
