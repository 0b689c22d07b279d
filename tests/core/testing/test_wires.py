"""The scripted provider speaks OpenAI and Anthropic: what the real SDKs read out of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tuppence.testing import ProviderServer, Turn, tokens_of

Ask = Callable[..., Any]
ASK: list[Any] = [{"role": "user", "content": "Hello"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}},
            "required": ["city", "days"],
        },
    },
}
CALLS = [("get_weather", {"city": "Rome", "days": 2}), ("get_weather", {"city": "Oslo", "days": 1})]


def test_the_log_has_the_usage_that_the_client_was_told(server: ProviderServer, ask: Ask) -> None:
    """The bill and the answer are one and the same, with the buckets that a turn names."""
    server.model("m", replies=Turn("Fine.", cached_tokens=1024, reasoning_tokens=30))
    reply = ask(service_tier="flex")
    (served,) = server.served
    assert served.usage == reply.usage.model_dump(exclude_none=True)
    assert (served.id, served.status, served.completed, served.streamed) == (reply.id, 200, True, False)
    assert reply.usage.prompt_tokens_details.cached_tokens == 1024 == reply.usage.prompt_tokens
    assert reply.usage.completion_tokens == 30 + len(tokens_of("Fine."))
    assert reply.service_tier == "flex"


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_tells_usage_only_when_asked(server: ProviderServer, ask: Ask, include_usage: bool) -> None:
    """The last chunk has no choices and the usage, which is billed in either case."""
    server.model("m", replies=Turn("One two three"))
    chunks = list(ask(stream=True, stream_options={"include_usage": include_usage}))
    told = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "One two three"
    assert len(told) == include_usage
    assert (chunks[-1].choices == []) == include_usage
    (served,) = server.served
    assert served.chunks_sent == 4  # "One", " two", " thre", "e"
    assert served.usage is not None
    assert served.usage["completion_tokens"] == 4


def test_parallel_calls_stream_in_pieces(server: ProviderServer, ask: Ask) -> None:
    """The deltas of each call add up to the arguments that the plain answer has."""
    server.model("m", replies=Turn(tool_calls=CALLS))
    plain = ask(tools=[TOOL]).choices[0]
    assert plain.finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments) for call in plain.message.tool_calls] == [a for _, a in CALLS]
    arguments = {0: "", 1: ""}
    deltas = [c.choices[0].delta for c in ask(tools=[TOOL], stream=True)]
    for call in [call for delta in deltas for call in delta.tool_calls or ()]:
        arguments[call.index] += call.function.arguments
    assert [json.loads(text) for text in arguments.values()] == [a for _, a in CALLS]
    assert sum(1 for delta in deltas if delta.tool_calls) > 4


@pytest.mark.parametrize(
    ("options", "text", "finish"),
    [
        ({"stop": ["two"]}, "One ", "stop"),
        ({"max_tokens": 2}, "One two", "length"),
        ({"max_completion_tokens": 1}, "One", "length"),
        ({}, "One two three", "stop"),
    ],
)
def test_an_answer_ends_where_the_request_says(
    server: ProviderServer, ask: Ask, options: dict[str, Any], text: str, finish: str
) -> None:
    server.model("m", replies="One two three")
    choice = ask(**options).choices[0]
    assert (choice.message.content, choice.finish_reason) == (text, finish)


def test_logprobs_are_those_of_the_turn(server: ProviderServer, ask: Ask) -> None:
    server.model("m", replies=Turn(pieces=["Yes", "."], logprobs=[-0.25, -0.5]))
    content = ask(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert [(token.token, token.logprob) for token in content] == [("Yes", -0.25), (".", -0.5)]
    assert all(len(token.top_logprobs) == 2 for token in content)


def test_each_sample_takes_an_answer(server: ProviderServer, ask: Ask) -> None:
    server.model("m", replies=["a", "b", "a"])
    assert [choice.message.content for choice in ask(n=3).choices] == ["a", "b", "a"]


def test_usage_can_be_overridden_in_the_words_of_the_api(server: ProviderServer, ask: Ask) -> None:
    server.model("m", replies=Turn("ok", usage={"prompt_tokens": 1000, "completion_tokens": 500}))
    assert ask().usage.total_tokens == 1500


def test_anthropic_counts_its_buckets_apart(server: ProviderServer, ask_claude: Ask) -> None:
    """Input tokens are those that the cache neither gave nor took."""
    server.model("m", replies=Turn("Yes.", cached_tokens=2000, cache_write_tokens=100))
    usage = ask_claude().usage
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (2000, 100)
    assert usage.cache_creation.ephemeral_5m_input_tokens == 100
    assert (usage.input_tokens, usage.output_tokens) == (0, 2)


def test_an_anthropic_stream_ends_with_the_plain_message(
    server: ProviderServer, claude: anthropic.Anthropic, ask_claude: Ask
) -> None:
    """Thinking, text and tool use come in blocks, and the cumulative usage is that of the log."""
    server.model("m", replies=Turn("Let me see.", thinking="Which city?", tool_calls=CALLS))
    tool = {"name": "get_weather", "input_schema": TOOL["function"]["parameters"]}
    plain = ask_claude(tools=[tool])
    with claude.messages.stream(model="m", messages=ASK, max_tokens=100, tools=[tool]) as stream:  # type: ignore[list-item]
        streamed = stream.get_final_message()
    assert [block.type for block in streamed.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [b.input for b in streamed.content if b.type == "tool_use"] == [a for _, a in CALLS]
    assert streamed.stop_reason == plain.stop_reason == "tool_use"
    usage = server.served[-1].usage
    assert usage is not None
    assert streamed.usage.output_tokens == plain.usage.output_tokens == usage["output_tokens"]


def test_a_responses_stream_ends_with_the_plain_response(server: ProviderServer, chat: openai.OpenAI) -> None:
    server.model("m", replies=Turn("Let me see.", tool_calls=CALLS, cached_tokens=5))
    plain = chat.responses.create(model="m", input="Hello", instructions="Be brief.")
    with chat.responses.stream(model="m", input="Hello", instructions="Be brief.") as stream:
        streamed = stream.get_final_response()
    assert plain.output_text == streamed.output_text == "Let me see."
    assert [i.arguments for i in streamed.output if i.type == "function_call"] == [json.dumps(a) for _, a in CALLS]
    assert plain.usage is not None
    assert streamed.usage == plain.usage
    assert plain.usage.input_tokens_details.cached_tokens == 5


def test_embeddings_of_texts_with_words_in_common_are_near(chat: openai.OpenAI) -> None:
    texts = ["the cat sat", "the cat ran", "stock prices fell"]
    near, nearer, far = (item.embedding for item in chat.embeddings.create(model="e", input=texts).data)

    def cosine(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert cosine(near, nearer) > cosine(near, far)
    assert cosine(near, near) == pytest.approx(1.0)


def test_tokens_are_counted_as_they_are_billed(
    server: ProviderServer, claude: anthropic.Anthropic, ask_claude: Ask
) -> None:
    counted = claude.messages.count_tokens(model="m", messages=ASK).input_tokens
    assert counted == ask_claude().usage.input_tokens


def test_scripted_models_are_listed(server: ProviderServer, chat: openai.OpenAI) -> None:
    server.model("small", replies="hi")
    assert [model.id for model in chat.models.list()] == ["small"]
