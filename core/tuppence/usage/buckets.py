"""The neutral form of what one provider call used.

Every provider splits its token counts differently; here each token is in exactly one bucket, so that a cost
is a plain sum of bucket times price. This module must never guess a price and must never know a provider's
field names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

Processing = Literal["standard", "batch", "flex", "priority", "fast", "unlisted"]
"""The way the provider ran the call. `unlisted`: a service tier that has no list price (reserved or
provisioned capacity, an unknown name), or a sum over calls of different kinds; never priced."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Hold what one provider call used, in buckets that share no token.

    Adding two usages sums the buckets, for reports. Price each call before adding: threshold prices depend on
    the size of one call, so the cost of a sum is not the sum of the costs.
    """

    input: int = 0
    """Text input tokens that were neither read from nor written to the provider's prompt cache."""
    cache_read: int = 0
    """Text input tokens read from the provider's prompt cache."""
    cache_write_5m: int = 0
    """Input tokens written to the prompt cache with the provider's ordinary lifetime (Anthropic: five
    minutes)."""
    cache_write_1h: int = 0
    """Input tokens written to the prompt cache for one hour."""
    audio_input: int = 0
    """Audio input tokens that did not come from the cache."""
    audio_cache_read: int = 0
    """Audio input tokens read from the cache."""
    output: int = 0
    """Text output tokens, reasoning included."""
    audio_output: int = 0
    """Audio output tokens."""
    reasoning: int = 0
    """Those of `output` spent on hidden reasoning. Informational: already counted in `output`."""
    calls: tuple[tuple[str, int], ...] = ()
    """Provider-run tools billed by the call, for example `(("web_search", 3),)`."""
    processing: Processing = "standard"
    """The way the provider ran the call; it selects the price."""
    geo: str | None = None
    """Where the provider was bound to run the call (`us`, `eu` ...); None when it was free to choose."""
    gpu_ms: int = 0
    """Compute time in milliseconds summed over GPUs, for tiers that are paid by the GPU-hour."""
    media: tuple[tuple[str, int], ...] = ()
    """Rare token kinds: `image_input`, `image_cache_read`, `image_output`, `video_input`, `video_cache_read`,
    `video_output`. Disjoint from all other buckets."""

    @property
    def input_tokens(self) -> int:
        """Count every token sent, cached or not; the number that price thresholds look at."""
        tokens = (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_input
            + self.audio_cache_read
        )
        if self.media:
            tokens += sum(qty for kind, qty in self.media if not kind.endswith("_output"))
        return tokens

    @property
    def output_tokens(self) -> int:
        """Count every token generated, hidden reasoning included."""
        tokens = self.output + self.audio_output
        if self.media:
            tokens += sum(qty for kind, qty in self.media if kind.endswith("_output"))
        return tokens

    @property
    def total_tokens(self) -> int:
        """Count all tokens, sent and generated."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        if self == _NOTHING:
            return other
        if other == _NOTHING:
            return self
        alike = self.processing == other.processing and self.geo == other.geo
        return Usage(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write_5m=self.cache_write_5m + other.cache_write_5m,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            audio_input=self.audio_input + other.audio_input,
            audio_cache_read=self.audio_cache_read + other.audio_cache_read,
            output=self.output + other.output,
            audio_output=self.audio_output + other.audio_output,
            reasoning=self.reasoning + other.reasoning,
            calls=merged(self.calls, other.calls),
            processing=self.processing if alike else "unlisted",
            geo=self.geo if alike else None,
            gpu_ms=self.gpu_ms + other.gpu_ms,
            media=merged(self.media, other.media),
        )


_NOTHING = Usage()


def merged(a: tuple[tuple[str, int], ...], b: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """Add two lists of named counts, sorted by name, without the zeros."""
    if not any(qty for _, qty in (*a, *b)):
        return ()
    total: Counter[str] = Counter()
    for name, qty in (*a, *b):
        total[name] += qty
    return tuple(sorted((name, qty) for name, qty in total.items() if qty))
