"""Usage as OpenAI reports it, and the many servers and libraries that took over its form.

OpenAI's totals include everything: cached, cache-written, audio, image and reasoning tokens are parts of
them.
"""

from __future__ import annotations

from typing import Any

from tuppence.usage import context as ctx
from tuppence.usage.buckets import Usage, merged
from tuppence.usage.fields import count, field, has, need, part


def read_chat(payload: Any) -> Usage:
    """Read chat completions usage: OpenAI, Azure, vLLM, Mistral, DeepSeek and others of that form."""
    need(payload, "prompt_tokens", "completion_tokens", "total_tokens")
    total_in = count(payload, "prompt_tokens")
    detail_in = field(payload, "prompt_tokens_details")
    # DeepSeek and Moonshot report the cached tokens beside the total instead of in the details.
    cached = None if has(detail_in, "cached_tokens") else count(payload, "prompt_cache_hit_tokens", "cached_tokens")
    detail_out = field(payload, "completion_tokens_details")
    return _openai(total_in, count(payload, "completion_tokens"), detail_in, detail_out, cached=cached)


def read_responses(payload: Any) -> Usage:
    """Read Responses API and Realtime usage."""
    need(payload, "input_tokens", "output_tokens")
    return _openai(
        count(payload, "input_tokens"),
        count(payload, "output_tokens"),
        field(payload, "input_tokens_details", "input_token_details"),
        field(payload, "output_tokens_details", "output_token_details"),
    )


def read_langchain(payload: Any) -> Usage:
    """Read LangChain's `usage_metadata`, whose totals include every detail.

    `ChatOpenAI` prefixes the details of flex and priority calls (`flex_cache_read`); `ChatAnthropic` moves
    cache writes with a lifetime from `cache_creation` to `ephemeral_5m_input_tokens` and
    `ephemeral_1h_input_tokens`.
    """
    need(payload, "input_tokens", "output_tokens", "total_tokens")
    sent, made = field(payload, "input_token_details"), field(payload, "output_token_details")
    tier = next((t for t in ("flex", "priority", "batch") if any(
        has(source, t, f"{t}_cache_read", f"{t}_reasoning") for source in (sent, made))), None)  # fmt: skip
    prefix = f"{tier}_" if tier else ""
    hour = count(sent, f"{prefix}ephemeral_1h_input_tokens", "ephemeral_1h_input_tokens")
    short = count(sent, f"{prefix}ephemeral_5m_input_tokens", "ephemeral_5m_input_tokens")
    written = max(count(sent, f"{prefix}cache_creation", "cache_creation"), short + hour)
    cached = count(sent, f"{prefix}cache_read", "cache_read")
    audio, audio_out = count(sent, "audio"), count(made, "audio")
    text = part(count(payload, "input_tokens"), audio, written, names="input_tokens (audio, cache_creation)")
    audio_cached = max(0, cached - text)
    return Usage(
        input=part(text, cached - audio_cached, names="input_tokens (cache_read)"),
        cache_read=cached - audio_cached,
        cache_write_5m=written - hour,
        cache_write_1h=hour,
        audio_input=part(audio, audio_cached, names="audio (cache_read)"),
        audio_cache_read=audio_cached,
        output=part(count(payload, "output_tokens"), audio_out, names="output_tokens (audio)"),
        audio_output=audio_out,
        reasoning=count(made, f"{prefix}reasoning", "reasoning"),
        processing=ctx.processing_named(tier) if tier else "standard",
    )


def _openai(total_in: int, total_out: int, detail_in: Any, detail_out: Any, *, cached: int | None = None) -> Usage:
    """Split OpenAI totals, which include cached, cache-written and audio tokens.

    Where the payload does not say how many of the cached tokens were audio, text is taken to be cached first.
    """
    cached = count(detail_in, "cached_tokens") if cached is None else cached
    split = field(detail_in, "cached_tokens_details")
    audio = count(detail_in, "audio_tokens")
    image = count(detail_in, "image_tokens")
    image_cached = count(split, "image_tokens")
    written = count(detail_in, "cache_write_tokens", "cache_creation_tokens")
    text = part(total_in, audio, image, written, names="input tokens (audio, image, cache writes)")
    if split is None:
        audio_cached = max(0, cached - text)
    else:
        audio_cached = count(split, "audio_tokens")
    text_cached = part(cached, audio_cached, image_cached, names="cached tokens (audio, image)")
    audio_out = count(detail_out, "audio_tokens")
    image_out = count(detail_out, "image_tokens")
    media = (
        ("image_input", part(image, image_cached, names="image tokens (cached)")),
        ("image_cache_read", image_cached),
        ("image_output", image_out),
    )
    return Usage(
        input=part(text, text_cached, names="text input tokens (cached)"),
        cache_read=text_cached,
        cache_write_5m=written,
        audio_input=part(audio, audio_cached, names="audio input tokens (cached)"),
        audio_cache_read=audio_cached,
        output=part(total_out, audio_out, image_out, names="output tokens (audio, image)"),
        audio_output=audio_out,
        reasoning=count(detail_out, "reasoning_tokens"),
        media=merged(media, ()),
    )
