"""Tiers at list prices, as tables of integers, so that a day of calls is priced at once.

The arithmetic is this module's own, to the pico-dollar what `Rate.cost` says of one call; a test holds it to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tuppence.prices import GpuHourRate, PriceBook, TokenRate

PRICED_AT = datetime(2026, 11, 1, tzinfo=UTC)
"""All months have the list prices of this day: what changes within a month is the change that was asked for."""
BUCKETS = ("input", "cache_read", "cache_write_5m", "output")
STANDARD, BATCH = 0, 1
HOUR_MS = 3_600_000

LADDERS = (
    (("openai", "gpt-4.1-mini"), ("openai", "gpt-4.1")),
    (("openai", "gpt-4o-mini"), ("openai", "gpt-4o")),
    (("openai", "gpt-5-nano"), ("openai", "gpt-5-mini"), ("openai", "gpt-5")),
    (("anthropic", "claude-haiku-4-5"), ("anthropic", "claude-sonnet-4-6")),
    (("anthropic", "claude-haiku-4-5"), ("anthropic", "claude-sonnet-4-6"), ("anthropic", "claude-opus-4-6")),
    (("google", "gemini-2.5-flash-lite"), ("google", "gemini-2.5-flash"), ("anthropic", "claude-sonnet-4-6")),
    (("self", "llama-3.3-70b-versatile"), ("openai", "gpt-4.1-mini"), ("openai", "gpt-4.1")),
    (("self", "llama-3.3-70b-versatile"), ("anthropic", "claude-sonnet-4-6")),
)
EMBEDDER = ("openai", "text-embedding-3-small")
NAMES = ("small", "medium", "large")


@dataclass(frozen=True, slots=True)
class Tier:
    """A model at its price."""

    name: str
    model: str
    version: str
    nano: tuple[int, int, int, int]
    """Nano-USD for a million tokens of each of `BUCKETS`; where a bucket has no price, that of input."""
    batch: tuple[int, int, int, int] | None
    gpu_nano_per_hour: int = 0
    """Above 0 for a model on a machine of one's own; `nano` is then what a provider takes for it."""
    priced: bool = True
    tokens_per_s: float = 60.0
    writes: bool = False
    """Its provider bills what is put into the prompt cache."""


def ladder(which: int, gpu_nano_per_hour: int) -> tuple[Tier, ...]:
    """Make a ladder, cheapest tier first, and after it a model that no list knows and one that embeds."""
    rungs = LADDERS[which]
    names = NAMES[: len(rungs) - 1] + NAMES[-1:] if len(rungs) < len(NAMES) else NAMES
    tiers = [_tier(name, *rung, gpu_nano_per_hour) for name, rung in zip(names, rungs, strict=True)]
    odd = Tier("in-house", "in-house-reader", "", (0, 0, 0, 0), None, priced=False)
    return (*tiers, odd, _tier(EMBEDDER[1], *EMBEDDER, 0))


def _tier(name: str, provider: str, model: str, gpu_nano_per_hour: int) -> Tier:
    self_hosted = provider == "self"
    rate = PriceBook.default().rate(model, provider="groq" if self_hosted else provider, at=PRICED_AT)
    if not isinstance(rate, TokenRate):
        raise LookupError(f"{model!r} has no price at {PRICED_AT:%Y-%m-%d}: name another model in LADDERS")
    nano = _prices(rate, "standard")
    batch = _prices(rate, "batch") if "batch" in rate._prices and not self_hosted else None
    return Tier(
        name, model, "user" if self_hosted else rate.version, nano, batch, gpu_nano_per_hour if self_hosted else 0,
        tokens_per_s=35.0 if name == NAMES[-1] else 90.0, writes=provider == "anthropic",
    )  # fmt: skip


def _prices(rate: TokenRate, processing: str) -> tuple[int, int, int, int]:
    listed = rate._prices[processing]
    nano = [listed.get(bucket, listed["input"]) for bucket in BUCKETS]
    if bucket := next((name for name, price in zip(BUCKETS, nano, strict=True) if not isinstance(price, int)), None):
        raise LookupError(f"{rate.version} has steps in its price of {bucket}: name a model with one price in LADDERS")
    return tuple(nano)


def rate_of(tier: Tier) -> TokenRate | GpuHourRate | None:
    """Return what `tuppence` itself prices this tier with, before any change of its price."""
    if not tier.priced:
        return None
    if tier.gpu_nano_per_hour:
        return GpuHourRate(tier.gpu_nano_per_hour)
    provider = next(p for rungs in (*LADDERS, (EMBEDDER,)) for p, model in rungs if model == tier.model)
    return PriceBook.default().rate(tier.model, provider=provider, at=PRICED_AT)


class PriceTable:
    """Prices of all tiers before and after a change, by [epoch, processing, tier, bucket]."""

    def __init__(self, tiers: tuple[Tier, ...], *, tier: int = 0, factor: float = 1.0) -> None:
        standard = np.array([one.nano for one in tiers], dtype=np.int64)
        batch = np.array([one.batch or one.nano for one in tiers], dtype=np.int64)
        before = np.stack([standard, batch])
        after = before.copy()
        after[:, tier] = (before[:, tier] * factor).astype(np.int64)
        self.nano = np.stack([before, after])
        self.gpu = np.array([one.gpu_nano_per_hour for one in tiers], dtype=np.int64)
        self.gpu = np.stack([self.gpu, self.gpu])
        self.gpu[1, tier] = int(self.gpu[1, tier] * factor)

    def tokens(self, epoch: np.ndarray, lane: np.ndarray, tier: np.ndarray, used: np.ndarray) -> np.ndarray:
        """Price tokens, shape (calls, buckets), in pico-USD, each call rounded once."""
        return rounded((used * self.nano[epoch, lane, tier]).sum(axis=1), 1000)

    def machines(self, epoch: np.ndarray, tier: np.ndarray, gpu_ms: np.ndarray) -> np.ndarray:
        """Price compute time in pico-USD."""
        return rounded(gpu_ms * self.gpu[epoch, tier] * 1000, HOUR_MS)


def rounded(numerator: np.ndarray, denominator: int) -> np.ndarray:
    """Divide and round half to even, exactly."""
    whole, rest = np.divmod(numerator, denominator)
    up = (2 * rest > denominator) | ((2 * rest == denominator) & (whole & 1 == 1))
    return whole + up
