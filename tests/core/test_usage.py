"""Usage: every provider's payload ends in the same disjoint buckets, and what is not usage is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types import Usage as AnthropicUsage
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage

from tuppence.errors import TuppenceError, UsageError
from tuppence.usage import Usage, UsageStream, read_usage
from tuppence.usage.from_anthropic import untold_writes

CHAT = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0},
}
MESSAGES = {
    "input_tokens": 5,
    "output_tokens": 70,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
}
GEMINI = {
    "promptTokenCount": 120,
    "cachedContentTokenCount": 20,
    "toolUsePromptTokenCount": 30,
    "candidatesTokenCount": 50,
    "thoughtsTokenCount": 900,
    "totalTokenCount": 1100,
}

READ = [
    ("chat", CHAT, Usage(input=86, cache_read=1920, output=300, reasoning=64)),
    (
        "responses",
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
            "output_tokens_details": {"reasoning_tokens": 30},
        },
        Usage(input=50, cache_read=40, cache_write_5m=10, output=50, reasoning=30),
    ),
    ("embeddings", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
    ("messages", MESSAGES, Usage(input=5, cache_read=1000, cache_write_5m=100, cache_write_1h=200, output=70)),
    (
        "messages",
        {"input_tokens": 5, "output_tokens": 7, "cache_creation_input_tokens": 300},
        Usage(input=5, cache_write_5m=300, output=7),
    ),
    ("generateContent", GEMINI, Usage(input=130, cache_read=20, output=950, reasoning=900)),
    (
        "generateContent",
        {"prompt_token_count": 9, "candidates_token_count": 2, "total_token_count": 11},
        Usage(input=9, output=2),
    ),
    (
        "converse",
        {"inputTokens": 10, "outputTokens": 2, "cacheReadInputTokens": 30, "cacheWriteInputTokens": 40},
        Usage(input=10, cache_read=30, cache_write_5m=40, output=2),
    ),
    (
        "langchain.usage_metadata",
        {
            "input_tokens": 62394,
            "output_tokens": 214,
            "total_tokens": 62608,
            "input_token_details": {"audio": 0, "cache_read": 60024},
            "output_token_details": {"audio": 14, "reasoning": 9},
        },
        Usage(input=2370, cache_read=60024, output=200, audio_output=14, reasoning=9),
    ),
    (
        "langchain.usage_metadata",
        {
            "input_tokens": 12100,
            "output_tokens": 50,
            "total_tokens": 12150,
            "input_token_details": {
                "cache_read": 2000,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 4000,
                "ephemeral_1h_input_tokens": 6000,
            },
        },
        Usage(input=100, cache_read=2000, cache_write_5m=4000, cache_write_1h=6000, output=50),
    ),
    (
        "chat",
        {"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 60},
        Usage(input=40, cache_read=60, output=5),
    ),
    ("vllm", {"prompt_tokens": 12, "total_tokens": 15, "completion_tokens": 3}, Usage(input=12, output=3)),
]


@pytest.mark.parametrize(("api", "payload", "usage"), READ)
def test_payload_becomes_disjoint_buckets(api: str, payload: dict[str, Any], usage: Usage) -> None:
    """Cached tokens leave the input where the provider included them, and nothing is counted twice."""
    assert read_usage(api, payload) == usage


@pytest.mark.parametrize(("api", "payload", "usage"), READ)
def test_a_raw_response_is_read_by_its_fields(api: str, payload: dict[str, Any], usage: Usage) -> None:
    """LlamaIndex hands over a raw response without saying whose it is."""
    key = "usageMetadata" if api == "generateContent" else "usage"
    assert read_usage("llamaindex.raw", {"id": "x", key: payload}) == usage


def test_sdk_objects_are_read_like_their_json() -> None:
    """The openai and anthropic clients return objects, not dicts."""
    assert read_usage("chat", CompletionUsage.model_validate(CHAT)) == read_usage("chat", CHAT)
    assert read_usage("messages", AnthropicUsage.model_validate(MESSAGES)) == read_usage("messages", MESSAGES)


def test_fields_that_an_sdk_does_not_know_are_read() -> None:
    """DeepSeek answers the openai client with a field of its own."""
    told = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "prompt_cache_hit_tokens": 60}
    assert read_usage("chat", CompletionUsage.model_validate(told)) == Usage(input=40, cache_read=60, output=5)


def test_audio_is_split_from_text_and_from_its_cache() -> None:
    """Realtime tells which of the cached tokens were audio."""
    payload = {
        "input_tokens": 3000,
        "output_tokens": 500,
        "input_token_details": {
            "text_tokens": 1000,
            "audio_tokens": 2000,
            "cached_tokens": 1500,
            "cached_tokens_details": {"text_tokens": 500, "audio_tokens": 1000},
        },
        "output_token_details": {"text_tokens": 100, "audio_tokens": 400},
    }
    assert read_usage("realtime", payload) == Usage(
        input=500, cache_read=500, audio_input=1000, audio_cache_read=1000, output=100, audio_output=400
    )


def test_gemini_modalities_are_their_own_buckets() -> None:
    """Audio and images in the prompt and in the cache are taken out of the text."""
    payload = {
        "promptTokenCount": 5300,
        "cachedContentTokenCount": 2000,
        "candidatesTokenCount": 1300,
        "totalTokenCount": 6600,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 1000},
            {"modality": "AUDIO", "tokenCount": 4000},
            {"modality": "IMAGE", "tokenCount": 300},
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 2000}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    usage = read_usage("generateContent", payload)
    assert usage == Usage(
        input=1000,
        audio_input=2000,
        audio_cache_read=2000,
        output=10,
        media=(("image_input", 300), ("image_output", 1290)),
    )
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (5300, 1300, 6600)


def test_text_is_taken_to_be_cached_first_where_the_split_is_untold() -> None:
    """Chat completions report one cached number for text and audio."""
    details = {"prompt_tokens_details": {"cached_tokens": 150, "audio_tokens": 100}}
    usage = read_usage("chat", {"prompt_tokens": 200, "completion_tokens": 0, **details})
    assert usage == Usage(input=0, cache_read=100, audio_input=50, audio_cache_read=50)


def test_compaction_is_added_and_an_advisor_is_not_priced_as_the_model() -> None:
    """Anthropic leaves compaction out of its totals; an advisor is another model."""
    step = {"type": "compaction", "input_tokens": 100, "output_tokens": 20, "cache_creation_input_tokens": 0}
    base = {"input_tokens": 5, "output_tokens": 7}
    assert read_usage("messages", {**base, "iterations": [step]}) == Usage(input=105, output=27)
    advised = read_usage("messages", {**base, "iterations": [{**step, "type": "advisor_message"}]})
    assert advised.processing == "unlisted"


PROCESSING = [
    ({}, {}, "standard"),
    ({"service_tier": "default"}, {}, "standard"),
    ({"service_tier": "flex"}, {}, "flex"),
    ({}, {"processing": "batch"}, "batch"),
    ({}, {"batch": True}, "batch"),
    ({}, {"service_tier": "auto"}, "standard"),
    ({"service_tier": "default"}, {"batch": True}, "batch"),
    ({"service_tier": "default"}, {"service_tier": "priority"}, "standard"),
    ({"trafficType": "ON_DEMAND_PRIORITY"}, {}, "priority"),
    ({"trafficType": "ON_DEMAND"}, {}, "standard"),
    ({"trafficType": "PROVISIONED_THROUGHPUT"}, {}, "unlisted"),
    ({"service_tier": "scale"}, {}, "unlisted"),
    ({"service_tier": "standard", "speed": "fast"}, {}, "fast"),
    ({}, {"tier": "turbo-ultra"}, "unlisted"),
]


@pytest.mark.parametrize(("told", "context", "processing"), PROCESSING)
def test_processing_is_what_the_provider_served(told: dict[str, str], context: dict[str, Any], processing: str) -> None:
    """The response's tier beats the asked one, batch beats both, and an unknown name is never standard."""
    assert read_usage("chat", {**CHAT, **told}, context).processing == processing
    assert read_usage("chat", {"usage": CHAT, **told}, context).processing == processing


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_langchain_prefixes_tell_the_tier(tier: str) -> None:
    """ChatOpenAI renames the details of flex and priority calls."""
    payload = {
        "input_tokens": 1500,
        "output_tokens": 700,
        "total_tokens": 2200,
        "input_token_details": {f"{tier}_cache_read": 1024, tier: 476},
        "output_token_details": {f"{tier}_reasoning": 300, tier: 400},
    }
    usage = read_usage("langchain.usage_metadata", payload)
    assert usage == Usage(input=476, cache_read=1024, output=700, reasoning=300, processing=tier)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("payload", "context", "geo"),
    [
        ({"inference_geo": "us"}, {}, "us"),
        ({"inference_geo": "global"}, {"geo": "us"}, None),
        ({"inference_geo": "not_available"}, {}, None),
        ({}, {"data_residency": "EU"}, "eu"),
        ({}, {"region": "us-east-1"}, "us-east-1"),
        ({}, {"data_residency": True}, "regional"),
        ({}, {}, None),
    ],
)
def test_geo_is_told_only_where_the_call_was_bound(
    payload: dict[str, str], context: dict[str, Any], geo: str | None
) -> None:
    """A place that the provider was free to choose is no place."""
    assert read_usage("messages", {**MESSAGES, **payload}, context).geo == geo


@pytest.mark.parametrize(
    ("payload", "context"),
    [
        ({"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1}}, {}),
        ({"server_tool_use": SimpleNamespace(web_search_requests=3)}, {}),
        ({}, {"web_search": 3}),
        ({}, {"web_search_requests": 3}),
        ({}, {"calls": {"web_search": 3}}),
        ({}, {"tools": [{"type": "web_search", "count": 3}]}),
        ({}, {"tool_calls": ["web_search_call", "web_search", "web_search"]}),
        ({"server_tool_use": {"web_search_requests": 3}}, {"web_search": 3}),
    ],
)
def test_tools_billed_by_the_call_are_counted_once(payload: dict[str, Any], context: dict[str, Any]) -> None:
    """All spellings give one name, and payload and context telling of the same calls do not add up."""
    assert read_usage("messages", {**MESSAGES, **payload}, context).calls == (("web_search", 3),)


def test_a_response_shows_its_own_tool_calls() -> None:
    """The Responses API lists every search among its output items."""
    items = [{"type": "web_search_call"}, {"type": "message"}, {"type": "web_search_call"}]
    payload = {"output": items, "usage": {"input_tokens": 1, "output_tokens": 1}}
    assert read_usage("responses", payload).calls == (("web_search", 2),)


@pytest.mark.parametrize(
    ("context", "gpu_ms"),
    [
        ({"gpu_ms": 1234}, 1234),
        ({"gpu_seconds": 1.5}, 1500),
        ({"gpu_seconds": "1.5", "gpus": 4}, 1500),
        ({"seconds": 7, "gpus": 4}, 28_000),
        ({"gpu_hours": "0.5"}, 1_800_000),
    ],
)
def test_gpu_time_is_summed_over_gpus(context: dict[str, Any], gpu_ms: int) -> None:
    """GPU seconds are a sum already, seconds on the wall are not."""
    assert read_usage("vllm", CHAT, context).gpu_ms == gpu_ms


def test_an_asked_for_lifetime_moves_cache_writes() -> None:
    """Without a split in the payload, the request's TTL decides."""
    payload = {"input_tokens": 5, "output_tokens": 7, "cache_creation_input_tokens": 300}
    assert read_usage("messages", payload, {"cache_ttl": "1h"}).cache_write_1h == 300


@pytest.mark.parametrize(
    ("payload", "tokens"),
    [
        ({}, 0),
        ({"cache_creation_input_tokens": 300}, 300),
        ({"cache_creation_input_tokens": 300, "cache_creation": {}}, 300),
        ({"cache_creation_input_tokens": 300, "cache_creation": {"ephemeral_5m_input_tokens": 300}}, 0),
        ({"cache_creation_input_tokens": 300, "cache_creation": {"ephemeral_1h_input_tokens": 300}}, 0),
        ({"cache_creation_input_tokens": 300, "cache_creation": {"ephemeral_1h_input_tokens": 100}}, 200),
        ({"cache_creation_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 100}}, 0),
    ],
)
def test_cache_writes_whose_lifetime_is_not_told(payload: Any, tokens: int) -> None:
    """They are read as ordinary ones, and whoever prices them can tell how many that is a guess for."""
    assert untold_writes(payload) == tokens
    usage = read_usage("messages", {"input_tokens": 5, "output_tokens": 7, **payload})
    assert usage.cache_write_5m >= tokens


BROKEN = [
    ("chat", {}, "no usage"),
    ("chat", None, "no usage"),
    ("messages", {"usage": {"prompt_tokens": 3}}, "no usage"),
    ("generateContent", {"text": "hello"}, "no usage"),
    ("chat", {"prompt_tokens": -1, "completion_tokens": 0}, "not a count"),
    ("chat", {"prompt_tokens": "7", "completion_tokens": 0}, "not a count"),
    ("chat", {"prompt_tokens": 7.5, "completion_tokens": 0}, "not a count"),
    ("chat", {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 60}}, "exceed"),
    ("smoke-signals", CHAT, "unknown usage api"),
]


@pytest.mark.parametrize(("api", "payload", "message"), BROKEN)
def test_what_is_not_usage_is_refused(api: str, payload: Any, message: str) -> None:
    """A payload that does not add up must not become a cost."""
    with pytest.raises(UsageError, match=message) as caught:
        read_usage(api, payload)
    assert isinstance(caught.value, TuppenceError)


def test_anthropic_streams_are_cumulative() -> None:
    """message_start tells the input, each message_delta replaces the output count."""
    stream = UsageStream("messages")
    stream.feed({"type": "message_start", "message": {"usage": {**MESSAGES, "output_tokens": 1}}})
    stream.feed({"type": "content_block_delta", "delta": {"text": "hi"}})
    stream.feed({"type": "message_delta", "usage": {"output_tokens": 40, "input_tokens": None}})
    stream.feed({"type": "message_delta", "usage": {"output_tokens": 70}})
    assert stream.read() == read_usage("messages", MESSAGES)


def test_anthropic_stream_objects_are_read() -> None:
    """The SDK yields objects; a message_start holds a whole Message."""
    message = AnthropicMessage.model_validate(
        {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": MESSAGES}
    )
    stream = UsageStream("messages")
    stream.feed(SimpleNamespace(type="message_start", message=message))
    assert stream.read() == read_usage("messages", MESSAGES)


def test_openai_streams_tell_usage_last() -> None:
    """Chunks before the last carry null usage; the tier may come in any."""
    stream = UsageStream("chat")
    stream.feed({"choices": [{"delta": {"content": "a"}}], "usage": None, "service_tier": "flex"})
    assert not stream
    stream.feed({"choices": [], "usage": CHAT})
    assert stream
    assert stream.read() == read_usage("chat", CHAT, {"service_tier": "flex"})


def test_responses_and_gemini_streams() -> None:
    """response.completed wraps the response; Gemini repeats its counts in every chunk."""
    told = {"input_tokens": 4, "output_tokens": 2}
    responses = UsageStream("responses")
    responses.feed({"type": "response.created", "response": {"usage": None}})
    responses.feed({"type": "response.completed", "response": {"usage": told, "service_tier": "priority"}})
    assert responses.read() == Usage(input=4, output=2, processing="priority")
    gemini = UsageStream("generateContent")
    for answer in (1, 5, 9):
        gemini.feed(
            {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": answer, "totalTokenCount": 3 + answer}}
        )
    assert gemini.read() == Usage(input=3, output=9)


def test_a_stream_without_usage_says_how_to_get_it() -> None:
    """OpenAI-compatible servers send usage only on request."""
    with pytest.raises(UsageError, match="include_usage"):
        UsageStream("chat").read()


counts = st.integers(0, 10**9)
usages = st.builds(
    Usage,
    input=counts,
    cache_read=counts,
    cache_write_5m=counts,
    cache_write_1h=counts,
    audio_input=counts,
    output=counts,
    audio_output=counts,
    calls=st.sampled_from([(), (("web_search", 1),), (("file_search", 2), ("web_search", 1))]),
    processing=st.sampled_from(["standard", "batch"]),
)


@given(usages, usages)
def test_adding_keeps_every_token(a: Usage, b: Usage) -> None:
    """Totals of a sum are sums of totals, in either order."""
    total = a + b
    assert total.input_tokens == a.input_tokens + b.input_tokens
    assert total.output_tokens == a.output_tokens + b.output_tokens
    assert total == b + a


@given(usages)
def test_nothing_added_changes_nothing(usage: Usage) -> None:
    """An empty usage is the neutral element, so `sum(..., Usage())` keeps the kind of processing."""
    assert usage + Usage() == usage == Usage() + usage


def test_a_sum_over_kinds_of_processing_is_not_priced() -> None:
    """Half batch and half standard has no price of its own."""
    assert (Usage(input=1) + Usage(input=1, processing="batch")).processing == "unlisted"


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_chat_totals_survive_reading(fresh: int, cached: int, audio: int, output: int) -> None:
    """Whatever the split, the buckets add up to the provider's totals."""
    payload = {
        "prompt_tokens": fresh + cached + audio,
        "completion_tokens": output,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio},
    }
    usage = read_usage("chat", payload)
    assert (usage.input_tokens, usage.output_tokens) == (fresh + cached + audio, output)
