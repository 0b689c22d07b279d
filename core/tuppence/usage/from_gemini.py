"""Usage as Gemini reports it: cached content is inside the prompt count, thoughts and tool use are outside of
it."""

from __future__ import annotations

from typing import Any

from tuppence.usage.buckets import Usage, merged
from tuppence.usage.fields import count, field, need, part


def read_generate_content(payload: Any) -> Usage:
    """Read Gemini usage in camel or snake case.

    `promptTokenCount` includes the cached content; thoughts and tool-use prompts are in neither total and are
    billed as output and input (https://ai.google.dev/api/generate-content#UsageMetadata).
    """
    need(payload, "promptTokenCount", "prompt_token_count", "totalTokenCount", "total_token_count")
    prompt = count(payload, "promptTokenCount", "prompt_token_count")
    tool = count(payload, "toolUsePromptTokenCount", "tool_use_prompt_token_count")
    cached = count(payload, "cachedContentTokenCount", "cached_content_token_count")
    thoughts = count(payload, "thoughtsTokenCount", "thoughts_token_count")
    answer = count(payload, "candidatesTokenCount", "candidates_token_count", "responseTokenCount",
                   "response_token_count")  # fmt: skip
    sent = _modalities(payload, "promptTokensDetails", "prompt_tokens_details")
    for kind, qty in _modalities(payload, "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details").items():
        sent[kind] = sent.get(kind, 0) + qty
    kept = _modalities(payload, "cacheTokensDetails", "cache_tokens_details")
    made = _modalities(payload, "candidatesTokensDetails", "candidates_tokens_details", "responseTokensDetails")
    media_in = sum(sent.values())
    if not kept:
        # Gemini leaves the split out at times: text, the usual fixed prefix, is taken to be cached first.
        kept = {"audio": max(0, cached - part(prompt + tool, media_in, names="prompt tokens (modalities)"))}
    audio, audio_cached = sent.get("audio", 0), kept.get("audio", 0)
    text_cached = part(cached, sum(kept.values()), names="cached tokens (modalities)")
    media = [(f"{kind}_input", part(sent.get(kind, 0), kept.get(kind, 0), names=f"{kind} tokens (cached)"))
             for kind in ("image", "video")]  # fmt: skip
    media += [(f"{kind}_cache_read", kept.get(kind, 0)) for kind in ("image", "video")]
    media += [(f"{kind}_output", made.get(kind, 0)) for kind in ("image", "video")]
    return Usage(
        input=part(prompt + tool, media_in, text_cached, names="prompt tokens (modalities, cached)"),
        cache_read=text_cached,
        audio_input=part(audio, audio_cached, names="audio tokens (cached)"),
        audio_cache_read=audio_cached,
        output=part(answer, sum(made.values()), names="candidate tokens (modalities)") + thoughts,
        audio_output=made.get("audio", 0),
        reasoning=thoughts,
        media=merged(tuple(media), ()),
    )


def _modalities(payload: Any, *names: str) -> dict[str, int]:
    """Sum Gemini's per-modality counts for everything that is not text; documents are billed as images."""
    found: dict[str, int] = {}
    for entry in field(payload, *names) or ():
        modality = field(entry, "modality")
        kind = str(getattr(modality, "value", modality) or "text").lower()
        kind = "image" if kind == "document" else kind
        if kind in ("audio", "image", "video"):
            found[kind] = found.get(kind, 0) + count(entry, "tokenCount", "token_count")
    return found
