"""Wrapped Anthropic clients: messages go through the policy, whole, by the stream and by its helper."""

from __future__ import annotations

import threading
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message

from tuppence.cache import ExactCache, MemoryStore
from tuppence.checks import judged_by
from tuppence.clients import result_of, via
from tuppence.context import spend
from tuppence.errors import ConfigError
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.tiers import Additions, Tier, function_tier

from .told import ASK, Wrapped, counted, story

TOOLS: list[Any] = [{"name": "look", "description": "Look.", "input_schema": {"type": "object"}}]


def create(client: Any, **options: Any) -> Any:
    return client.messages.create(**{"model": "auto", "max_tokens": 100, "messages": ASK, **options})


def text_of(events: Any) -> str:
    deltas = [e.delta for e in events if e.type == "content_block_delta"]
    return "".join(delta.text for delta in deltas if delta.type == "text_delta")


def billed(server: ProviderServer) -> list[tuple[int, int]]:
    told = [s.usage for s in server.served if s.usage is not None and s.api == "messages"]
    cached = ("cache_read_input_tokens", "cache_creation_input_tokens")
    return [(u["input_tokens"] + sum(u.get(name) or 0 for name in cached), u["output_tokens"]) for u in told]


def test_an_empty_draft_escalates_and_both_are_paid(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """The answer is the SDK's own object; cached and written tokens are counted as the provider does."""
    server.model("small", replies="")
    server.model("large", replies=Turn("Forty-two.", cached_tokens=8, cache_write_tokens=4))
    message = create(wrapped(anthropic_client))
    assert type(message) is Message and message.content[0].text == "Forty-two."
    result = result_of(message)
    assert story(result) == [("small", "draft", "rejected"), ("large", "escalation", "accepted")]
    assert counted(result) == billed(server)
    assert result.attempts[1].usage.cache_read == 8


def test_streams_are_billed_exactly(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """All events of the accepted answer, none of the rejected one."""
    server.model("small", replies="I'm sorry, but I can't help with that.")
    server.model("large", replies="Forty-two is the answer.")
    stream = create(wrapped(anthropic_client), stream=True)
    events = list(stream)
    assert events[0].type == "message_start" and events[-1].type == "message_stop"
    assert text_of(events) == "Forty-two is the answer."
    assert story(result_of(stream)) == [("small", "draft", "rejected"), ("large", "escalation", "accepted")]
    assert counted(result_of(stream)) == billed(server)


def test_who_stops_at_the_stop_reason_is_billed_exactly(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """By then the call is settled."""
    server.model("small", replies="Forty-two.")
    stream = create(wrapped(anthropic_client), stream=True)
    for event in stream:
        if event.type == "message_delta":
            break
    assert story(result_of(stream)) == [("small", "draft", "accepted")]
    assert counted(result_of(stream)) == billed(server)


def test_the_stream_helper_works_live_and_from_the_cache(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """`messages.stream()`: text, thinking and tool calls come out the same, a hit says that it used nothing."""
    turn = Turn("Let me see.", thinking="What is it?", tool_calls=[("look", {"at": "it"})])
    server.model("small", replies=turn)
    client = wrapped(anthropic_client, cache=ExactCache(MemoryStore(), tool_turns=True))
    finals = []
    for tier in ("small", "cache"):
        with client.messages.stream(model="auto", max_tokens=2048, messages=ASK, tools=TOOLS) as stream:
            assert "".join(stream.text_stream) == "Let me see."
            finals.append(stream.get_final_message())
        assert result_of(stream).tier == tier
    live, hit = finals
    assert [block.type for block in live.content] == ["thinking", "text", "tool_use"]
    assert [block.to_dict() for block in hit.content] == [block.to_dict() for block in live.content]
    assert hit.stop_reason == live.stop_reason == "tool_use"
    assert hit.usage.output_tokens == 0 and len(server.served) == 1


def test_whole_and_streamed_answers_share_the_cache(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """What was streamed is served whole, and what was whole is streamed."""
    server.model("small", replies="Forty-two.")
    client = wrapped(anthropic_client, cache=True)
    assert text_of(create(client, stream=True)) == "Forty-two."
    hit = create(client)
    assert type(hit) is Message and hit.content[0].text == "Forty-two." and hit.usage.input_tokens == 0
    assert text_of(create(client, stream=True)) == "Forty-two."
    assert len(server.served) == 1


@pytest.mark.parametrize(
    ("system", "sent"),
    [
        (None, "Think."),
        ("Be brief.", "Be brief.\n\nThink."),
        (
            [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            [
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "Think."},
            ],
        ),
    ],
)
def test_additions_go_into_the_system_parameter(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped, system: Any, sent: Any
) -> None:
    """Anthropic takes instructions beside the turns; examples stand before the history."""
    tier = Tier("small", model="small", additions=Additions("Think.", (("2+2?", "4"),)))
    options = {} if system is None else {"system": system}
    create(wrapped(anthropic_client, tiers=[tier]), **options)
    (served,) = server.served
    assert served.request["system"] == sent
    assert [m["content"] for m in served.request["messages"]] == ["2+2?", "4", ASK[0]["content"]]


def test_everything_the_caller_sent_reaches_the_tier(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """Answers sent back as history, tool results, images and beta headers go as the SDK would send them."""
    server.model("small", replies=[Turn(tool_calls=[("look", {"at": "it"})]), "A cat."])
    client = wrapped(anthropic_client)
    first = create(client, tools=TOOLS)
    call = first.content[-1]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    answer = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "a cat"}, image]}
    history = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": [answer]}]
    create(client, tools=TOOLS, messages=iter(history), extra_headers={"anthropic-beta": "some-beta"})
    served = server.served[1]
    assert served.request["messages"][1]["content"][-1]["input"] == {"at": "it"}
    assert served.request["messages"][2] == {"role": "user", "content": [answer]}
    assert served.headers["anthropic-beta"] == "some-beta"


def test_beta_messages_and_functions_go_through_too(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """`beta.messages` is the same API; a function tier answers in it."""
    client = wrapped(anthropic_client, tiers=[function_tier("rules", lambda _: "Forty-two."), "large"])
    message = client.beta.messages.create(model="auto", max_tokens=9, messages=ASK)
    assert message.content[0].text == "Forty-two." and result_of(message).tier == "rules"
    assert text_of(create(client, stream=True)) == "Forty-two."
    assert server.served == []


def test_counting_tokens_passes_through(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """What is no answer to a prompt is the SDK's business."""
    with spend() as spent:
        counted_by = wrapped(anthropic_client).messages.count_tokens(model="small", messages=ASK)
    assert counted_by.input_tokens > 0 and spent.calls == 0


def test_a_judge_may_live_at_another_provider(
    server: ProviderServer, openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """Judges are asked in their own API's words, either way round; the tiers of the ladder share one."""
    server.model("judge", replies='{"score": 5, "reason": "right"}')
    message = create(wrapped(anthropic_client, judges=[via(openai_client, "judge")], check=judged_by("judge")))
    assert story(result_of(message))[1] == ("judge", "judge", "consulted")
    client = wrapped(openai_client, judges=[via(anthropic_client, "judge")], check=judged_by("judge"))
    completion = client.chat.completions.create(model="auto", messages=ASK)
    assert story(result_of(completion))[1] == ("judge", "judge", "consulted")
    assert [s.api for s in server.served] == ["messages", "chat", "chat", "messages"]
    with pytest.raises(ConfigError, match="share its API"):
        wrapped(anthropic_client, tiers=[via(openai_client, "small"), "large"])


def test_the_sdks_own_exception_surfaces(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """`except anthropic.APIStatusError` keeps working; retries are ours alone."""
    server.model("small", replies=Fault(status=529))
    server.model("large", replies=Fault(status=529))
    with pytest.raises(anthropic.APIStatusError):
        create(wrapped(anthropic_client, retries=0))
    assert len(server.served) == 2


async def test_the_async_client_does_the_same(
    server: ProviderServer, async_anthropic: anthropic.AsyncAnthropic, wrapped: Wrapped
) -> None:
    """Whole, streamed, by the helper, and abandoned."""
    slow = Turn("One two three", hold=threading.Event(), hold_after=2)
    server.model("small", replies=["Forty-two.", "Forty-two.", "Forty-two.", slow])
    client = wrapped(async_anthropic)
    assert (await create(client)).content[0].text == "Forty-two."
    stream = await create(client, stream=True)
    assert text_of([event async for event in stream]) == "Forty-two."
    async with client.messages.stream(model="auto", max_tokens=9, messages=ASK) as helper:
        assert [text async for text in helper.text_stream] == ["Fort", "y", "-", "two", "."]
    assert result_of(helper).attempts[0].status == "exact"
    async with client.messages.stream(model="small", max_tokens=9, messages=ASK) as left:
        async for _ in left.text_stream:
            break
    (attempt,) = result_of(left).attempts
    assert (attempt.outcome, attempt.status, attempt.usage.output) == ("abandoned", "estimated", 1)
