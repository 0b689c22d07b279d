"""Native messages and their neutral view: nothing is lost, and edits touch what they name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_tuppence.messages import as_chunk, edited, merged, neutral
from langchain_tuppence.replies import freeze, reply_of, thaw, usage_of
from tuppence.errors import RequestError
from tuppence.request import Drop, Edits, Insert, Replace, Request
from tuppence.usage import Usage

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
OTHER_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
TEXT = {"type": "text", "text": "What is this?"}


def request(*messages: BaseMessage) -> Request:
    return Request(tuple(neutral(m) for m in messages), native=list(messages))


@pytest.mark.parametrize(
    ("message", "role"),
    [
        (SystemMessage("x"), "system"),
        (HumanMessage("x"), "user"),
        (AIMessage("x"), "assistant"),
        (AIMessageChunk(content="x"), "assistant"),
        (ToolMessage("x", tool_call_id="1"), "tool"),
        (ChatMessage("x", role="developer"), "system"),
    ],
)
def test_roles(message: BaseMessage, role: str) -> None:
    """Every kind of LangChain message has its place."""
    assert (neutral(message).role, neutral(message).text) == (role, "x")


def test_an_unknown_role_is_refused_by_name() -> None:
    """A role that no provider takes is the caller's mistake."""
    with pytest.raises(RequestError, match="narrator"):
        neutral(ChatMessage("x", role="narrator"))


def test_media_are_needs_and_part_of_the_fingerprint() -> None:
    """Two questions that differ in an image only are two questions, and need a tier with eyes."""
    one, two = (request(HumanMessage([TEXT, image])) for image in (IMAGE, OTHER_IMAGE))
    assert one.needs == {"vision"}
    assert request(HumanMessage([SOUND])).needs == {"audio"}
    assert one.question == "What is this?"
    assert one.fingerprint() != two.fingerprint()


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (HumanMessage("x"), HumanMessage("x", name="ann")),
        (ToolMessage("x", tool_call_id="1"), ToolMessage("x", tool_call_id="2")),
        (ToolMessage("x", tool_call_id="1"), ToolMessage("x", tool_call_id="1", status="error")),
        (HumanMessage([TEXT, IMAGE]), HumanMessage([IMAGE, TEXT])),
        (AIMessage(""), AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}])),
        (SystemMessage("x"), SystemMessage("x", additional_kwargs={"__openai_role__": "developer"})),
    ],
)
def test_what_a_provider_would_see_differently_has_another_fingerprint(one: BaseMessage, two: BaseMessage) -> None:
    """The cache must never take one for the other."""
    assert request(one).fingerprint() != request(two).fingerprint()


def test_what_a_provider_never_sees_changes_nothing() -> None:
    """Ids and bookkeeping of the framework do not split the cache."""
    plain = AIMessage("x")
    marked = AIMessage("x", id="run-1", response_metadata={"a": 1}, additional_kwargs={"refusal": None})
    assert request(plain).fingerprint() == request(marked).fingerprint()


def test_edits_touch_what_they_name() -> None:
    """Images and other messages stay the very objects they were; the originals are not changed."""
    question = HumanMessage([TEXT, IMAGE])
    messages: list[BaseMessage] = [SystemMessage("rules"), question, AIMessage("old"), HumanMessage("now")]
    edits = Edits((Insert(1, "system", "more"), Replace(1, "Shorter."), Drop(2), Insert(4, "user", "last")))
    out = edited(messages, edits)
    assert [m.type for m in out] == ["system", "system", "human", "human", "human"]
    assert out[2].content == [{"type": "text", "text": "Shorter."}, IMAGE]
    assert out[0] is messages[0]
    assert out[3] is messages[3]
    assert messages[1].content == [TEXT, IMAGE]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.data())
def test_dropping_and_inserting_keep_the_order(texts: list[str], data: Any) -> None:
    """However edits are mixed, what is kept keeps its order and inserts stand where they were put."""
    dropped = data.draw(st.sets(st.integers(0, len(texts) - 1)))
    places = data.draw(st.lists(st.integers(0, len(texts)), max_size=3))
    edits = Edits((*(Drop(i) for i in dropped), *(Insert(i, "user", f"+{i}") for i in places)))
    expected: list[str] = []
    for i in range(len(texts) + 1):
        expected += [f"+{p}" for p in places if p == i]
        if i < len(texts) and i not in dropped:
            expected.append(texts[i])
    assert [m.content for m in edited([HumanMessage(t) for t in texts], edits)] == expected


def message(**fields: Any) -> AIMessage:
    usage = {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}
    return AIMessage("x", **{"usage_metadata": usage, **fields})


@pytest.mark.parametrize(
    ("given_message", "usage"),
    [
        (message(), Usage(input=10, output=4)),
        (message(response_metadata={"service_tier": "flex"}), Usage(input=10, output=4, processing="flex")),
        (
            message(response_metadata={"token_usage": {
                "prompt_tokens": 10, "completion_tokens": 4, "prompt_cache_hit_tokens": 6}}),
            Usage(input=4, cache_read=6, output=4),
        ),
        (
            message(response_metadata={"usage": {
                "input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 4,
                "server_tool_use": {"web_search_requests": 2}}}),
            Usage(input=3, cache_read=7, output=4, calls=(("web_search", 2),)),
        ),
        (
            message(usage_metadata={
                "input_tokens": 10, "output_tokens": 4, "total_tokens": 14,
                "input_token_details": {"cache_read": 2, "ephemeral_1h_input_tokens": 3}}),
            Usage(input=5, cache_read=2, cache_write_1h=3, output=4),
        ),
        (message(usage_metadata=None), None),
    ],
    ids=["plain", "flex", "deepseek", "anthropic", "one-hour-cache", "nothing"],
)  # fmt: skip
def test_usage_is_the_providers_where_it_is_there(given_message: AIMessage, usage: Usage | None) -> None:
    """Buckets that LangChain's mapping merges are read from the provider's payload."""
    assert usage_of(given_message) == usage


def test_log_probabilities_reach_the_checks() -> None:
    """OpenAI's token log-probabilities become plain numbers."""
    content = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]
    assert reply_of(message(response_metadata={"logprobs": {"content": content}}), "small").logprobs == (-0.5, -1.5)


def test_what_is_frozen_thaws_whole() -> None:
    """The cache keeps the native message: content blocks, tool calls and provider extras."""
    native = AIMessage(
        [TEXT, {"type": "thinking", "thinking": "hm", "signature": "s"}], additional_kwargs={"a": 1}, id="run-1",
        tool_calls=[{"name": "f", "args": {"x": 1}, "id": "1"}], response_metadata={"model_name": "m"},
    )  # fmt: skip
    thawed = thaw(json.loads(json.dumps(freeze(reply_of(native, "small"))))).native
    assert thawed.content == native.content
    assert thawed.tool_calls == native.tool_calls
    assert thawed.additional_kwargs == {"a": 1}
    assert thawed.id is None


def test_a_whole_message_as_chunk_is_the_message_again() -> None:
    """Replaying an answer as a stream loses nothing."""
    native = AIMessage("x", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "1"}], id="run-1")
    again = merged([as_chunk(native)])
    assert (again.content, again.tool_calls, again.id) == (native.content, native.tool_calls, native.id)
