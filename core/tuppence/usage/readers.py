"""The one door to all provider payloads: pick the reader for an api, then add what the context tells.

A reader knows one provider's counting: which totals include the cached tokens, where reasoning hides, what
the details repeat. None may estimate: a payload that does not say what was used is a `UsageError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tuppence.errors import UsageError
from tuppence.usage import context as ctx
from tuppence.usage.buckets import Usage
from tuppence.usage.fields import field, has, plain
from tuppence.usage.from_anthropic import read_converse, read_messages
from tuppence.usage.from_gemini import read_generate_content
from tuppence.usage.from_openai import read_chat, read_langchain, read_responses

Reader = Callable[[Any], Usage]


def read_usage(api: str, payload: Mapping[str, Any] | object, context: Mapping[str, Any] | None = None) -> Usage:
    """Read the usage that a provider reported for one call.

    `api` names the payload's form: `chat` (OpenAI chat completions and every server that speaks it, vLLM and
    Mistral among them), `responses`, `embeddings`, `realtime`, `messages` (Anthropic), `generateContent`
    (Gemini), `converse` (Bedrock), `langchain.usage_metadata`, or `raw` to go by the fields
    (`llamaindex.raw`). `payload` is the usage object or the whole response around it, as dict or SDK object.
    `context` adds what payloads leave out; its keys are listed in `tuppence.usage.context`. Raises
    `UsageError` when the payload is not usage.
    """
    extra = context or {}
    name = api.lower().replace("-", "_")
    reader = _READERS.get(name)
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise UsageError(f"unknown usage api {api!r}; use one of {known}, or 'raw' to go by the payload's fields")
    told_in = _usage_in(payload)
    inner = plain(told_in)
    gpu_ms = ctx.read_gpu_ms(extra) or (ctx.read_gpu_ms(inner) if name in _GPU_TIMED else 0)
    usage = Usage() if gpu_ms and name in _GPU_TIMED and not _is_usage(inner) else reader(inner)
    told = ctx.read_processing((inner,) if told_in is payload else (inner, payload), extra)
    geo = ctx.read_geo(inner, extra)
    calls = ctx.read_calls(inner, () if told_in is payload else _tools_shown(payload), extra)
    hourly = usage.cache_write_5m if extra and ctx.keeps_for_an_hour(extra) and not usage.cache_write_1h else 0
    if told == "standard" and geo is None and not (calls or gpu_ms or hourly):
        return usage
    return replace(
        usage,
        processing=told if usage.processing == "standard" else usage.processing,
        geo=geo,
        calls=calls,
        gpu_ms=gpu_ms,
        cache_write_5m=usage.cache_write_5m - hourly,
        cache_write_1h=usage.cache_write_1h + hourly,
    )


def _usage_in(payload: Any) -> Any:
    """Return the usage object inside a whole response, or the payload itself."""
    found = field(payload, "usage", "usageMetadata", "usage_metadata")
    return payload if found is None else found


def _is_usage(payload: Any) -> bool:
    return has(payload, "prompt_tokens", "completion_tokens", "total_tokens")


def _tools_shown(payload: Any) -> list[str]:
    """Find the built-in tools that a Responses API response shows that it ran."""
    items = field(payload, "output")
    kinds = [str(field(item, "type")) for item in items] if isinstance(items, list) else []
    return [kind for kind in kinds if kind in _CALL_ITEMS]


_CALL_ITEMS = frozenset({"web_search_call", "file_search_call"})


def read_raw(payload: Any) -> Usage:
    """Go by the fields, for a raw response of unknown provider, such as LlamaIndex's `response.raw`."""
    if has(payload, "promptTokenCount", "prompt_token_count"):
        return read_generate_content(payload)
    if has(payload, "inputTokens", "outputTokens"):
        return read_converse(payload)
    if has(payload, "prompt_tokens", "completion_tokens"):
        return read_chat(payload)
    if has(payload, "input_token_details", "output_token_details"):
        return read_langchain(payload)
    if has(payload, "input_tokens_details", "total_tokens"):
        return read_responses(payload)
    return read_messages(payload)


_GPU_TIMED = frozenset({"gpu", "gpu_hour", "vllm", "self_hosted", "selfhosted", "selfhost"})
_READERS: dict[str, Reader] = {
    "chat": read_chat,
    "chat.completions": read_chat,
    "chat_completions": read_chat,
    "completions": read_chat,
    "embeddings": read_chat,
    "openai": read_chat,
    "mistral": read_chat,
    **dict.fromkeys(_GPU_TIMED, read_chat),
    "responses": read_responses,
    "realtime": read_responses,
    "transcriptions": read_responses,
    "messages": read_messages,
    "anthropic": read_messages,
    "converse": read_converse,
    "bedrock": read_converse,
    "generatecontent": read_generate_content,
    "generate_content": read_generate_content,
    "gemini": read_generate_content,
    "google": read_generate_content,
    "langchain.usage_metadata": read_langchain,
    "langchain": read_langchain,
    "usage_metadata": read_langchain,
    "llamaindex": read_raw,
    "llamaindex.raw": read_raw,
    "raw": read_raw,
}
