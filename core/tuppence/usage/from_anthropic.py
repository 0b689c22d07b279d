"""Usage as Anthropic and Bedrock report it: input tokens leave out all that was read from or written to the
cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tuppence.usage.buckets import Usage
from tuppence.usage.fields import count, field, need, part


def read_messages(payload: Any) -> Usage:
    """Read Anthropic Messages usage, whose `input_tokens` leave out all cached tokens.

    Compaction iterations are not in the top-level counts and are added. An advisor iteration runs another
    model at another price, so its presence makes the usage `unlisted`: price such a call by iteration.
    """
    need(payload, "input_tokens", "output_tokens")
    usage = _anthropic(payload)
    for step in field(payload, "iterations") or ():
        kind = field(step, "type")
        if kind == "compaction":
            usage = usage + _anthropic(step)
        elif kind == "advisor_message":
            usage = replace(usage, processing="unlisted")
    return usage


def untold_writes(payload: Any) -> int:
    """Count the cache writes in Messages usage of which it does not say how long they are kept.

    A gateway may leave the split by lifetime out, and a stream's last event may count more than the first one split.
    `read_messages` takes such writes for ordinary ones, so a price of theirs is an estimate. Raises `UsageError` for
    what is not a count.
    """
    split = field(payload, "cache_creation")
    told = count(split, "ephemeral_5m_input_tokens") + count(split, "ephemeral_1h_input_tokens")
    return max(0, count(payload, "cache_creation_input_tokens") - told)


def _anthropic(payload: Any) -> Usage:
    split = field(payload, "cache_creation")
    hour = count(split, "ephemeral_1h_input_tokens")
    short = count(split, "ephemeral_5m_input_tokens")
    written = count(payload, "cache_creation_input_tokens")
    return Usage(
        input=count(payload, "input_tokens"),
        cache_read=count(payload, "cache_read_input_tokens"),
        cache_write_5m=max(short, written - hour),
        cache_write_1h=hour,
        output=count(payload, "output_tokens"),
        reasoning=count(field(payload, "output_tokens_details"), "thinking_tokens"),
    )


def read_converse(payload: Any) -> Usage:
    """Read Bedrock Converse usage; as with Anthropic, `inputTokens` leave out the cached ones."""
    need(payload, "inputTokens", "outputTokens")
    hour = sum(count(d, "inputTokens") for d in field(payload, "cacheDetails") or () if field(d, "ttl") == "1h")
    written = count(payload, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    return Usage(
        input=count(payload, "inputTokens"),
        cache_read=count(payload, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        cache_write_5m=part(written, hour, names="cache writes (1h)"),
        cache_write_1h=hour,
        output=count(payload, "outputTokens"),
    )
